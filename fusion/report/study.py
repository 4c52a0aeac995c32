"""The report of a study: one page, and every table as CSV and LaTeX."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..files import write_whole
from ..study.results import (
    Chapter,
    Column,
    Estimate,
    Item,
    KeyFigure,
    Note,
    ResultFigure,
    ResultTable,
    StudyResults,
    Value,
)
from ..words import MISSING, SPACE, count, interval, number
from .blocks import Block, Cell, Code, Figures, Folded, Measure, Section, Table, Text
from .export import write_csv, write_latex
from .headline import Headline, KeyNumber
from .html import render
from .study_figures import shared_limits, study_figure

REPORT = "report.html"
TABLES = "tables"

REPEAT = (
    "The same cache, command and versions give the same folds and, on the same machine, the same numbers. Every "
    "training of the study is an ordinary run folder with its own report. Every table of this page lies in the folder "
    "tables beside it, as CSV with unrounded numbers and as LaTeX."
)


def write_study(results: StudyResults, folder: Path) -> Path:
    """Write ``report.html`` and ``tables/<name>.csv`` and ``.tex`` of a study into a folder; return the page's path.

    The page is one file that needs no network.
    """
    write_study_tables(results, folder / TABLES)
    path, sections = folder / REPORT, study_sections(results)
    page = render(
        "template.html", "page.js", kind="study", name=results.name, top=_headline(results), sections=sections
    )
    write_whole(path, page)
    return path


def write_study_tables(results: StudyResults, folder: Path) -> None:
    """Write every table of a study into a folder, as CSV with unrounded numbers and as LaTeX as it is shown."""
    items = [item for chapter in results.chapters for item in chapter.items]
    for table in [results.ranking, *items]:
        if isinstance(table, ResultTable):
            write_csv(folder / f"{table.name}.csv", *raw_values(table))
            write_latex(folder / f"{table.name}.tex", shown_table(table))


def study_sections(results: StudyResults) -> tuple[Section, ...]:
    """Return the chapters of the page."""
    return *map(_section, results.chapters), *_names_section(results), _repeat_section(results)


def shown_table(table: ResultTable) -> Table:
    """Return the table as the page and LaTeX show it: numbers rounded, without columns that hold nothing."""
    held = [(column, cells) for column, cells in zip(table.columns, _columns(table), strict=True) if _any_known(cells)]
    return Table(
        caption=table.title,
        columns=tuple(column.name for column, _ in held),
        rows=tuple(zip(*([_cell(cell, column) for cell in cells] for column, cells in held), strict=True)),
        words=tuple(
            column.name for column, cells in held if all(cell is None or isinstance(cell, str) for cell in cells)
        ),
        sortable=True,
        reading=table.reading,
        name=table.name,
    )


def _any_known(cells: Sequence[Value]) -> bool:
    """Return whether a column holds anything."""
    return any(cell.value is not None if isinstance(cell, Estimate) else cell is not None for cell in cells)


def raw_values(table: ResultTable) -> tuple[list[str], list[list[str | float | None]]]:
    """Return headings and rows of the unrounded values; bounds and standard deviations have columns of their own."""
    headings: list[str] = []
    values: list[list[str | float | None]] = []
    for column, cells in zip(table.columns, _columns(table), strict=True):
        estimates = [cell if isinstance(cell, Estimate) else None for cell in cells]
        headings.append(column.name)
        values.append([cell.value if isinstance(cell, Estimate) else cell for cell in cells])
        for part in ("low", "high", "sd"):
            bounds = [getattr(estimate, part, None) for estimate in estimates]
            if any(bound is not None for bound in bounds):
                headings.append(f"{column.name} {part}")
                values.append(bounds)
    return headings, [list(row) for row in zip(*values, strict=True)]


def _columns(table: ResultTable) -> list[tuple[Value, ...]]:
    return [tuple(row[i] for row in table.rows) for i in range(len(table.columns))]


def _cell(value: Value, column: Column) -> Cell:
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return Measure(count(value), value)
    estimate = value if isinstance(value, Estimate) else Estimate(value)
    if estimate.value is None:
        return MISSING
    text = number(estimate.value, column.decimals, signed=column.signed)
    return Measure(text, estimate.value, _uncertainty(estimate, column.decimals))


def _uncertainty(estimate: Estimate, decimals: int) -> str:
    """Return ``[0.845, 0.874]``, else ``± 0.018``, else nothing."""
    if estimate.low is not None and estimate.high is not None:
        return interval((estimate.low, estimate.high), decimals)
    return "" if estimate.sd is None else f"±{SPACE}{number(estimate.sd, decimals)}"


def _headline(results: StudyResults) -> Headline:
    return Headline(
        title=results.title,
        lead=results.lead,
        facts=results.made,
        caveats=results.caveats,
        answer=results.answer,
        table=shown_table(results.ranking) if results.ranking else None,
        numbers=tuple(map(_key_number, results.numbers)),
        notes=results.notes,
    )


def _key_number(figure: KeyFigure) -> KeyNumber:
    value = figure.value
    text = (
        count(value.value)
        if isinstance(value.value, int)
        else number(value.value, figure.decimals, signed=figure.signed)
    )
    kind = f"95{SPACE}% interval " if value.low is not None else ""
    spread = _uncertainty(value, figure.decimals)
    return KeyNumber(figure.name, text, "; ".join(filter(None, [f"{kind}{spread}", figure.detail])))


def _section(chapter: Chapter) -> Section:
    return Section(chapter.anchor, chapter.title, tuple(_blocks(chapter.items)))


def _blocks(items: tuple[Item, ...]) -> Iterator[Block]:
    """Blocks in the order of the items; neighbouring figures stand beside each other, folded tables in one fold."""
    drawn = [item for item in items if isinstance(item, ResultFigure) and item.series]
    for kind, group in itertools.groupby(items, key=_kind):
        if kind == "figure":
            figures = [item for item in group if isinstance(item, ResultFigure) and item.series]
            yield Figures(tuple(study_figure(item, shared_limits(item, drawn)) for item in figures))
        elif kind == "folded":
            tables = tuple(shown_table(item) for item in group if isinstance(item, ResultTable))
            yield Folded("; ".join(table.caption for table in tables), tables)
        else:
            yield from (_block(item) for item in group if not isinstance(item, ResultFigure))


def _kind(item: Item) -> str:
    if isinstance(item, ResultFigure):
        return "figure"
    return "folded" if isinstance(item, ResultTable) and item.folded else "open"


def _block(item: Note | ResultTable) -> Text | Table:
    if isinstance(item, ResultTable):
        return shown_table(item)
    return Text(item.text, tone="warning" if item.warning else "plain")


def _names_section(results: StudyResults) -> Iterator[Section]:
    if results.names:
        table = Table("The methods of this study", ("name", "what it is"), results.names, words=("what it is",))
        gist = "Every method of the tables above, in words, and what its preset sets."
        yield Section("names", "What the names mean", (table,), gist, folded=True)


def _repeat_section(results: StudyResults) -> Section:
    blocks: list[Block] = [
        Text(REPEAT),
        Code(results.repeat),
        Table("What it was made with", ("what", "value"), results.facts, words=("value",)),
    ]
    if results.grid:
        blocks.append(Folded("The grid", (Code(results.grid),)))
    gist = "The command, cache and versions, and the grid."
    return Section("repeat", "How to repeat this", tuple(blocks), gist, folded=True)
