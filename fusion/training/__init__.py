"""The one training loop, the search of settings, folds, and one fitted model."""
