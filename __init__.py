"""Clinical records encoded once, fused many times."""
