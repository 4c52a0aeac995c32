"""The page of results: JSON of one or more runs -> Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from .measure import Spread, spread
from .row import Family, Figure, Form, Row

Json = Mapping[str, Any]

INTRODUCTION = """# Speed, measured

Written by `make bench`: ours beside the plainly written version of the same work, on the same inputs, in one run. Both
take turns, block by block; a figure is the median over blocks, in brackets the least and the greatest. Every version
runs in a process of its own. Where items are encoded, ours is a whole `extract` of a table; what next to no items take
(imports, loading the model, starting workers) is taken off on both sides and stands below as *start*.
"""

COMMANDS = """## Commands

```sh
make bench                # everything; QUICK=1: fewer items and turns
python benchmarks/performance.py --only texts,images --add
```

`--add` puts a run beside those that are there, and figures are then over all of them. `--page` writes the page again
from `benchmarks/results/performance.json`. Inputs are made up from seeds, weights too; they are kept in `--folder` and
used again.
"""

BUSY = 0.3
"""Processes a core that ran or waited before the measurements began, from which on the page warns."""

UNITS = {
    "copy_into_new_memory": "copying into new memory",
    "copy_into_same_memory": "copying into memory in use",
    "disk_write": "writing to disk, synced",
    "disk_read": "reading from disk",
}


def render(runs: Sequence[Json], families: Sequence[Family]) -> str:
    """Return the page of the runs; a row that none of them has is left out."""
    rows = {
        key: (row, found)
        for family in families
        for key, row in family.rows.items()
        if (found := [run["rows"][key] for run in runs if key in run["rows"]])
    }
    parts = [INTRODUCTION, _warning(runs), _verdicts(rows), _short(rows), _taken(rows), _machine(runs), COMMANDS]
    return "\n".join(part for part in parts if part)


def written(value: float, form: Form) -> str:
    """Return a figure as the page writes it."""
    if form == "share":
        return f"{value:.1%}" if value < 0.1 else f"{value:.0%}"
    if form == "number":
        return f"{value:.5f}" if 0.99 < value < 1 else f"{value:.2f}"
    return f"{value:.1f}×" if value < 100 else f"{value:.0f}×"


def goal(figure: Figure) -> str:
    """Return the bound of a figure in signs."""
    if figure.at_least is not None:
        return f"≥ {_bound(figure.at_least, figure.form)}"
    return "–" if figure.at_most is None else f"≤ {_bound(figure.at_most, figure.form)}"


def _bound(value: float, form: Form) -> str:
    return f"{value:.0%}" if form == "share" else f"{value:g}{'×' if form == 'times' else ''}"


def pooled(found: Sequence[Json], figure: str) -> Spread | None:
    """Return the spread of a figure over the turns of all runs, None where none has it."""
    values = [value for one in found for value in one["figures"].get(figure, ())]
    return spread(values) if values else None


def _warning(runs: Sequence[Json]) -> str:
    quick = sum(bool(run["quick"]) for run in runs)
    busy = max(run["load_before"] / run["machine"]["cores"] for run in runs)
    said = [f"Quick runs: {quick} of {len(runs)}, with fewer items and turns than the rows say."] if quick else []
    if busy > BUSY:
        said.append(f"**The machine was busy with other work ({busy:.1f} processes a core): nothing here is final.**")
    return " ".join(said) + "\n" if said else ""


def _verdicts(rows: Mapping[str, tuple[Row, Sequence[Json]]]) -> str:
    lines = ["| what | ours | plain | figure | goal | met |", "|---|--:|--:|---|---|---|"]
    for row, found in rows.values():
        title = f"**{row.title}**, beside {row.plain}" if row.plain != "–" else f"**{row.title}**"
        if missing := _missing(found):
            lines.append(f"| {title} | | | not measured: {missing} | {_goals(row)} | – |")
            continue
        seconds = {version: _per_item(found, version) for version in ("ours", "plain")}
        for key, figure in row.figures.items():
            if (values := pooled(found, key)) is None:
                continue
            value = f"**{written(values.median, figure.form)}** {figure.title}"
            if values.least != values.greatest:
                value += f" ({written(values.least, figure.form)} to {written(values.greatest, figure.form)})"
            met = {None: "–", True: "yes", False: "**no**"}[figure.met(values.median)]
            lines.append(f"| {title} | {seconds['ours']} | {seconds['plain']} | {value} | {goal(figure)} | {met} |")
            title, seconds = "", {"ours": "", "plain": ""}
    return "\n".join(lines) + "\n"


def _missing(found: Sequence[Json]) -> str:
    """Return why no run has a figure, nothing if one has."""
    return "" if any(one["figures"] for one in found) else str(found[-1]["missing"])


def _goals(row: Row) -> str:
    return ", ".join(goal(figure) for figure in row.figures.values() if goal(figure) != "–")


def _per_item(found: Sequence[Json], version: str) -> str:
    """Return the median seconds of a turn, or of an item where turns have several."""
    taken = [second / one[version].get("items", 1) for one in found for second in one[version].get("seconds", ())]
    if not taken:
        return "–"
    items = any("items" in one[version] for one in found)
    return f"{1000 * median(taken):,.1f} ms each" if items else f"{median(taken):,.2f} s"


def _short(rows: Mapping[str, tuple[Row, Sequence[Json]]]) -> str:
    """Return what limits the rows that fall short."""
    lines = []
    for row, found in rows.values():
        values = {key: pooled(found, key) for key in row.figures}
        missed = [
            f"{written(value.median, figure.form)} {figure.title}, not {goal(figure)}"
            for key, figure in row.figures.items()
            if (value := values[key]) is not None and figure.met(value.median) is False
        ]
        if missed:
            lines.append(f"- **{row.title}** ({'; '.join(missed)}): {row.limited_by}")
    return "\n".join(["## What limits the rows that fall short\n", *(lines or ["All goals are met."])]) + "\n"


def _taken(rows: Mapping[str, tuple[Row, Sequence[Json]]]) -> str:
    """Return seconds, CPU seconds, peak memory and start of both versions."""
    lines = ["| | version | seconds a turn | CPU seconds | peak memory | start |", "|---|---|--:|--:|--:|--:|"]
    notes = []
    for row, found in rows.values():
        title = row.title
        for version in ("ours", "plain"):
            measured = [one[version] for one in found if one[version]]
            if not measured:
                continue
            seconds, cpu = (_spread_text(measured, unit) for unit in ("seconds", "cpu_seconds"))
            start = [one["start_seconds"] for one in measured if "start_seconds" in one]
            starts = f"{median(start):.1f} s" if start else ""
            peak = max(one["peak_mib"] for one in measured)
            lines.append(f"| {title} | {version} | {seconds} | {cpu} | {peak:,} MiB | {starts} |")
            title = ""
        if note := found[-1]["note"]:
            notes.append(f"- {row.title}: {note}")
    explained = "Memory is the peak of the largest process. Of each row, in the last run:\n"
    return "\n".join(["## What both took\n", *lines, "", explained, *notes]) + "\n"


def _spread_text(measured: Sequence[Json], unit: str) -> str:
    values = spread([value for one in measured for value in one[unit]])
    if values.greatest == 0:
        return "–"
    if values.least == values.greatest:
        return f"{values.median:,.2f}"
    return f"{values.median:,.2f} ({values.least:,.2f} to {values.greatest:,.2f})"


def _machine(runs: Sequence[Json]) -> str:
    run = runs[-1]
    machine = run["machine"]
    gpu = machine["gpu"] or "no GPU"
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    limits = [f"- {UNITS[name]}: {rate:.1f} GB/s" for name, rate in run["limits"].items()]
    peaks = [f"- matrix product, {precision}: {rate / 1e9:,.0f} GFLOP/s" for precision, rate in run["peaks"].items()]
    when = ", ".join(f"{one['when']} ({one['seconds'] / 60:.0f} min)" for one in runs)
    return (
        "\n".join(
            [
                "## The machine\n",
                f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
                f"{gpu}; {machine['system']}, Python {machine['python']}; {packages}. Runs: {when}.\n",
                "What it can do at most:\n",
                *limits,
                *peaks,
            ]
        )
        + "\n"
    )
