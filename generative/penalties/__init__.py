"""Gradient penalties on the critic, one per file; each registers its recipe too."""
