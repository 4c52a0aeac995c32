"""What the probabilities would be worth to who acts on them: alerts, calibration, net benefit, subgroups."""

from collections.abc import Iterator

from ..runs.metrics import Subgroup
from ..runs.run import Run
from ..scores import curves as scores
from ..scores.subgroups import FEWEST
from ..words import count, interval, number, percent
from .blocks import Beside, Block, Cell, Section, Table, Text, measured


def decisions_section(run: Run) -> Section | None:
    """Return the chapter on decisions; None unless the task is binary and the predictions have both outcomes."""
    if run.metrics.kind != "binary" or scores.auroc(run.tested.y[:, 0], run.tested.p[:, 0]) is None:
        return None
    small = (*_alert(run), *_calibration(run))
    blocks = (*([Beside(small)] if small else []), *_subgroups(run))
    return Section("decisions", "What acting on the predictions would gain", blocks) if blocks else None


def _alert(run: Run) -> Iterator[Table]:
    found = run.metrics.alert
    if found is None:
        return
    shares = {name: found.measured(name) for name in ("sensitivity", "specificity", "positive_predictive_value")}
    rows = tuple(
        (words, number(shares[name].value), interval(shares[name].ci))
        for words, name in (
            ("positives that alert (sensitivity)", "sensitivity"),
            ("negatives that do not (specificity)", "specificity"),
            ("alerts that are positive (positive predictive value)", "positive_predictive_value"),
        )
    )
    yield Table(
        "Alerting for the highest probabilities",
        ("share of", "value", "95 % interval"),
        rows,
        reading=f"If at most {percent(found.rate, 1)} of the samples may alert: {count(found.alerts)} of "
        f"{count(found.samples)} do, those with a probability of at least {number(found.threshold)}.",
    )


def _calibration(run: Run) -> Iterator[Table]:
    found = run.metrics.calibration
    if found is None:
        return
    rows = tuple(
        (words, measured(found, name), ideal, reading)
        for words, name, ideal, reading in (
            ("slope", "slope", "1", "below 1: too extreme"),
            ("intercept", "intercept", "0", "below 0: too high on average"),
            ("observed over expected positives", "observed_expected", "1", "below 1: too high on average"),
            ("expected calibration error", "ece", "0", "mean distance in ten groups by probability"),
        )
    )
    columns = ("calibration", "this model", "ideal", "reading")
    yield Table("Do the probabilities mean what they say?", columns, rows, words=("reading",))


def _subgroups(run: Run) -> Iterator[Block]:
    groups = run.metrics.per_subgroup
    if not groups:
        return
    columns = ("group", "samples", "positive", "AUROC", "gap", "sensitivity", "gap", "observed / expected")
    yield Table("By who the patients are", columns, tuple(map(_subgroup, groups)), sortable=True)
    yield Text(
        "All with 95 % intervals. Gap: this group minus the largest one of the same kind; an interval without 0 is a "
        "difference beyond chance, though of many such intervals one in twenty leaves it out by chance. Sensitivity: "
        "share of the group's positives that alert, all groups by the same probability, see above. Observed over "
        "expected: positives by the sum of the predicted probabilities; above 1 they are too low for the group. No "
        f"model was told the groups, unless its inputs hold them. Groups of fewer than {FEWEST} patients are put "
        "together, and left out where they are too few together.",
        tone="aside",
    )


def _subgroup(group: Subgroup) -> tuple[Cell, ...]:
    return (
        f"{group.group.replace('_', ' ')} {group.value}",
        count(group.samples),
        count(group.positives),
        measured(group, "auroc"),
        measured(group, "auroc_gap", signed=True),
        measured(group, "sensitivity"),
        measured(group, "sensitivity_gap", signed=True),
        measured(group, "observed_expected", 2),
    )
