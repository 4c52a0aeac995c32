"""A training on rows four times the memory that it may take, beside the same in memory: seconds, memory, metrics.

    python benchmarks/larger_than_memory.py [--stays 50000] [--epochs 1] [--method concat] [--folder DIR]

The cache is that of train_epoch.py. Each training is the whole command ``omnifuse train`` with one worker, in a process
of its own. ``anonymous_mib`` is the most memory that belongs to the process alone; pages of mapped files, which the
system takes back when it needs them, are not in it. Where the machine lets root make a memory control group (cgroup
v1), --group-mib runs the second training in one: then pages of files count, too, and rows must come from the disk.
With fewer stays than the default a quarter of the rows is less than a process takes without any.
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

import psutil
from omnifuse.cache_schema import FeatureCache
from omnifuse.fusion.inputs.loading import select
from train_epoch import write_cache

SHARE = 4
GROUP = Path("/sys/fs/cgroup/memory/omnifuse-benchmark")
UNTIMED = ("seconds", "run", "cache")


def train(cache: Path, run: Path, options: list[str], group: bool) -> dict[str, Any]:
    """Train; return seconds, the most anonymous memory, and the metrics."""
    shutil.rmtree(run, ignore_errors=True)
    command = [Path(sys.executable).with_name("omnifuse"), "train", "--cache", cache, "--run", run, *options, "--json"]
    start, most = time.perf_counter(), 0

    def enter() -> None:
        (GROUP / "cgroup.procs").write_text(str(os.getpid()))

    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=enter if group else None
    )
    while process.poll() is None:
        try:
            memory = psutil.Process(process.pid).memory_info()
        except psutil.NoSuchProcess:
            break
        most = max(most, memory.rss - memory.shared)
        time.sleep(0.1)
    if process.wait():
        raise SystemExit(f"the training failed with exit code {process.returncode}")
    metrics = json.loads((run / "metrics.json").read_text())
    for fold in metrics["folds"]:
        fold.pop("seconds")
    timed = {"seconds": round(time.perf_counter() - start, 1), "anonymous_mib": most >> 20}
    return timed | {"metrics": {name: value for name, value in metrics.items() if name not in UNTIMED}}


def main() -> None:
    """Measure both and print one JSON line each, then the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stays", type=int, default=50000)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--method", default="concat")
    parser.add_argument("--group-mib", type=int, help="Memory of the control group of the second training.")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "omnifuse-train-benchmark")
    options = parser.parse_args()
    cache = options.folder / f"larger-{options.stays}"
    if not cache.exists():
        options.folder.mkdir(exist_ok=True)
        write_cache(cache, options.stays)
    size = select(FeatureCache.open(cache), "outcome").bytes
    settings = ["--method", options.method, "--folds", "2", "--workers", "1", "--set", f"fit.epochs={options.epochs}"]
    inside = train(cache, options.folder / "inside", [*settings, "--memory-limit", "1TB"], group=False)
    if options.group_mib:
        GROUP.mkdir(exist_ok=True)
        (GROUP / "memory.limit_in_bytes").write_text(str(options.group_mib << 20))
    limit = f"{size / SHARE / 1e6:.0f}MB"
    outside = train(cache, options.folder / "outside", [*settings, "--memory-limit", limit], bool(options.group_mib))
    for name, result in (("in memory", inside), (f"--memory-limit {limit}", outside)):
        print(json.dumps({"rows": name, **{key: result[key] for key in ("seconds", "anonymous_mib")}}))
    equal = inside["metrics"] == outside["metrics"]
    speed = round(inside["seconds"] / outside["seconds"], 2)
    print(json.dumps({"rows_mib": size >> 20, "equal_metrics": equal, "speed_of_in_memory": speed}))


if __name__ == "__main__":
    main()
