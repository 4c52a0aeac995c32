"""Images: decoded in worker processes, and a frozen encoder that gives one vector per image."""
