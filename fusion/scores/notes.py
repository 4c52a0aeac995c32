"""What a reader of a run must know before believing it, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..inputs.groups import Groups
from . import agreement
from .intervals import LEVEL, Measured, Subjects
from .measures import MEASURES, PRIMARY
from .metrics import FloatArray
from .paired import holm
from .subgroups import Outcomes

FEW = 100
"""Fewer test positives or negatives than this tell too little to conclude anything."""

RATIO_RANGE = (0.8, 1.25)
"""Fewer or more positives than this many times the expected ones are worth a warning, unless chance explains them."""

LABEL = "label"


def size_notes(
    kind: str,
    without_input: int,
    folds: Sequence[Mapping[str, Any]],
    truth: FloatArray,
    counted: str = "samples",
    subjects: Subjects | None = None,
) -> list[str]:
    """Say who was left out, and where there is too little to test on.

    ``folds`` are rows of metrics.json, ``truth`` [N, K] binary labels of all tested samples; of other outcomes the
    labels as in `Task`. ``counted`` says what there are ``without_input``: samples or predictions. Several predictions
    of a patient are no more to test on than one: given their ``subjects`` [N], patients are counted.
    """
    notes = []
    if without_input:
        notes.append(f"{without_input:,} {counted} of the task have none of the modalities and were left out.")
    few = {"survival": _few_events, "regression": _few_values}.get(kind, _few_of_a_class)
    return notes + few(kind, folds, truth, subjects)


def _count(rows: npt.NDArray[np.bool_], subjects: Subjects | None) -> int:
    """Return how many samples there are, rows [N]; or how many patients, if it is known whose they are."""
    return int(rows.sum()) if subjects is None else len(np.unique(subjects[rows]))


def _few_events(kind: str, folds: Sequence[Mapping[str, Any]], y: FloatArray, subjects: Subjects | None) -> list[str]:
    notes = []
    title, without = (
        MEASURES.get(PRIMARY[kind]).title,
        [str(row["fold"]) for row in folds if row[PRIMARY[kind]] is None],
    )
    if without:
        notes.append(f"Fold {', '.join(without)} has no event to compare: no {title}; the mean leaves it out.")
    if (events := _count(y[:, 1] == 1, subjects)) < FEW:
        found = f"There are {events} events" if subjects is None else f"{events} patients have the event"
        notes.append(f"{found} in the test, fewer than {FEW}: too few to conclude anything.")
    if lost := int(((y[:, 0] == 0) & (y[:, 1] == 0)).sum()):
        notes.append(f"{lost} samples are censored at time 0: of them nothing is known, and nothing learnt.")
    return notes


def _few_values(_: str, __: Sequence[Mapping[str, Any]], y: FloatArray, subjects: Subjects | None) -> list[str]:
    known = min(_count(~np.isnan(column), subjects) for column in y.T)
    what = "known values" if subjects is None else "patients with a known value"
    return [f"An outcome has {known} {what} in the test, fewer than {FEW}."] if known < FEW else []


def _few_of_a_class(
    kind: str, folds: Sequence[Mapping[str, Any]], truth: FloatArray, subjects: Subjects | None
) -> list[str]:
    primary, notes = PRIMARY[kind], []
    single = [str(row["fold"]) for row in folds if row[primary] is None]
    if single:
        notes.append(
            f"Fold {', '.join(single)} has test samples of one class only: no {MEASURES.get(primary).title}; the mean "
            "leaves it out."
        )
    fewest = min(_count(column == value, subjects) for column in truth.T for value in (0, 1))
    if fewest < FEW:
        what = "test samples" if subjects is None else "patients in the test"
        notes.append(
            f"The smaller class of a label has {fewest} {what}, fewer than {FEW}: too few to conclude anything."
        )
    return notes


def missing_notes(kind: str, missing: Mapping[str, Any] | None) -> list[str]:
    """Say what was hidden on purpose, and what that cost."""
    if missing is None:
        return []
    what = "one of their modalities" if missing["modality"] is None else missing["modality"]
    where = "in the test alone" if missing["protocol"] == "test" else "in training and test"
    notes = [f"{missing['rate']:.0%} of the samples that could lost {what} on purpose, {where}."]
    if missing["protocol"] == "test":
        primary = PRIMARY[kind]
        complete, drawn = (missing[key][primary]["mean"] for key in ("complete", "over_draws"))
        if complete is not None:
            draws = "1 draw" if missing["draws"] == 1 else f"{missing['draws']} draws"
            title = MEASURES.get(primary).title
            notes.append(f"{title} (mean over folds) {complete:.3f} with nothing hidden, {drawn:.3f} over {draws}.")
    return notes


def data_notes(dataset: str, recipes: Mapping[str, Any], given: Sequence[str] = ()) -> list[str]:
    """Say what decides whether any number means something: made-up data, encoders that have learned nothing.

    ``recipes`` are how the rows of each modality were made. What the ``given`` notes say already is not repeated.
    """
    notes, said = [], " ".join(given).lower()
    if "synth" in dataset and "synthetic" not in said:
        notes.append("The data are synthetic: no number here says anything about patients.")
    random = [name for name, recipe in recipes.items() if _uses_random_encoder(recipe)]
    if random and "random" not in said:
        notes.append(
            f"Encoders with random weights were used for {' and '.join(random)}: fine to try the software, but scores "
            "say nothing about what these data hold."
        )
    return notes


def _uses_random_encoder(recipe: Any) -> bool:
    """Return whether ``random`` is the value of a key named encoder, weights or name, at any depth of a recipe."""
    if not isinstance(recipe, Mapping):
        return False
    named = any(recipe.get(key) == "random" for key in ("encoder", "weights", "name"))
    return named or any(_uses_random_encoder(inner) for inner in recipe.values())


@dataclass(frozen=True)
class Check:
    """Whether the probabilities of some samples are off in size: observed over expected, and the p-value of 1.

    ``grouping`` is what ``name`` is one of, "" for all samples, `LABEL` for those of one label. The ratio of a group is
    relative to that of all samples.
    """

    grouping: str
    name: str
    ratio: Measured
    p: float


def group_checks(groups: Groups, tested: Outcomes) -> list[Check]:
    """Check all samples, and every group of each grouping, ``groups`` [n], relative to them."""
    y, p, subjects = tested.y, tested.p, tested.subjects
    made = _check("", "", tested)
    for grouping, of_sample in groups.items():
        for name in np.unique(of_sample[of_sample != ""]):
            found = agreement.relative_to_everybody(of_sample == name, y, p, subjects)
            if found is not None:
                made.append(Check(grouping, str(name), *found))
    return made


def label_checks(labels: Mapping[str, Outcomes]) -> list[Check]:
    """Check every label of a task with several."""
    return [check for label, tested in labels.items() for check in _check(LABEL, label, tested)]


def _check(grouping: str, name: str, tested: Outcomes) -> list[Check]:
    ratio = agreement.observed_expected(tested.y, tested.p, tested.subjects)
    p = agreement.p_of_everybody(tested.y, tested.p, tested.subjects)
    return [] if ratio is None or p is None else [Check(grouping, name, ratio, p)]


def calibration_notes(made: Sequence[Check]) -> list[str]:
    """Say where probabilities are off in size: first of all samples, then of groups relative to them.

    Named is what lies outside `RATIO_RANGE` with a p-value below .05 after Holm's correction for all checks, so that of
    the runs whose probabilities are right at most one in twenty gets any such note.
    """
    adjusted = holm([check.p for check in made])
    off: dict[str, list[Check]] = {}
    for check, p in zip(made, adjusted, strict=True):
        if p is not None and p < LEVEL and not RATIO_RANGE[0] <= check.ratio.value <= RATIO_RANGE[1]:
            off.setdefault(check.grouping, []).append(check)
    return [_off(grouping, found) for grouping, found in off.items()]


def _off(grouping: str, found: Sequence[Check]) -> str:
    if not grouping:
        return f"Of all samples {_times(found[0].ratio)} as many as predicted are positive; probabilities are off."
    relative = "" if grouping == LABEL else ", relative to all samples"
    named = "; ".join(f"{check.name} {_times(check.ratio)}" for check in found)
    return f"Positives for each predicted one by {grouping}{relative}: {named}."


def _times(ratio: Measured) -> str:
    return f"{ratio.value:.2f} times (95 % interval {ratio.low:.2f} to {ratio.high:.2f})"


def horizon_notes(horizons: Sequence[Mapping[str, Any]], unit: str) -> list[str]:
    """Say if other than the expected events came up to the last of the times of `outcome_agreement.at_horizons`.

    Named is what lies outside `RATIO_RANGE` with an interval without 1.
    """
    if not horizons or horizons[-1]["observed_expected"] is None:
        return []
    last = horizons[-1]
    ratio = Measured(last["observed_expected"], *last["observed_expected_ci"])
    if ratio.low <= 1 <= ratio.high or RATIO_RANGE[0] <= ratio.value <= RATIO_RANGE[1]:
        return []
    by = f"{last['time']:g} {unit}".rstrip()
    return [f"By {by} there were {_times(ratio)} as many events as predicted; predicted chances are off."]


def decisive_notes(dataset: str, recipes: Mapping[str, Any], given: Sequence[str]) -> tuple[str, ...]:
    """Return what decides whether any number means something, unless the ``given`` notes say it in other words."""
    said = [*given, *data_notes(dataset, recipes, given)]
    return tuple(note for note in data_notes(dataset, recipes) if note in said)
