"""Tasks of one's own: a small language, read from YAML, executed over frames, and labels made elsewhere."""
