"""The parts of a GAN that grows (Karras et al. 2018), one per file."""
