"""Pictures of a run, of an attack, and sheets of samples."""
