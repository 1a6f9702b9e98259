"""Recipes: what to train and how, as frozen records."""
