"""Adversarial attacks: images in, images out."""
