"""What `bench run` and `bench plan` do: a suite planned, resumed, driven, each cell guarded."""
