"""Time and peak memory of raw MIMIC-III tables -> EHR tensors and labels, with 1 and 4 times as many events.

    python benchmarks/ehr_memory.py [--stays 1000] [--events-per-stay 7500] [--profile benchmark] [--folder DIR]

Each extraction runs in its own process. Peak memory must not grow with the number of events, and time only in
proportion. The synthetic folders are kept in --folder and used again.
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

FACTORS = (1, 4)


def extract(raw: Path, profile: str) -> dict[str, Any]:
    """Extract one folder and return seconds, peak memory of this process in MiB, and what came out."""
    from omnifuse.pipeline.source import Quarantine
    from omnifuse.pipeline.sources.mimic import MimicDataSet

    start = time.perf_counter()
    quarantine = Quarantine()
    records = MimicDataSet(raw, ("ehr",), profile).read(quarantine)
    rows = sum(len(block.values) for block in records.tables[0].blocks(quarantine))
    seconds = time.perf_counter() - start
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "stays": len(records.samples),
        "rows": rows,
        "seconds": round(seconds, 2),
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
    """Measure and print one JSON line per size, then the two ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stays", type=int, default=1000)
    parser.add_argument("--events-per-stay", type=int, default=7500)
    parser.add_argument("--profile", choices=("clean", "benchmark"), default="benchmark")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "omnifuse-ehr-benchmark")
    options = parser.parse_args()
    results = []
    for factor in FACTORS:
        raw = synthetic_folder(options.folder, options.stays, options.events_per_stay * factor)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            results.append(pool.submit(extract, raw, options.profile).result())
        print(json.dumps({"events_per_stay": options.events_per_stay * factor, **results[-1]}))
    first, last = results[0], results[-1]
    ratios = {name: round(last[name] / first[name], 2) for name in ("seconds", "cpu_seconds", "peak_mib")}
    print(json.dumps({"ratio": ratios}))


if __name__ == "__main__":
    main()
