"""Rules of the house that a machine can check: which room imports which, and that no data is kept here."""

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "cache_schema": {"pipeline", "fusion", "cli"},
    "pipeline": {"fusion", "cli"},
    "fusion": {"pipeline", "cli"},
}
LARGEST_FILE = 100_000
"""Bytes; whatever is larger is data that belongs elsewhere."""


def imported(file: Path) -> set[str]:
    """Return the top-level names that a module imports from the package, relative imports resolved."""
    package = ["omnifuse", *file.relative_to(ROOT).parent.parts]
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            path = [*base, *(node.module.split(".") if node.module else [])]
            names = [[*path, alias.name] for alias in node.names]
            found |= {name[1] for name in names if name[0] == "omnifuse" and len(name) > 1}
    return found


@pytest.mark.parametrize("room", FORBIDDEN)
def test_imports_point_one_way(room: str) -> None:
    for file in (ROOT / room).rglob("*.py"):
        assert not imported(file) & FORBIDDEN[room], file


def test_no_data_is_kept_in_the_repository() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in tracked.stdout.split("\0") if name]
    assert [file for file in files if file.is_file() and file.stat().st_size > LARGEST_FILE] == []
