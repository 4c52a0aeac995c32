"""The folder that a training leaves: made, read, asked for predictions, replayed."""
