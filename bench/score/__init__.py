"""What `bench score` does: two sets of samples, held against each other."""
