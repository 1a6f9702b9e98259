"""What `bench sample` does: a trained model of a run, looked at."""
