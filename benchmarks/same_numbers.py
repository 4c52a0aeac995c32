"""Did a change of the code change any number? Digests of what a fixed list of commands leaves, to be compared.

    python benchmarks/same_numbers.py --out before.json        # with the code before
    python benchmarks/same_numbers.py --out after.json         # with the code after
    python benchmarks/same_numbers.py --compare before.json after.json

The commands, all on synthetic data with random encoders: extractions of each layout in each profile, a training of
every method, the demo, and the study ``quick``. Compared are the digests of the caches, and of runs the predictions and
all measures to the last digit; seconds, versions and times of day are left out.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

RANDOM = ("--text-encoder", "random", "--image-encoder", "random")
OF_THE_MACHINE = {"seconds", "finished", "versions", "memory", "workers", "run", "path"}
"""Fields of metrics.json that say when and where a run was made."""
WORDS = {"format", "titles", "method_words", "package", "only_watched", "digest"}
"""Fields that hold words and no result, or which cache it was: titles of tasks are part of its digest."""


def omnifuse(*arguments: str) -> str:
    """Run a command and return what it printed; raises subprocess.CalledProcessError if it failed."""
    program = [sys.executable, "-c", "from omnifuse.cli import main; main()", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(program, check=True, env=environment, stdout=subprocess.PIPE, text=True).stdout


def digests(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield a name and a digest for everything on the list."""
    for layout, options in {
        "mimic4": ("--dataset", "mimic", *RANDOM),
        "mimic3": ("--dataset", "mimic", "--modalities", "ehr"),
        "mimic3 benchmark": ("--dataset", "mimic", "--modalities", "ehr", "--profile", "benchmark"),
        "lung": ("--dataset", "lung", *RANDOM),
    }.items():
        raw, cache = folder / f"raw {layout}", folder / f"cache {layout}"
        stays = "8" if layout == "lung" else "120"  # a series has many slices
        omnifuse("synth", "--layout", layout.split()[0], "--stays", stays, "--out", str(raw))
        omnifuse("extract", "--raw", str(raw), "--cache", str(cache), *options)
        yield f"extract {layout}", cache_digest(cache)
    cache = folder / "cache mimic4"
    for method in json.loads(omnifuse("methods", "--json"))["methods"]:
        run, name = folder / "runs" / method["name"], method["name"]
        omnifuse(
            "train", "--cache", str(cache), "--run", str(run), "--method", name, "--folds", "2", "--set", "fit.epochs=2"
        )
        yield f"train {name}", run_digest(run)
    omnifuse("demo", "--stays", "200", "--out", str(folder / "demo"))
    for run in sorted(path.parent for path in (folder / "demo").rglob("metrics.json")):
        yield f"demo {run.name}", run_digest(run)
    omnifuse("study", "--cache", str(cache), "--preset", "quick", "--out", str(folder / "study"))
    for run in sorted(path.parent for path in (folder / "study").rglob("metrics.json")):
        yield f"study {run.name}", run_digest(run)


def cache_digest(cache: Path) -> str:
    """Return the digest of everything stored but metadata: of every chunk of every array, as the manifest has it."""
    files = json.loads((cache / "manifest.json").read_text())
    return digest({name: value for name, value in flat(files) if "/files/" in name and "zarr.json" not in name})


def run_digest(run: Path) -> str:
    """Return the digest of predictions and measures of a run."""
    predictions = pl.read_parquet(run / "predictions.parquet", glob=False).drop("run", strict=False)
    metrics = json.loads((run / "metrics.json").read_text())
    kept = {name: value for name, value in flat(metrics) if not (OF_THE_MACHINE | WORDS) & set(name.split("/"))}
    return digest({"predictions": predictions.write_json(), "metrics": kept})


def flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every number and text of nested JSON with its path."""
    if isinstance(value, dict):
        for key in sorted(value):
            yield from flat(value[key], f"{name}/{key}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from flat(item, f"{name}/{number}")
    else:
        yield name, value


def digest(value: Any) -> str:
    """Return the beginning of the sha256 of JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def compare(before: Path, after: Path) -> int:
    """Print what differs, and return how much does."""
    old, new = (json.loads(path.read_text()) for path in (before, after))
    different = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    for name in different:
        print(f"{name}: {old.get(name, 'absent')} before, {new.get(name, 'absent')} after")
    print(f"{len(old.keys() | new.keys())} compared, {len(different)} different")
    return len(different)


def main() -> None:
    """Write the digests, or compare two files of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("numbers.json"))
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("BEFORE", "AFTER"))
    options = parser.parse_args()
    if options.compare:
        sys.exit(1 if compare(*options.compare) else 0)
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        for name, value in digests(Path(folder)):
            found[name] = value
            print(f"{value}  {name}", flush=True)
    options.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
