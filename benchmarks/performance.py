"""Everything that OmniFuse promises about speed, measured beside the plainly written version: one command, one page.

    python benchmarks/performance.py [--quick] [--only texts,images,gpu,ehr,incremental,caches,epochs] [--add]

Writes benchmarks/results/performance.json and docs/performance.md. A run takes about 15 minutes on two cores, a quick
one 4; the first takes some longer, because it makes the inputs. Nothing else should run on the machine.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from measurements import caches, ehr, epochs, gpu, images, incremental, texts
from measurements.measure import Child, call
from measurements.page import render
from measurements.row import Family, Found, Setting

FAMILIES = tuple(module.FAMILY for module in (texts, images, gpu, ehr, incremental, caches, epochs))
"""In this order, because some rows are reckoned from those before them."""

RESULTS = Path(__file__).parent / "results" / "performance.json"
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
SECONDS_LOOKED = 5
"""Before a run, to see whether something else runs."""
PRECISIONS = ("float32", "bfloat16")


def measure(families: Sequence[Family], folder: Path, quick: bool) -> Iterator[dict[str, Any]]:
    """Measure the rows of families one after the other; after each yield the run so far as JSON."""
    # the average of the last minute would count a run that has just ended
    began, load = time.perf_counter(), psutil.cpu_percent(interval=SECONDS_LOOKED) / 100 * (os.cpu_count() or 1)
    rows: dict[str, Found] = {}
    seconds: dict[str, float] = {}
    run: dict[str, Any] = {
        "when": datetime.now(UTC).isoformat(timespec="minutes"),
        "quick": quick,
        "load_before": round(load, 2),
        "machine": call("measurements.machine:describe", gpu=True).value,
        "limits": call("measurements.machine:limits", folder=str(folder)).value,
        "peaks": {precision: _peak(precision) for precision in PRECISIONS},
    }
    for family in families:
        begin = time.perf_counter()
        print(f"{family.name} ...", flush=True)
        rows |= family.measure(Setting(folder, quick, rows))
        seconds[family.name] = round(time.perf_counter() - begin, 1)
        print(f"{family.name}: {seconds[family.name]:.0f} s", flush=True)
        found = {key: asdict(row) for key, row in rows.items()}
        yield {**run, "seconds": round(time.perf_counter() - began, 1), "seconds_by_family": seconds, "rows": found}


def _peak(precision: str) -> float:
    with Child("measurements.machine:Matmul", precision=precision) as matmul:
        return float(matmul.ask("rate").value)


def main() -> None:
    """Measure, add to the results, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="Fewer items and turns.")
    parser.add_argument("--only", help="Families of rows, by commas.", default=",".join(one.name for one in FAMILIES))
    parser.add_argument("--add", action="store_true", help="Keep the runs that are there.")
    parser.add_argument("--page", action="store_true", help="Write the page again, measure nothing.")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "omnifuse-performance")
    options = parser.parse_args()
    runs = json.loads(RESULTS.read_text(encoding="utf-8"))["runs"] if options.add or options.page else []
    if not options.page:
        wanted = options.only.split(",")
        if unknown := set(wanted) - {family.name for family in FAMILIES}:
            parser.error(f"there are no rows called {', '.join(sorted(unknown))}")
        options.folder.mkdir(parents=True, exist_ok=True)
        RESULTS.parent.mkdir(exist_ok=True)
        for run in measure([one for one in FAMILIES if one.name in wanted], options.folder, options.quick):
            RESULTS.write_text(json.dumps({"runs": [*runs, run]}, indent=1) + "\n", encoding="utf-8")
        runs.append(run)
    PAGE.write_text(render(runs, FAMILIES), encoding="utf-8")
    print(f"Wrote {PAGE}")


if __name__ == "__main__":
    main()
