"""A user's own table of texts, images, numbers and events."""
