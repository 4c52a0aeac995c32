"""Small grids for tests."""

from typing import Any

from omnifuse.fusion.study.grid import Grid, make_grid

SHARED = {"folds": 2, "settings": ["fit.epochs=1"]}
"""Two folds of one epoch: quick, and good for nothing else."""


def grid(*experiments: dict[str, Any], **shared: Any) -> Grid:
    return make_grid("toy", {**SHARED, **shared, "experiments": list(experiments)}, "toy.yaml")
