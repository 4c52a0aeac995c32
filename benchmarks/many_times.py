"""An epoch on a task with many predictions a stay beside one on mortality, on a cache of the shape of MIMIC-III.

    python benchmarks/many_times.py [--stays 33000] [--epochs 3] [--method concat] [--times 1] [--folder DIR]

The cache has 33,000 stays of 91 hours on average in bins of two hours, the 17 variables of the ICU benchmark in its 76
columns, each observed about as often as in MIMIC-III, and noise for values. ``mortality`` looks at the first 48 hours
of every stay; ``decompensation`` is predicted at the end of every bin, 1.5 million times. Each task is trained in a
process of its own, on four fifths of the stays: the median seconds of all epochs but the last, and the peak of the
process's memory. Predicting the other fifth is timed beside it. With ``--gpu`` on the first GPU.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
from measurements.child import peak_mib
from omnifuse.cache_schema import Column, FeatureCache, ModalitySpec, StagedCache, Task, offsets_of

STAYS, MEAN_STEPS, STEP_HOURS, WINDOW = 33_000, 45.5, 2.0, 48.0
QUANTITIES = {
    "diastolic": 0.9, "fio2": 0.15, "glucose": 0.4, "heart_rate": 0.95, "height": 0.01, "mean_pressure": 0.9,
    "saturation": 0.95, "breaths": 0.95, "systolic": 0.9, "temperature": 0.5, "weight": 0.05, "ph": 0.15,
}  # fmt: skip
"""Variables with the share of bins in which they are observed."""
CATEGORIES = {"refill": (2, 0.03), "eyes": (8, 0.5), "motor": (12, 0.5), "total": (13, 0.5), "verbal": (12, 0.5)}
"""Variables with the number of their categories, and the share of bins."""
BLOCK = 1000
TASKS = ("mortality", "decompensation")


def columns() -> tuple[Column, ...]:
    """Return the 76 columns."""
    values = [Column(name, "", name) for name in QUANTITIES]
    onehot = [
        Column(f"{name} {i}", "", name, "onehot") for name, (count, _) in CATEGORIES.items() for i in range(count)
    ]
    return (*values, *onehot, *(Column(f"{name} mask", "", name, "mask") for name in [*QUANTITIES, *CATEGORIES]))


def rows(lengths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the rows of some stays: values carried forward, 0 before the first."""
    count, begins = int(lengths.sum()), np.repeat(offsets_of(lengths)[:-1], lengths)
    shares = [*QUANTITIES.values(), *(share for _, share in CATEGORIES.values())]
    observed = rng.random((count, len(shares))) < shares
    last = np.maximum.accumulate(np.where(observed, np.arange(count)[:, None], -1), axis=0)
    known = last >= begins[:, None]
    parts = [np.where(known[:, i], rng.normal(size=count)[last[:, i]], 0) for i in range(len(QUANTITIES))]
    table = [np.stack(parts, axis=1)]
    for i, (categories, _) in enumerate(CATEGORIES.values(), len(QUANTITIES)):
        chosen = np.where(known[:, i], rng.integers(0, categories, count)[last[:, i]], 0)
        table.append(chosen[:, None] == np.arange(categories))
    return np.concatenate([*table, observed], axis=1, dtype=np.float32)


def write_cache(path: Path, stays: int) -> None:
    """Write the cache."""
    rng = np.random.default_rng(0)
    lengths = 3 + rng.geometric(1 / (MEAN_STEPS - 3), stays)
    staged = StagedCache(path, "synthetic", {})
    ids = np.arange(stays)
    staged.add_samples(pl.DataFrame({"sample_id": ids, "subject_id": ids // 5 * 4 + ids % 5 % 4}))  # some come again
    within = np.arange(lengths.sum()) - np.repeat(offsets_of(lengths)[:-1], lengths)
    time = ((within + 1) * STEP_HOURS).astype(np.float32)
    spec = ModalitySpec("ehr", "timeseries", "a bin of two hours", {"encoder": "noise"}, columns())
    blocks = (rows(lengths[first : first + BLOCK], rng) for first in range(0, stays, BLOCK))
    staged.add_modality(spec, lengths, len(columns()), blocks, time)
    dies = rng.random(stays) < 0.13
    staged.add_task(Task("mortality", "binary", ("dies",), dies.astype("f4")[:, None], WINDOW))
    sample = np.repeat(ids, lengths)
    soon = dies[sample] & (lengths[sample] * STEP_HOURS - time < 24)
    staged.add_task(
        Task("decompensation", "binary", ("dies soon",), soon.astype("f4")[:, None], None, sample=sample, time=time)
    )
    staged.commit({})


def measure(cache: Path, task: str, method: str, epochs: int, times: int, device: str) -> dict[str, float]:
    """Train in this process; return the seconds of an epoch and of predicting, and the peak of memory."""
    import torch
    from omnifuse.fusion.inputs.batches import Cohort
    from omnifuse.fusion.inputs.loading import select
    from omnifuse.fusion.inputs.normalisation import Normaliser
    from omnifuse.fusion.inputs.preparation import prepare
    from omnifuse.fusion.training.config import make_config
    from omnifuse.fusion.training.folds import torch_threads
    from omnifuse.fusion.training.loop import Parts, fit, predict
    from omnifuse.fusion.training.model import new_method
    from omnifuse.fusion.training.outcome import fit_outcome

    begin = time.perf_counter()
    overrides = [f"fit.epochs={epochs}", *([f"fit.times={times}"] if times else [])]
    config = make_config(method, overrides=overrides, device=device)
    cohort: Cohort = select(FeatureCache.open(cache), task).read()
    prepared = prepare(cohort, config.encoder)
    train, test = (np.flatnonzero((cohort.subject % 5 == 0) == held_out) for held_out in (False, True))
    normaliser = Normaliser.fit(prepared, train)
    inputs = normaliser.apply(cohort, prepared, torch.device(device))
    model = new_method(config, fit_outcome(cohort.task, cohort.y[train]).target, normaliser.input_specs(prepared), 0)
    clock, ready = [], time.perf_counter()

    def timed(epochs: Iterable[int]) -> Iterator[int]:
        for epoch in epochs:
            clock.append((time.perf_counter(), time.process_time()))
            yield epoch

    train, test = (torch.from_numpy(part).to(device) for part in (train, test))
    with torch_threads(1):
        fit(model, inputs, Parts(train, train[:0]), config.fit, 0, timed)
        done = time.process_time()
        said = predict(model, inputs, test).probability
    seconds, cpu_seconds = np.median(np.diff(clock, axis=0), axis=0)
    return {
        "predictions": len(cohort),
        "prepare_seconds": ready - begin,
        "epoch_seconds": float(seconds),
        "epoch_cpu_seconds": float(cpu_seconds),
        "predict_cpu_seconds": time.process_time() - done,
        "predicted": len(said),
        "peak_mib": peak_mib(),
    }


def main() -> None:
    """Measure both tasks and print a JSON line for each, then the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stays", type=int, default=STAYS)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--method", default="concat")
    parser.add_argument("--times", type=int, default=0, help="fit.times; its default if 0")
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "omnifuse-many-times")
    parser.add_argument("--task", choices=TASKS, help="Measure one task in this process.")
    options = parser.parse_args()
    cache, device = options.folder / f"stays-{options.stays}", "cuda" if options.gpu else "cpu"
    if options.task:
        print(json.dumps(measure(cache, options.task, options.method, options.epochs, options.times, device)))
        return
    if not cache.exists():
        options.folder.mkdir(exist_ok=True)
        write_cache(cache, options.stays)
    found = {}
    for task in TASKS:
        answer = subprocess.run([sys.executable, *sys.argv, "--task", task], check=True, capture_output=True, text=True)
        found[task] = json.loads(answer.stdout.splitlines()[-1])
        print(json.dumps({"task": task, **{name: round(value, 2) for name, value in found[task].items()}}))
    one, many = found.values()
    print(
        json.dumps(
            {name: round(many[name] / one[name], 2) for name in ("epoch_seconds", "epoch_cpu_seconds", "peak_mib")}
        )
    )


if __name__ == "__main__":
    main()
