"""The parts of a style generator (Karras et al. 2019, 2020), one per file."""
