"""Trained things: the store that keeps them, generators, classifiers, the user's own."""
