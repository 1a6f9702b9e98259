"""What there is and what to cite: of every registered part, of suites, of runs."""
