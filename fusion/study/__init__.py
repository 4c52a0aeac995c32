"""Studies: declared grids of trainings, run cell by cell, and what follows from all of them together."""
