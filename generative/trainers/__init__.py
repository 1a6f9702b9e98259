"""Engines that turn a recipe into a trained model, step by step."""
