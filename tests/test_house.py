"""Rules of the house that a machine can check: which room imports which."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "cache_schema": {"pipeline", "fusion", "cli"},
    "pipeline": {"fusion", "cli"},
    "fusion": {"pipeline", "cli"},
}


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
