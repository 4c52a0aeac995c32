"""Plan, encode, commit: an extraction of any data set, killed anywhere and started again with the same bytes."""
