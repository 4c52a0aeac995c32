"""What an evaluation found, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from ..scores.measures import decimals, in_brief
from ..words import interval, number, plain, plural
from .drift import in_words, notable
from .evaluation import Evaluation

CALIBRATION = ("slope", "intercept", "observed_expected")

NAMED = 5
"""Columns that differ most, which are named."""


def evaluation_text(found: Evaluation) -> str:
    """Return the measures beside those of the training, calibration, and what differs most."""
    return plain("\n".join(_lines(found)))


def _lines(found: Evaluation) -> Iterator[str]:
    here, there, differences = found.site.metrics, found.run.metrics, found.differences()
    yield f"{found.run.path} on {here.cache.path}: {there.method}, {there.task_title}, {plural(here.samples, 'sample')}"
    for name, measure in in_brief(here.kind, here.measures).items():
        score, own, apart = found.measures[name], there.measures[name], differences[name]
        places = decimals(measure, score.value)
        bounds = f" {interval(score.ci, places)}" if score.ci else ""
        change = ""
        if apart is not None and apart.value is not None:
            change = f", {number(apart.value, places, signed=True)} {interval(apart.ci, places)}"
        training = f"in training {number(own.mean, places)}{change}"
        yield f"  {measure.title:18} {number(score.value, places)}{bounds}, {training}"
    if (agreed := here.calibration) is not None:
        yield (
            f"  {'calibration':18} slope {number(agreed.slope, 2)}, intercept {number(agreed.intercept, 2)}, "
            f"observed / expected {number(agreed.observed_expected, 2)}"
        )
    if found.recalibrated is not None:
        yield f"  recalibrated by {plural(found.recalibrated.fitted_on, 'patient')}, judged by the others:"
        for name, values in found.recalibrated.measures.items():
            scores = [
                f"{measure.title} {number(values.get(key))}" for key, measure in in_brief(here.kind, values).items()
            ]
            one = found.recalibrated.calibration.get(name, {})
            scores += [f"{key.replace('_', ' / ')} {number(one[key], 2)}" for key in CALIBRATION if key in one]
            yield f"    {name:16} {', '.join(scores)}"
    if found.drift is not None:
        worth = notable(found.drift)
        named = "; ".join(
            f"{in_words(row)}: {number(row['difference'], 2, signed=True)} sd, known by "
            f"{number(row['share_here'], 2)} here and {number(row['share_there'], 2)} in training"
            for row in worth.head(NAMED).to_dicts()
        )
        yield f"  {plural(len(worth), 'column')} of {len(found.drift)} differ" + (f": {named}" if named else "")
    yield from (f"  {note}" for note in here.notes)
    yield "For research, not for clinical decisions."
