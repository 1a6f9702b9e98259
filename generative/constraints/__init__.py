"""Constraints on the critic's weights, one per file; each registers its recipe too."""
