r"""Writes tables for other programs: CSV with raw values, and LaTeX to ``\input`` into a paper."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..files import write_whole
from .blocks import Bar, Cell, Dot, Measure, Section, Table, tables

LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    # After a line break a bracket or star would be read as its argument.
    "[": "{[}", "]": "{]}", "*": "{*}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "\N{NO-BREAK SPACE}": "~", "–": "--", "−": "$-$", "±": r"$\pm$", "×": r"$\times$", "·": r"$\cdot$",
    "²": "$^2$", "≤": r"$\leq$", "≥": r"$\geq$", "→": r"$\to$", "\n": " ", "\r": " ",
}  # fmt: skip
"""What stands for a character in LaTeX where it is not the character itself."""


FORMULA = tuple("=+-@\t\r\n＝＋－＠")
"""A text that begins with one of these is a formula to spreadsheets, which run it."""


def write_tables(sections: Iterable[Section], folder: Path) -> None:
    """Write every table of a page, as it is shown, into a folder as CSV and LaTeX named after its caption."""
    for table in (table for section in sections for table in tables(section.blocks) if table.rows):
        write_csv(folder / f"{table.file}.csv", *_shown(table))
        write_latex(folder / f"{table.file}.tex", table)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str | float | None]]) -> None:
    """Write a CSV file; None becomes an empty cell and every number is written so that reading gives it back.

    A text that a spreadsheet would take for a formula, such as a class named ``=1+1``, gets a ``'`` before it.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([_plain(cell) for cell in row] for row in (columns, *rows))
    write_whole(path, stream.getvalue())


def _plain(cell: str | float | None) -> str | float | None:
    """Return a cell that begins no formula and, since csv leaves a lone return unquoted, no row."""
    if not isinstance(cell, str):
        return cell
    return ("'" if cell.startswith(FORMULA) else "") + "\n".join(cell.splitlines())


def write_latex(path: Path, table: Table) -> None:
    """Write a table environment with caption, label ``tab:<file name>`` and the rows as they are shown."""
    columns, rows = _shown(table)
    caption = f"{table.caption}. {table.reading}" if table.reading else table.caption
    alignment = "".join("l" if i == 0 or name in table.words else "r" for i, name in enumerate(columns))
    lines = [
        r"% Needs \usepackage{booktabs}.",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape_latex(caption)}}}",
        rf"\label{{tab:{path.stem}}}",
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        _line(columns),
        r"\midrule",
        *map(_line, rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    write_whole(path, "\n".join(lines) + "\n")


def escape_latex(text: str) -> str:
    """Return text that LaTeX sets as it reads here."""
    return "".join(LATEX.get(character, character) for character in text)


def _line(texts: Sequence[str]) -> str:
    return " & ".join(map(escape_latex, texts)) + r" \\"


def _shown(table: Table) -> tuple[list[str], list[list[str]]]:
    """Return headings and texts of a table, without the columns that only draw bars."""
    kept = [i for i in range(len(table.columns)) if not (table.rows and isinstance(table.rows[0][i], Bar))]
    rows = (*table.rows, table.total) if table.total else table.rows
    return [table.columns[i] for i in kept], [[_text(row[i]) for i in kept] for row in rows]


def _text(cell: Cell) -> str:
    if isinstance(cell, Measure):
        return f"{cell.text} {cell.uncertainty}".rstrip()
    if isinstance(cell, Dot):
        return "yes" if cell.filled else "no"
    return "" if isinstance(cell, Bar) else cell
