"""What lies in a raw folder: which data set it looks like, and what of that is there or missing."""

import shlex
from collections.abc import Callable
from pathlib import Path

from ..cache_schema import MissingInputError, OmniFuseError
from .check import Check
from .sources import looks


def check_raw(raw: Path) -> list[Check]:
    """Say which data set a folder looks like, and check that its files are there; a problem if it looks like none."""
    if not raw.is_dir():
        return [Check("raw files", "problem", f"there is no folder {shlex.quote(str(raw))}")]
    known = list(looks())
    checks = [check for name, _, look in known for check in _looked(name, look, raw)]
    if checks:
        return checks
    listed = ", ".join(sorted(path.name for path in raw.iterdir())[:12]) or "nothing"
    signs = "\n".join(f"{name}: {sign}" for name, sign, _ in known)
    finding = f"{raw} looks like no data set; it holds {listed}. What each is known by:\n{signs}"
    return [Check("raw files", "problem", finding)]


def _looked(name: str, look: Callable[[Path], list[Check]], raw: Path) -> list[Check]:
    """Return what a look finds, nothing in the folder of another data set."""
    try:
        return look(raw)
    except MissingInputError:
        return []
    except OmniFuseError as error:
        return [Check(name, "problem", str(error))]
