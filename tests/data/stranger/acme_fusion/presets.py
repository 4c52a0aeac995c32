"""Grids of this package."""

from pathlib import Path

GLANCE = Path(__file__).with_name("glance.yaml")
