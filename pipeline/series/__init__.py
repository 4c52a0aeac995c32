"""Timed values as rows of bins: times, binning, carrying forward, spilling to disk; knows no data set."""
