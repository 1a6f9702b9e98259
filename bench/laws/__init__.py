"""What must hold for every part: `base.load()` imports all of it and fills `base.LAWS`."""
