"""What the probabilities would be worth to who acts on them: alerts, calibration, net benefit, subgroups."""

from collections.abc import Iterator, Sequence

from ..runs.metrics import Subgroup
from ..runs.run import Run
from ..scores.curves import has_both_outcomes
from ..scores.subgroups import FEWEST
from ..words import count, interval, listing, number, percent, plural
from .blocks import Beside, Block, Cell, Folded, Section, Table, Text, measured


def decisions_section(run: Run) -> Section | None:
    """Return the chapter on decisions; None unless the task is binary and the predictions have both outcomes."""
    if run.metrics.kind != "binary" or not has_both_outcomes(run.tested.y[:, 0], run.tested.p[:, 0]):
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
    yield from _extremes(groups)
    columns = ("group", "samples", "positive", "AUROC", "gap", "sensitivity", "gap", "observed / expected")
    table = Table("By who the patients are", columns, tuple(map(_subgroup, groups)), sortable=True)
    reading = Text(
        "All with 95 % intervals. Gap: this group minus the largest one of the same kind; an interval without 0 is a "
        "difference beyond chance, though of many such intervals one in twenty leaves it out by chance. Sensitivity: "
        "share of the group's positives that alert, all groups by the same probability, see above. Observed over "
        "expected: positives by the sum of the predicted probabilities; above 1 they are too low for the group. No "
        f"model was told the groups, unless its inputs hold them. Groups of fewer than {FEWEST} patients are put "
        "together, and left out where they are too few together.",
        tone="aside",
    )
    yield Folded(f"By who the patients are: {plural(len(groups), 'group')}", (table, reading))


def _extremes(groups: Sequence[Subgroup]) -> Iterator[Text]:
    """Say how far the groups lie apart, and which gaps are beyond chance one by one."""
    found = {group_name(group): group.measured("auroc").value for group in groups}
    areas = {name: area for name, area in found.items() if area is not None}
    if len(areas) < 2:
        return
    low, high = min(areas, key=areas.__getitem__), max(areas, key=areas.__getitem__)
    apart = [group_name(group) for group in groups if (gap := group.measured("auroc_gap").ci) and not _holds_zero(gap)]
    beyond = f"beyond chance, one by one: {listing(apart)}" if apart else "none of them beyond chance"
    yield Text(
        f"By who the patients are, the AUROC lies between {number(areas[low])} ({low}) and {number(areas[high])} "
        f"({high}); gaps to the largest group of the same kind: {beyond}."
    )


def _holds_zero(bounds: tuple[float, float]) -> bool:
    return bounds[0] <= 0 <= bounds[1]


def group_name(group: Subgroup) -> str:
    """Return ``age 80+``, or ``icu type Medical``."""
    return f"{group.group.replace('_', ' ')} {group.value}"


def _subgroup(group: Subgroup) -> tuple[Cell, ...]:
    return (
        group_name(group),
        count(group.samples),
        count(group.positives),
        measured(group, "auroc"),
        measured(group, "auroc_gap", signed=True),
        measured(group, "sensitivity"),
        measured(group, "sensitivity_gap", signed=True),
        measured(group, "observed_expected", 2),
    )
