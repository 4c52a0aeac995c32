"""A user's own features, joined by sample id."""
