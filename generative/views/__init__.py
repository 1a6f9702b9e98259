"""What the critic sees of reals and fakes alike, one view per file."""
