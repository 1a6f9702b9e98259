"""What generators are made of a protocol's layers, one form per file."""
