"""How sure methods are, beside each other: sets that hold the truth, and errors of who may stay silent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...scores.conformal import verdict
from ...words import percent
from ..finished import FinishedCell
from ..results import Column, Estimate, Item, ResultFigure, ResultTable, Series, Value


def set_items(runs: Mapping[str, FinishedCell]) -> Iterator[Item]:
    """Yield coverage and size of the sets of each method, and the curves of their errors, as far as runs have them."""
    with_sets = {method: run for method, run in runs.items() if run.metrics.conformal}
    if with_sets:
        yield _coverage(with_sets)
    if any(run.metrics.abstention for run in runs.values()):
        yield _silence(runs)


def _coverage(runs: Mapping[str, FinishedCell]) -> ResultTable:
    rows: list[tuple[Value, ...]] = []
    level = ""
    for method, run in runs.items():
        found = run.metrics.conformal
        assert found is not None, "runs without sets are left out"
        level = percent(found.level, 1, 0)
        for row in found.coverage:
            covered = Estimate(row.covered, *row.covered_ci)
            sizes = row.empty, row.single, row.several, row.width
            rows.append((method, row.part, row.samples, covered, verdict(found.level, row.covered_ci), *sizes))
    return ResultTable(
        "trust-sets",
        "Sets that hold the truth",
        f"Asked for were {level} of each class; what decides a set comes from the other folds. Coverage, with its 95 % "
        "interval, does not hold where that lies below. A set of one answer is a clear case, one of several says that "
        "the model cannot tell.",
        tuple(map(Column, ("method", "part", "samples", "coverage", "verdict", "empty", "one answer", "several",
                           "width"))),
        tuple(rows),
        folded=True,
    )  # fmt: skip


def _silence(runs: Mapping[str, FinishedCell]) -> ResultFigure:
    series = []
    for method, run in runs.items():
        points = run.metrics.abstention.points if run.metrics.abstention else ()
        if points:
            x, y = tuple(point.share for point in points), tuple(point.error for point in points)
            low, high = zip(*(point.error_ci for point in points), strict=True)
            series.append(Series(method, x, y, low, high))
    return ResultFigure(
        "trust-silence",
        "Error of who may stay silent",
        "Each method answers the share of the samples that it is most certain of, and errs where its most probable "
        "answer is not the true one. With 95 % intervals.",
        "share of samples answered",
        "share of these in error",
        tuple(series),
    )
