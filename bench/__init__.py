"""The harness of Minimax: suites in, rows out."""
