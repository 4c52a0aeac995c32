"""Variables of one's own: any items of any table of events, from starter sets or a user's YAML file."""
