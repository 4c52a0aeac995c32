"""What a training of each method costs relative to concatenation: the processor time of one fold's fit alone.

    python benchmarks/method_cost.py [--cache CACHE] [--methods concat,late] [--epochs 6]

Processor time on one thread says nearly the same on a busy machine as on a quiet one. Reading the cache, normalising
and predicting are not in it. `Method.cost` of a method, by which the time of a study is guessed, is its figure here.
"""

import argparse
import time
from pathlib import Path

import torch
from omnifuse.cache_schema import FeatureCache
from omnifuse.fusion.inputs.loading import load
from omnifuse.fusion.inputs.normalisation import Normaliser
from omnifuse.fusion.inputs.preparation import prepare
from omnifuse.fusion.inputs.splits import k_folds, strata
from omnifuse.fusion.methods import METHODS
from omnifuse.fusion.runs.plan import first_task
from omnifuse.fusion.training.config import make_config
from omnifuse.fusion.training.loop import Parts, fit
from omnifuse.fusion.training.model import new_method
from omnifuse.fusion.training.outcome import fit_outcome

REFERENCE = "concat"


def main() -> None:
    """Print a line for each method: processor seconds, those of concatenation being 1, and what the method says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("demo/cache"), help="Default: that of `make demo`.")
    parser.add_argument("--methods", default=",".join(METHODS.names()), help="NAME or NAME:PRESET, by commas.")
    parser.add_argument("--epochs", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cache = FeatureCache.open(options.cache)
    cohort = load(cache, first_task(cache))
    prepared = prepare(cohort, make_config(REFERENCE).encoder)
    split = k_folds(cohort.subject_id, strata(cohort.y, cohort.task.kind), 5, 0.1, 0)[0]
    normaliser = Normaliser.fit(prepared, split.train)
    inputs = normaliser.apply(cohort, prepared, torch.device("cpu"))
    parts = Parts(torch.from_numpy(split.train), torch.from_numpy(split.validation))

    def measured(wanted: str, epochs: int) -> float:
        name, _, preset = wanted.partition(":")
        config = make_config(name, preset or "default", [f"fit.epochs={epochs}"])
        method = new_method(config, fit_outcome(cohort.task, cohort.y).target, normaliser.input_specs(prepared), seed=0)
        chosen = parts if method.chooses else Parts(parts.train, parts.validation[:0])
        started = time.process_time()
        fit(method, inputs, chosen, config.fit, seed=0)
        return time.process_time() - started

    measured(REFERENCE, 1)  # the first steps of all take longer
    reference = measured(REFERENCE, options.epochs)
    for wanted in options.methods.split(","):
        seconds = measured(wanted, options.epochs)
        said = METHODS.get(wanted.partition(":")[0]).cost
        print(f"{wanted:20}{seconds:8.2f} s{seconds / reference:8.2f}{said:8.1f}", flush=True)


if __name__ == "__main__":
    main()
