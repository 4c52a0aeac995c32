"""Who is in the data: counts after every filter, and which modalities they have."""

from ..runs.run import Run
from ..words import count, percent
from .blocks import Bar, Block, Cell, Dot, Section, Table, Text


def cohort_section(run: Run) -> Section | None:
    """Return the chapter on the cohort; None if the run recorded neither counts nor presence."""
    blocks = (*_flow(run), *_presence(run))
    return Section("cohort", "Who is in the data", blocks, _gist(run), folded=True) if blocks else None


def _gist(run: Run) -> str:
    steps = run.metrics.cohort
    flow = f"{count(steps[-1][1])} of {count(steps[0][1])} {steps[0][0]} are left. " if steps else ""
    return flow + (_lacking(run) if run.metrics.presence else "")


def _flow(run: Run) -> tuple[Block, ...]:
    steps = run.metrics.cohort
    if not steps:
        return ()
    largest = max(kept for _, kept in steps) or 1
    before = [None, *(kept for _, kept in steps[:-1])]
    rows = tuple(
        (name, count(kept), "" if earlier is None else count(earlier - kept), Bar(kept / largest))
        for (name, kept), earlier in zip(steps, before, strict=True)
    )
    return (Table("How many are left after each filter", ("filter", "left", "removed", ""), rows),)


def _presence(run: Run) -> tuple[Block, ...]:
    presence = run.metrics.presence
    if not presence:
        return ()
    total, largest = sum(presence.values()), max(*presence.values(), 1)
    members = {combination: set(combination.split("+")) for combination in presence}
    rows = tuple(
        (_name(combination), count(n), percent(n, total), Bar(n / largest), *_dots(members[combination], run))
        for combination, n in sorted(presence.items(), key=lambda item: -item[1])
    )
    kept: tuple[Cell, ...] = tuple(
        percent(sum(n for combination, n in presence.items() if name in members[combination]), total)
        for name in run.metrics.modalities
    )
    columns = ("combination", "samples", "share", "", *run.metrics.modalities)
    return (
        Text("A missing modality has no rows in the cache; it is never a row of zeros."),
        Table("Which modalities the samples have", columns, rows, total=("all samples", count(total), "", "", *kept)),
    )


def _lacking(run: Run) -> str:
    presence = run.metrics.presence
    incomplete = sum(
        n for combination, n in presence.items() if not {*combination.split("+")}.issuperset(run.metrics.modalities)
    )
    if not incomplete:
        return "No sample lacks a modality."
    return f"{percent(incomplete, sum(presence.values()))} of the samples lack at least one modality."


def _dots(members: set[str], run: Run) -> tuple[Cell, ...]:
    return tuple(Dot(name in members) for name in run.metrics.modalities)


def _name(combination: str) -> str:
    return " + ".join(filter(None, combination.split("+"))) or "none"
