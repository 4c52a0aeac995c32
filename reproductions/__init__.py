"""Published work to be done again: what its cohort was and how many it counted, its numbers, and where they stand."""
