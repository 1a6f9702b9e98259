"""The regression gate: two tables in, a verdict for every series and every suite out."""
