"""What `bench attack` does: one classifier under one attack, and whether to believe it."""
