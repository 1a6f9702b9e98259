"""What a user brings: a classifier of their own, and images with labels."""
