"""The largest numbers that any verb takes."""

MAX_SAMPLES = 100_000
MAX_THREADS = 1_024
MAX_SIDE = 4_096
MAX_CHECK_SEEDS = 100
"""Of what is measured once for each, such as planted faults."""
MAX_SEED = 2**31 - 1
