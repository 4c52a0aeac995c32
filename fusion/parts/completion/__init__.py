"""What goes into the slots of modalities that a sample lacks."""
