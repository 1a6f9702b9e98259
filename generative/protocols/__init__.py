"""Networks, optimisers and schedules as named papers fixed them."""
