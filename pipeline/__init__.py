"""Raw clinical records -> feature cache."""
