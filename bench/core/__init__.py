"""The ground floor: what every package of ours may import. Standard library, NumPy and torch."""
