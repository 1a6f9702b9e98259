"""Layers of players under a name, one kind per file."""
