"""The ledger of what papers claimed: each claim, its verdict here, and the run that says so."""
