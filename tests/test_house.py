"""Rules of the house that a machine can check: which room imports which, and that no data is kept here."""

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "cache_schema": {"pipeline", "fusion", "cli", "reproductions"},
    "reproductions": {"pipeline", "fusion", "cli"},
    "pipeline": {"fusion", "cli"},
    "fusion": {"pipeline", "cli"},
}
FLOORS = {
    "fusion": (
        "inputs",
        "scores",
        "parts",
        "methods",
        "training",
        "runs",
        "estimators",
        "explain",
        "external",
        "study",
        "report",
        "paper",
    ),
    "pipeline": ("tables", "series", "core", "text", "image", "waveform", "sources", "synthetic"),
}
"""Rooms, each built on those before it; the modules beside them are below all of these."""
ABOVE = {"summary", "doctor", "raw_check", "library"}
"""Modules that speak of all rooms beside them."""
LARGEST_FILE = 100_000
"""Bytes; whatever is larger is data that belongs elsewhere."""


def imported(file: Path) -> list[tuple[str, ...]]:
    """Return what a module imports from the package, relative imports resolved: ``("fusion", "parts", ...)``."""
    package = ["omnifuse", *file.relative_to(ROOT).parent.parts]
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            path = [*base, *(node.module.split(".") if node.module else [])]
            names = [(*path, alias.name) for alias in node.names]
            found += [name[1:] for name in names if name[0] == "omnifuse" and len(name) > 1]
    return found


@pytest.mark.parametrize("room", FORBIDDEN)
def test_imports_point_one_way(room: str) -> None:
    for file in (ROOT / room).rglob("*.py"):
        assert not {name[0] for name in imported(file)} & FORBIDDEN[room], file


FILES = [file for house in FLOORS for file in sorted((ROOT / house).rglob("*.py"))]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_room_is_built_on_those_before_it(file: Path) -> None:
    name = file.relative_to(ROOT).with_suffix("").parts
    assert [other for other in imported(file) if other[0] == name[0] and floor(other) > floor(name)] == []


def floor(name: tuple[str, ...]) -> int:
    """Return the floor on which a module of ``fusion`` or ``pipeline`` lies, 0 for those beside the rooms."""
    rooms, own = FLOORS[name[0]], name[1] if len(name) > 1 else ""
    return rooms.index(own) + 1 if own in rooms else len(rooms) + 1 if own in ABOVE else 0


def test_no_data_is_kept_in_the_repository() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in tracked.stdout.split("\0") if name]
    assert [file for file in files if file.is_file() and file.stat().st_size > LARGEST_FILE] == []


ROOMS_WITHOUT_PATTERNS = ("cache_schema", "pipeline", "fusion", "cli", "reproductions", "demo.py")
READERS = {
    f"{verb}_{form}" for verb in ("read", "scan") for form in ("parquet", "csv", "ipc", "ndjson", "json", "excel")
} | {"read_parquet_schema", "read_parquet_metadata", "read_ipc_schema", "read_csv_batched"}


def readers_of_patterns(source: str) -> list[int]:
    """Return the lines where polars is given a path that it takes for a pattern.

    That is every call of a reader without ``glob=False``, unless what it reads is open already (``with path.open("rb")
    as file``) or in memory (``path.read_bytes()``, ``BytesIO(...)``).
    """
    tree = ast.parse(source)
    opened = {
        item.optional_vars.id
        for node in ast.walk(tree) if isinstance(node, ast.With)
        for item in node.items if isinstance(item.optional_vars, ast.Name) and "open" in ast.dump(item.context_expr)
    }  # fmt: skip
    lines = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in READERS):
            continue
        if not (isinstance(node.func.value, ast.Name) and node.func.value.id in ("pl", "polars")):
            continue
        literal = any(word.arg == "glob" and ast.literal_eval(word.value) is False for word in node.keywords)
        given = node.args[0] if node.args else None
        open_file = isinstance(given, ast.Name) and given.id in opened
        in_memory = isinstance(given, ast.Call) and any(
            name in ast.dump(given.func) for name in ("read_bytes", "BytesIO")
        )
        if not (literal or open_file or in_memory):
            lines.append(node.lineno)
    return lines


@pytest.mark.parametrize("room", ROOMS_WITHOUT_PATTERNS)
def test_no_path_is_a_pattern_to_polars(room: str) -> None:
    files = [ROOT / room] if room.endswith(".py") else (ROOT / room).rglob("*.py")
    found = {str(file.relative_to(ROOT)): readers_of_patterns(file.read_text(encoding="utf-8")) for file in files}
    assert {file: lines for file, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("pl.read_parquet(path)", True),
        ("pl.scan_csv(path, has_header=True)", True),
        ("pl.read_parquet_schema(path)", True),
        ("pl.read_csv(path, glob=True)", True),
        ("pl.read_csv(path, glob=False)", False),
        ("pl.read_csv(path.read_bytes())", False),
        ('with path.open("rb") as file:\n    pl.read_parquet(file)', False),
    ],
)
def test_a_reader_of_patterns_is_seen(line: str, refused: bool) -> None:
    assert bool(readers_of_patterns(line)) == refused


KEPT = {
    "is_accelerator": "this machine may have no accelerator",
    "_model": "a model of a library that does what none of those at hand does: it runs out of memory",
    "eps": "weights that are not finite",
    "resources": "our own tables, which are read where the package lies",
    "files": "our own tables, which are read where the package lies",
    "_given": "a rule against leaks that is switched off, to show that its test would fail without it",
    "of_results": "another such rule",
    "_once": "another such rule",
}
"""What tests replace of ours for want of another way, and why; besides, the sizes that constants name."""


def replaced(source: str) -> list[str]:
    """Return the names in our modules that a test replaces, by a path or in an object that is not another library's."""
    tree, others, found = ast.parse(source), set(), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or node.names[0].name
            if getattr(node, "level", 0) == 0 and module.partition(".")[0] not in ("omnifuse", "tests"):
                others |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setattr"):
            continue
        target, *rest = map(ast.unparse, node.args)
        text = target.strip("'")
        if text != target:
            found += [text.rpartition(".")[2]] if text.startswith(("omnifuse", "tests")) else []
        elif target.partition(".")[0] not in others:
            found.append(rest[0].strip("'"))
    return found


def test_tests_replace_nothing_of_ours_but_sizes() -> None:
    names = {
        (str(file.relative_to(ROOT)), name)
        for file in sorted((ROOT / "tests").rglob("*.py"))
        for name in replaced(file.read_text(encoding="utf-8"))
        if not name.isupper() and name not in KEPT
    }
    assert names == set()


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        ('import os\nmonkeypatch.setattr(os, "fsync", no)', []),
        ('monkeypatch.setattr("time.perf_counter", no)', []),
        ('from omnifuse import demo\nmonkeypatch.setattr(demo, "run_demo", no)', ["run_demo"]),
        ('monkeypatch.setattr("omnifuse.demo.run_demo", no)', ["run_demo"]),
        ('monkeypatch.setattr(method, "predict", no)', ["predict"]),
        ("monkeypatch.setattr(*rule, no)", ["no"]),
    ],
)
def test_what_a_test_replaces_is_seen(lines: str, names: list[str]) -> None:
    assert replaced(lines) == names
