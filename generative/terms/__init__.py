"""What a player minimises beside its loss, one term per file."""
