"""From a feature cache to fusion models: in-memory batches, encoders, methods, training and runs."""
