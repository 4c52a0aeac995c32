"""From a cache to batches: cohort, rows, splits, hidden modalities, normalisation; nothing here knows a model."""
