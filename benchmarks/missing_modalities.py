"""AUROC and AUPRC of several methods under every combination of modalities, and as more and more samples lack one.

    python benchmarks/missing_modalities.py [--cache CACHE] [--methods concat,omnifuse] [--draws 20]

Each method is trained once by 5-fold cross-validation on all that there is. Its models are then asked for the test
folds under every combination (all samples that have all of it), and with one modality hidden from a growing share of
the samples (``--draws`` draws). ``--training-draws`` also trains on that many draws with half of the samples lacking a
modality, in training and test. Fold means are printed, ``pooled`` values of all test folds together beside them.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from omnifuse.cache_schema import FeatureCache
from omnifuse.fusion.inputs.batches import Cohort, Inputs
from omnifuse.fusion.inputs.loading import load
from omnifuse.fusion.inputs.missingness import MissingConfig, draw_hidden
from omnifuse.fusion.inputs.preparation import prepare
from omnifuse.fusion.parts.combinations import combination_name, combination_table
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.scores import metrics
from omnifuse.fusion.training.config import TrainConfig, make_config
from omnifuse.fusion.training.folds import default_workers, torch_threads
from omnifuse.fusion.training.loop import loop as training
from omnifuse.fusion.training.model import Model
from torch import Tensor

CONTENDERS = {
    "concat": ("concat", "default"),
    "concat + modality dropout": ("concat", "modality-dropout"),
    "concat + ridge": ("concat", "ridge"),
    "concat + modality dropout + ridge": ("concat", "modality-dropout-ridge"),
    "hybrid": ("hybrid", "default"),
    "dwfuse": ("dwfuse", "default"),
    "omnifuse": ("omnifuse", "default"),
    "omnifuse as-published": ("omnifuse", "as-published"),
    "boosting": ("boosting", "default"),
    "stacking": ("stacking", "best"),
}
QUICK = tuple(name for name in CONTENDERS if name != "stacking")
RATES = tuple(round(0.1 * step, 1) for step in range(10))
HALF = 0.5


@dataclass(frozen=True)
class Fold:
    """One trained model with the cohort as it reads it, and the samples [n] that it was trained and is tested on."""

    method: Any
    inputs: Inputs
    train: Tensor
    test: Tensor

    def predict(self, hidden: Tensor) -> npt.NDArray[Any]:
        """Return probabilities [n] with what is ``hidden``, bool [N, M] or [M], taken away."""
        return training.predict(self.method, self.inputs.hiding(hidden), self.test).probability[:, 0].numpy()


def trained(cohort: Cohort, cache: Path, config: TrainConfig, run: Path) -> list[Fold]:
    """Train all folds and return them."""
    train(cache, config, run, default_workers("cpu"))
    parts = pl.read_parquet(run / "splits.parquet")
    place = {sample: number for number, sample in enumerate(cohort.sample_id)}
    prepared = prepare(cohort, config.encoder)
    folds = []
    for number in range(config.folds):
        model = Model.load(run / "folds" / str(number), config, cohort.task, prepared)
        train_part, test = (
            torch.tensor([place[sample] for sample in parts.filter(fold=number, part=part)["sample_id"]])
            for part in ("train", "test")
        )
        folds.append(Fold(model.method, model.inputs(cohort, prepared), train_part, test))
    return folds


def scores(cohort: Cohort, pairs: Sequence[tuple[npt.NDArray[Any], npt.NDArray[Any]]]) -> dict[str, float]:
    """Return measures of (samples, probabilities) of each fold: means over folds, and pooled."""
    found: dict[str, float] = {}
    samples, chance = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    for name, measure in (("auroc", metrics.auroc), ("auprc", metrics.auprc)):
        found[name] = float(np.mean([measure(cohort.y[s, 0], p) for s, p in pairs]))
        found[f"pooled {name}"] = float(measure(cohort.y[samples, 0], chance) or np.nan)
    return found


def under_combinations(cohort: Cohort, folds: Sequence[Fold]) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the measures under every combination, of the samples that have all of it."""
    for shown in combination_table(len(cohort.modalities)):
        pairs = []
        for fold in folds:
            has_all = (fold.inputs.presence[fold.test] | ~shown).all(1).numpy()
            pairs.append((fold.test.numpy()[has_all], fold.predict(~shown)[has_all]))
        yield combination_name(shown, cohort.modalities), scores(cohort, pairs)


def under_rate(cohort: Cohort, folds: Sequence[Fold], rate: float, draws: int) -> dict[str, float]:
    """Return the mean measures over draws in which a share of the samples lacks a modality in the test alone."""
    each = []
    for draw in range(draws if rate else 1):
        hidden = draw_hidden(MissingConfig(rate, "test"), cohort.presence, cohort.modalities, draw)
        each.append(scores(cohort, [(f.test.numpy(), f.predict(torch.from_numpy(hidden))) for f in folds]))
    return {name: float(np.mean([one[name] for one in each])) for name in each[0]}


def trained_without(cache: Path, config: tuple[str, str], seed: int, run: Path) -> dict[str, float]:
    """Return the fold means of one draw with half of the samples lacking a modality in training and test."""
    settings = (f"missing.rate={HALF}", f"missing.seed={seed}")
    measures = train(cache, make_config(*config, overrides=settings), run, default_workers("cpu")).metrics.measures
    return {name: measures[name].mean for name in ("auroc", "auprc")}


def main() -> None:
    """Print one JSON line per method and question."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("demo/cache"), help="Default: that of `make demo`.")
    parser.add_argument("--methods", default=",".join(QUICK), help=f"Some of: {', '.join(CONTENDERS)}.")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--training-draws", type=int, default=0)
    options = parser.parse_args()
    if unknown := sorted(set(options.methods.split(",")) - set(CONTENDERS)):
        parser.error(f"there is no method {unknown[0]!r}; there are: {', '.join(CONTENDERS)}")

    def say(method: str, question: str, found: dict[str, float]) -> None:
        rounded = {name: round(value, 4) for name, value in found.items()}
        print(json.dumps({"method": method, "question": question, **rounded}), flush=True)

    for name in options.methods.split(","):
        config = make_config(*CONTENDERS[name])
        with tempfile.TemporaryDirectory() as temporary, torch_threads(1):
            cohort = load(FeatureCache.open(options.cache), "mortality")
            folds = trained(cohort, options.cache, config, Path(temporary) / "complete")
            for combination, found in under_combinations(cohort, folds):
                say(name, combination, found)
            for rate in RATES:
                say(name, f"{rate:.0%} missing in test", under_rate(cohort, folds, rate, options.draws))
            for draw in range(options.training_draws):
                run = Path(temporary) / f"draw-{draw}"
                say(name, f"half missing, draw {draw}", trained_without(options.cache, CONTENDERS[name], draw, run))


if __name__ == "__main__":
    main()
