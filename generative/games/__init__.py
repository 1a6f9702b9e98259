"""Games: who plays, and what each move minimises; one file for each family."""
