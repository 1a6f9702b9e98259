"""How moves become updates, one way per file."""
