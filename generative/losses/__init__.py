"""Adversarial losses, one per file; each registers its recipe too."""
