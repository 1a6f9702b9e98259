"""What `bench compare`, `baseline` and `calibrate` do, and the check that the gate can fall."""
