"""Ways to damage a cache, chosen at random, and every way to read one; used by the tests and by ``benchmarks``."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from omnifuse.cache_schema import CacheError, FeatureCache
from omnifuse.cache_schema.lazy import dask_values

Json = Any


def files(path: Path, ending: str = "") -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file() and file.name.endswith(ending))


def flip_a_bit(path: Path, random: Random) -> str:
    file = random.choice([file for file in files(path) if file.stat().st_size])
    content = bytearray(file.read_bytes())
    place = random.randrange(len(content))
    content[place] ^= 1 << random.randrange(8)
    file.write_bytes(content)
    return f"bit of byte {place} of {file}"


def cut(path: Path, random: Random) -> str:
    file = random.choice(files(path))
    content = file.read_bytes()
    file.write_bytes(content[: random.randrange(len(content) + 1)])
    return f"cut {file}"


def lengthen(path: Path, random: Random) -> str:
    file = random.choice(files(path))
    file.write_bytes(file.read_bytes() + random.randbytes(random.randint(1, 9)))
    return f"lengthened {file}"


def scramble(path: Path, random: Random) -> str:
    file = random.choice(files(path))
    size = random.choice([0, file.stat().st_size])
    file.write_bytes(random.choice([random.randbytes(size), b"[" * 100_000, b"null", b"\xff", b"{}", b"[]"]))
    return f"scrambled {file}"


def delete(path: Path, random: Random) -> str:
    file = random.choice(sorted(path.rglob("*")))
    shutil.rmtree(file) if file.is_dir() else file.unlink()
    return f"deleted {file}"


def swap_two_files(path: Path, random: Random) -> str:
    ending = random.choice(["zarr.json", "0", "1"])
    one, other = random.sample(files(path, ending), 2)
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)
    return f"swapped {one} and {other}"


def swap_two_chunks_of_an_array(path: Path, random: Random) -> str:
    arrays = {folder for folder in path.rglob("c") if len(files(folder)) > 1}
    one, other = random.sample(files(random.choice(sorted(arrays))), 2)
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)
    return f"swapped {one} and {other}"


def add_something(path: Path, random: Random) -> str:
    folder = random.choice([entry for entry in sorted(path.rglob("*")) if entry.is_dir()])
    name = folder / random.choice(["c", "9", "zarr.json.partial", "more"])
    if not name.exists():
        name.write_bytes(random.randbytes(5))
    return f"added {name}"


def replace_by_a_link(path: Path, random: Random) -> str:
    entry = random.choice(sorted(path.rglob("*")))
    moved = path.parent / "outside"
    entry.rename(moved)
    entry.symlink_to(moved)
    return f"link {entry}"


def edit_metadata(path: Path, random: Random) -> str:
    return edit_json(random.choice(files(path, "zarr.json")), random)


def edit_the_manifest(path: Path, random: Random) -> str:
    return edit_json(path / "manifest.json", random)


def drop_a_node_from_the_manifest(path: Path, random: Random) -> str:
    manifest = path / "manifest.json"
    content = json.loads(manifest.read_text())
    dropped = random.choice(sorted(content["nodes"]))
    content["nodes"] = {name: node for name, node in content["nodes"].items() if not name.startswith(dropped)}
    manifest.write_text(json.dumps(content))
    return f"dropped {dropped}"


def edit_json(file: Path, random: Random) -> str:
    """Change, remove or add one value of a JSON file."""
    content = json.loads(file.read_text())
    parent, key = random.choice(list(leaves(content)))
    old = parent[key]
    new = random.choice([None, 7, -1, "x", [], {}, 1e30, True, "remove", "digit", "digit"])
    if new == "remove":
        del parent[key]
    elif new == "digit" and isinstance(old, int):
        parent[key] = old ^ 1
    elif new == "digit" and isinstance(old, str):
        parent[key] = old[1:] + "z"
    else:
        parent[key] = new
    file.write_text(json.dumps(content))
    return f"{file}: {key} {str(old)[:60]!r} -> {new!r}"


def leaves(value: Json) -> Iterator[tuple[Json, str | int]]:
    """Yield every place in nested JSON: what holds it, and its key."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from leaves(value[key])


DAMAGES: tuple[Callable[[Path, Random], str], ...] = (
    flip_a_bit,
    cut,
    lengthen,
    scramble,
    delete,
    swap_two_files,
    swap_two_chunks_of_an_array,
    add_something,
    replace_by_a_link,
    edit_metadata,
    edit_the_manifest,
    drop_a_node_from_the_manifest,
)


READINGS: dict[str, Callable[[FeatureCache], Any]] = {
    "keys": lambda cache: cache.manifest.keys,
    "names": lambda cache: (cache.dataset, cache.modalities, cache.tasks),
    **{
        table: lambda cache, table=table: getattr(cache, table)
        for table in ("samples", "quarantine", "quarantine_counts", "counts", "splits")
    },
    **{
        f"{part} of {name}": lambda cache, part=part, name=name: getattr(cache, part)(name)
        for part in ("modality_spec", "offsets", "dim", "chunk_rows", "times", "items", "modality", "row_numbers")
        for name in ("rep", "ehr")
    },
    "a row": lambda cache: cache.rows("rep", 1, 2),
    "dask": lambda cache: dask_values(cache, "rep").compute(scheduler="synchronous"),
    "task": lambda cache: cache.task("mortality"),
    "inputs": lambda cache: cache.task_inputs("mortality"),
    "torch": lambda cache: list(cache.to_torch("mortality")),
}
"""Every way to read a cache that holds `conftest.stage`."""


def read_all(path: Path) -> dict[str, Any]:
    """Return what every reading finds, in a form whose ``==`` is equality to the last bit; refusals as they are."""
    try:
        cache = FeatureCache.open(path)
    except CacheError as error:
        return dict.fromkeys(READINGS, error)
    found = {}
    for name, read in READINGS.items():
        try:
            found[name] = plain(read(cache))
        except CacheError as error:
            found[name] = error
    return found


def plain(value: Any) -> Any:
    """Return a reading as something whose `==` is equality to the last bit."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "to_dict") and hasattr(value, "schema"):
        return repr(value.to_dict(as_series=False)), str(value.schema)
    if hasattr(value, "numpy"):
        return plain(value.numpy())
    if hasattr(value, "__dataclass_fields__"):
        return {field: plain(getattr(value, field)) for field in value.__dataclass_fields__}
    return repr(value)
