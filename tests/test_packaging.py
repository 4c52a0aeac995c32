"""The wheel holds every module, and nothing that is not part of the package."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import omnifuse
import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("cache_schema", "cli", "pipeline", "fusion", "reproductions", "testing")
MODULES = (
    "__init__.py",
    "cluster.py",
    "demo.py",
    "device.py",
    "processes.py",
    "progress.py",
    "py.typed",
    "registry.py",
    "yaml_file.py",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the tracked files, so that nothing is left in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    tracked = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, tracked.stdout.split("\n")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*command, str(source)], check=True)
    (path,) = folder.glob("*.whl")
    return path


def test_every_module_is_in_the_wheel(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        f"omnifuse/{file.relative_to(ROOT).as_posix()}"
        for room in ROOMS
        for file in (ROOT / room).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert expected | {f"omnifuse/{name}" for name in MODULES} <= inside


def test_nothing_else_is_in_the_wheel(wheel: Path) -> None:
    tops = {name.split("/")[1] for name in zipfile.ZipFile(wheel).namelist() if name.startswith("omnifuse/")}
    assert tops == {*MODULES, *ROOMS}


def test_everything_that_the_library_offers_is_there() -> None:
    assert [name for name in omnifuse.__all__ if not hasattr(omnifuse, name)] == []


def test_extras_whose_packages_are_of_the_core_can_still_be_named(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA"))
    lines = [line for line in metadata.splitlines() if line.startswith(("Provides-Extra: ", "Requires-Dist: "))]
    for extra in ("dask", "distributed", "h5py"):
        assert f"Provides-Extra: {extra}" in lines
        assert not [line for line in lines if f"extra == '{extra}'" in line.replace('"', "'")]
    assert {"Requires-Dist: h5py>=3.10", "Requires-Dist: dask[array,distributed]>=2024.1"} <= set(lines)


def test_every_module_can_be_imported_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    modules = [
        ".".join(file.relative_to(tmp_path).with_suffix("").parts).removesuffix(".__init__")
        for file in sorted((tmp_path / "omnifuse").rglob("*.py"))
    ]
    code = f"import importlib, omnifuse; print(omnifuse.__file__); [importlib.import_module(m) for m in {modules!r}]"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, check=True, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.stdout.strip() == str(tmp_path / "omnifuse" / "__init__.py")
