"""Small grids for tests."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from omnifuse.fusion.study.grid import Grid, make_grid

SHARED = {"folds": 2, "settings": ["fit.epochs=1"]}
"""Two folds of one epoch: quick, and good for nothing else."""


def grid(*experiments: dict[str, Any], **shared: Any) -> Grid:
    return make_grid("toy", {**SHARED, **shared, "experiments": list(experiments)}, "toy.yaml")


class InThisProcess(Executor):
    """Runs everything at once where it is submitted."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future
