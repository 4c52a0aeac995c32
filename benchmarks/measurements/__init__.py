"""What `performance.py` measures: a module for each family of rows, and what they share."""
