"""One thing that was looked at before work begins, and how a person reads a list of them."""

import shlex
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

COLUMNS = 80
INDENT = " " * 8


@dataclass(frozen=True)
class Check:
    """One thing looked at: ``ok``, worth a ``note``, or a ``problem``; ``mend`` where the finding does not say it."""

    name: str
    state: Literal["ok", "note", "problem"]
    finding: str
    mend: str = ""


def recognised(dataset: str, raw: Path, finding: str, more: str = "") -> Check:
    """Return that a folder holds a data set, with the command that looks further; ``more`` is what that needs."""
    command = f"omnifuse extract --dataset {dataset} --raw {shlex.quote(str(raw))}{more} --dry-run"
    return Check("raw files", "ok", f"data set {dataset}: {finding}. Look further with\n    {command}")


def checks_text(checks: Sequence[Check]) -> str:
    """Return a paragraph for each check, ending with the mend where there is one; commands stay on lines of their own.

    These are the lines of a finding that are indented.
    """
    return "\n".join(line for check in checks for line in _lines(check))


def _lines(check: Check) -> list[str]:
    wrapper = textwrap.TextWrapper(COLUMNS, f"{check.state:8}", INDENT, break_long_words=False, break_on_hyphens=False)
    lines = []
    for line in f"{check.name}: {check.finding}{' -> ' + check.mend if check.mend else ''}".splitlines():
        lines += [INDENT + line] if line.startswith(" ") else wrapper.wrap(line)
        wrapper.initial_indent = INDENT
    return lines
