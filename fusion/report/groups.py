"""For whom a model works: what it reaches in every group of patients, and where groups differ beyond chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..runs.metrics import Subgroup
from ..runs.run import Run
from ..scores.fairness import CORRECTED, FEWEST_OUTCOMES, GAP
from ..scores.intervals import LEVEL
from ..scores.measures import MEASURES, PRIMARY, decimals
from ..scores.subgroups import FEWEST
from ..words import ASPECTS, count, listing, number, plural
from .blocks import Block, Figures, Folded, Section, Table, Text, measured
from .trust_figures import Gap, gaps_figure

Titles = Mapping[str, str]
"""What groups are compared by, and what it is called."""

DRAWN = ("sensitivity", "accuracy", "observed_expected", "bias")
"""Differences that are drawn beside those of the primary measure, and those with any beyond chance."""

MOST_NAMED = 8
"""Of more differences only those are named that are left after the correction."""

MOST_TOO_FEW = 4
"""More groups that are too small to be compared are folded."""

IN_UNITS = ("mae", "bias")
SIGNED = ("bias", "observed_minus_expected")

MEANINGS = {
    "sensitivity": "Sensitivity: share of the group's positives that alert, all groups by the same probability.",
    "specificity": "Specificity: share of its negatives that do not.",
    "accuracy": "Accuracy: share of samples whose most probable class is the true one.",
    "observed_expected": "Observed / expected: above 1, predictions are too low for the group.",
    "observed_minus_expected": "Observed − expected: share of positives less the mean probability.",
    "bias": "Predicted − measured: above 0, predictions are too high.",
}
NOT_EQUAL = "That does not mean that there is none: a small group hides a large difference."
READING = (
    "All with 95 % intervals. {meanings} Differences: this group less the largest one of the same kind. No model was "
    "told the groups, unless its inputs hold them. Groups of fewer than {fewest} patients are put together, and left "
    "out where they are too few together."
)


def groups_section(run: Run) -> Section | None:
    """Return the chapter on groups of patients; None where the cache names none."""
    groups, kind = run.metrics.per_subgroup, run.metrics.kind
    if not groups:
        return None
    places = decimals(MEASURES.get(PRIMARY[kind]), run.metrics.measures[PRIMARY[kind]].mean)
    return Section("groups", "For whom it works", tuple(group_blocks(groups, kind, places)))


def group_blocks(groups: Sequence[Subgroup], kind: str, places: int) -> Iterator[Block]:
    """Yield what is known of groups: in words, as figures of differences, and as tables.

    ``places`` is the number of decimals of what is in the unit of the outcome.
    """
    primary = PRIMARY[kind]
    titles = {primary: MEASURES.get(primary).title, **ASPECTS}
    titles = {name: title for name, title in titles.items() if name in groups[0].entries}
    yield from _extremes(groups, primary, titles[primary], places)
    yield from _beyond_chance([gap for name, title in titles.items() for gap in _gaps(groups, name, f"{title} of ")])
    yield from _too_few(groups)
    gaps = {name: _gaps(groups, name) for name in titles}
    drawn = [name for name in titles if name in (primary, *DRAWN) or any(gap.is_beyond_chance for gap in gaps[name])]
    if figures := tuple(gaps_figure(titles[name], gaps[name]) for name in drawn if gaps[name]):
        yield Figures(figures)
    reading = READING.format(meanings=" ".join(MEANINGS[name] for name in titles if name in MEANINGS), fewest=FEWEST)
    tables = (_reached(groups, titles, places), *_differences(groups, titles, places))
    yield Folded(f"By who the patients are: {plural(len(groups), 'group')}", (*tables, Text(reading, tone="aside")))


def group_name(group: Subgroup) -> str:
    """Return ``age 80+``, or ``icu type Medical``."""
    return f"{group.group.replace('_', ' ')} {group.value}"


def _gaps(groups: Sequence[Subgroup], name: str, of: str = "") -> list[Gap]:
    """Return the differences of some groups in one thing, ``of`` before the name of each."""
    gaps = []
    for group in groups:
        found, p = group.measured(name + GAP), group.entries.get(name + GAP + CORRECTED)
        if found.value is not None and found.ci is not None:
            gaps.append(Gap(of + group_name(group), found.value, *found.ci, p if isinstance(p, float) else None))
    return gaps


def _extremes(groups: Sequence[Subgroup], primary: str, title: str, places: int) -> Iterator[Text]:
    """Say how far the groups lie apart."""
    found = {group_name(group): value for group in groups if (value := group.measured(primary).value) is not None}
    if len(found) > 1:
        low, high = min(found, key=found.__getitem__), max(found, key=found.__getitem__)
        yield Text(
            f"By who the patients are, the {title} lies between {number(found[low], places)} ({low}) and "
            f"{number(found[high], places)} ({high}). Each group is compared with the largest of the same kind whose "
            "name is known."
        )


def _beyond_chance(gaps: Sequence[Gap]) -> Iterator[Text]:
    """Say which differences are beyond chance, one by one, and after the correction for all of them."""
    if not gaps:
        return
    alone = [gap.name for gap in gaps if not gap.low <= 0 <= gap.high]
    left = [gap.name for gap in gaps if gap.is_beyond_chance]
    verb = "does" if len(alone) == 1 else "do"
    said = [
        f"{plural(len(gaps), 'difference')} were looked at. If there were none at all, the 95 % intervals of about "
        f"{number(LEVEL * len(gaps), 1)} would leave 0 out by chance; {len(alone)} {verb}."
    ]
    if 0 < len(alone) <= MOST_NAMED:
        said.append(f"One by one: {listing(alone)}.")
    if left:
        said.append(f"After the correction for all of them (Holm) beyond chance: {listing(left)}.")
    elif any(gap.p is not None for gap in gaps):
        said.append(f"After the correction for all of them (Holm) none is beyond chance. {NOT_EQUAL}")
    yield Text(" ".join(said), "warning" if left else "plain")


def _too_few(groups: Sequence[Subgroup]) -> Iterator[Block]:
    few = [f"{group_name(group)} ({group.too_few})" for group in groups if group.too_few]
    why = f"Not compared, for want of {FEWEST_OUTCOMES} patients"
    if len(few) > MOST_TOO_FEW:
        yield Folded(f"{why}: {plural(len(few), 'group')}", (Text(f"{'; '.join(few)}."),))
    elif few:
        yield Text(f"{why}: {'; '.join(few)}.")


def _reached(groups: Sequence[Subgroup], titles: Titles, places: int) -> Table:
    """Return what every group reaches."""
    counted = {name: title for name, title in (("positives", "positive"), ("events", "events"))
               if getattr(groups[0], name) is not None}  # fmt: skip
    rows = tuple(
        (
            group_name(group),
            count(group.samples),
            *(count(getattr(group, name)) for name in counted),
            *(measured(group, name, _decimals(name, places), signed=name in SIGNED) for name in titles),
        )
        for group in groups
    )
    columns = ("group", "samples", *counted.values(), *titles.values())
    return Table("By who the patients are", columns, rows, sortable=True)


def _differences(groups: Sequence[Subgroup], titles: Titles, places: int) -> Iterator[Table]:
    """Yield the differences of every group that is compared, if any is."""
    compared = [group for group in groups if any(group.measured(name + GAP).ci for name in titles)]
    has = {name: title for name, title in titles.items() if any(group.measured(name + GAP).ci for group in compared)}
    rows = tuple(
        (
            f"{group_name(group)} less {group.reference or 'the largest'}",
            *(measured(group, name + GAP, _decimals(name, places), signed=True) for name in has),
        )
        for group in compared
    )
    if rows:
        yield Table("Differences to the largest group", ("group", *has.values()), rows, sortable=True)


def _decimals(name: str, places: int) -> int:
    return places if name in IN_UNITS else 2 if name == "observed_expected" else 3
