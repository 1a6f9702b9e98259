"""Rows in, tables out. Nothing here imports torch."""
