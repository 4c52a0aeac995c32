"""A finished run among other patients: how well it does there, what is different there, and what mends it."""
