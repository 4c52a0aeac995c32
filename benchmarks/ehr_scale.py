"""Time and peak memory of raw MIMIC-III tables -> EHR tensors and labels in a cache, with 1 and 4 times as many events.

    python benchmarks/ehr_scale.py [--stays 1000] [--events-per-stay 7500] [--profile benchmark] [--folder DIR]

Every extraction is the whole command, in a process of its own, into a new cache. Peak memory must not grow with the
number of events, and time only in proportion. The synthetic folders are kept in --folder and used again.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FACTORS = (1, 4)


def extract(raw: Path, cache: Path, profile: str) -> dict[str, Any]:
    """Extract one folder; return the seconds of the whole process and of its stages, and its peak memory in MiB."""
    for folder in (cache, cache.with_name(cache.name + ".items")):
        shutil.rmtree(folder, ignore_errors=True)
    options = ["--dataset", "synthetic", "--raw", raw, "--cache", cache, "--modalities", "ehr", "--profile", profile]
    start = time.perf_counter()
    process = subprocess.Popen(
        [Path(sys.executable).with_name("omnifuse"), "extract", *options, "--json"], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit("the extraction failed")
    stages = json.loads((cache / "extraction.json").read_text())["seconds"]
    return {
        "seconds": round(seconds, 2),
        "stages": round(sum(stages.values()), 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mib": usage.ru_maxrss // 1024,
    }


def synthetic_folder(folder: Path, stays: int, events_per_stay: int) -> Path:
    """Write the folder unless it is there, and return it."""
    from omnifuse.pipeline.synthetic import SynthSettings, write_cohort

    raw = folder / f"mimic3-{stays}-{events_per_stay}"
    if not raw.exists():
        write_cohort(raw, SynthSettings(stays=stays, layout="mimic3", events_per_stay=events_per_stay))
    return raw


def main() -> None:
    """Measure and print one JSON line per size, then the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stays", type=int, default=1000)
    parser.add_argument("--events-per-stay", type=int, default=7500)
    parser.add_argument("--profile", choices=("clean", "benchmark"), default="clean")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "omnifuse-ehr-benchmark")
    options = parser.parse_args()
    results = []
    for factor in FACTORS:
        raw = synthetic_folder(options.folder, options.stays, options.events_per_stay * factor)
        results.append(extract(raw, options.folder / f"cache-{factor}", options.profile))
        print(json.dumps({"events_per_stay": options.events_per_stay * factor, **results[-1]}))
    first, last = results
    print(json.dumps({"ratio": {name: round(last[name] / first[name], 2) for name in first}}))


if __name__ == "__main__":
    main()
