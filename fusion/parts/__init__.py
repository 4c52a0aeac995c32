"""Blocks that several methods share: targets, encoders, pooling, heads, filling in what is missing."""
