"""A MEDS folder of events with a table of labels."""
