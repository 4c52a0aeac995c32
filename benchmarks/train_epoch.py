"""Seconds of one epoch of OmniFuse, its look at all combinations included, beside the same fusion in a plain loop.

    python benchmarks/train_epoch.py [--stays 20000] [--timeseries recurrent] [--plain-share 0.1] [--folder DIR]

The cache is synthetic: 24 two-hour bins of EHR for each stay and, for four stays in five, an image vector and about 75
report tokens. Each shows a part of what decides the label. A fifth as many stays on top are for validation.

Ours is ``training.fit`` for one epoch, on one thread, as a fold is trained. The plain loop trains the same fusion on
the same cache as a first version would: a ``Dataset`` of single samples, a ``DataLoader`` with two workers, padded
batches, tokens projected before they are pooled, an LSTM over the bins, and a pass through everything for each
combination. It is run twice: with the cache read into memory first, and with every sample read from the cache on disk.
Of its batches the first ``--plain-share`` are run and the time scaled up; with 1 all are, and AUROCs compare. The
encoder of the bins is a GRU like the plain one's LSTM; ``--timeseries statistics`` is the default of a training.
"""

import argparse
import json
import math
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is imported

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
import zarr
from omnifuse.cache_schema import FeatureCache, ModalitySpec, StagedCache, Task
from omnifuse.fusion.inputs.batches import Cohort
from omnifuse.fusion.inputs.loading import load
from omnifuse.fusion.inputs.normalisation import Normaliser
from omnifuse.fusion.inputs.preparation import prepare
from omnifuse.fusion.inputs.spec import EncoderConfig
from omnifuse.fusion.methods.base import Method
from omnifuse.fusion.parts.combinations import combination_table
from omnifuse.fusion.parts.encoders import Encoded, mlp
from omnifuse.fusion.scores.metrics import auroc
from omnifuse.fusion.training.config import TrainConfig, make_config
from omnifuse.fusion.training.folds import torch_threads
from omnifuse.fusion.training.loop import Parts, clip_gradients, cosine, fit, predict
from omnifuse.fusion.training.model import new_method
from omnifuse.fusion.training.outcome import fit_outcome
from omnifuse.pipeline.sources.mimic.benchmark.variables import columns
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset, Subset

BINS, IMAGE, TOKEN, MEAN_TOKENS = 24, 512, 768, 75
MODALITIES = ("ehr", "cxr", "rep")
EHR = columns()
UNITS = ("seconds", "cpu_seconds")
BLOCK = 1000
Floats = npt.NDArray[np.floating[Any]]


def planted(rng: np.random.Generator, hidden: Floats, lengths: npt.NDArray[np.int64], noise: Floats) -> Floats:
    """Return rows of noise; one in three, the first of each sample among them, tells what is hidden in the sample."""
    rows = noise[rng.integers(0, len(noise), int(lengths.sum()))].copy()
    telling = rng.random(len(rows)) < 1 / 3
    telling[np.cumsum(lengths)[lengths > 0] - lengths[lengths > 0]] = True
    rows[:, :8] += (np.repeat(hidden, lengths) * telling)[:, None].astype(rows.dtype)
    return rows


def ehr_rows(rng: np.random.Generator, hidden: Floats) -> Floats:
    """Return bins [24 n, 76]: values that tell what is hidden, with gaps, then random categories and masks."""
    rows = rng.standard_normal((len(hidden) * BINS, len(EHR)), dtype=np.float32)
    for position, column in enumerate(EHR):
        if column.role == "value":
            rows[:, position] += 0.5 * np.repeat(hidden, BINS)
            rows[rng.random(len(rows)) < 0.2, position] = np.nan
        else:
            rows[:, position] = rows[:, position] > (0 if column.role == "mask" else 1.5)
    return rows


def write_cache(path: Path, stays: int) -> None:
    """Write a cache of so many stays with a task ``outcome`` that about one in five has."""
    rng = np.random.default_rng(0)
    hidden = rng.standard_normal((3, stays), dtype=np.float32)
    y = (rng.random(stays) < 1 / (1 + np.exp(2.2 - 1.2 * hidden.sum(axis=0)))).astype(np.float32)
    has = rng.random((2, stays)) < 0.8
    tokens = np.clip(np.rint(rng.normal(MEAN_TOKENS, 25, stays)), 8, 150)
    staged = StagedCache(path, "benchmark", {})
    staged.add_samples(pl.DataFrame({"sample_id": np.arange(stays), "subject_id": np.arange(stays)}))
    hours = np.tile(np.arange(2, 2 * BINS + 1, 2, dtype=np.float32), stays)
    blocks = (ehr_rows(rng, hidden[0, first : first + BLOCK]) for first in range(0, stays, BLOCK))
    staged.add_modality(
        ModalitySpec("ehr", "timeseries", "bin", {}, EHR), np.full(stays, BINS), len(EHR), blocks, hours
    )
    for name, width, part, counts in (("cxr", IMAGE, 1, has[0]), ("rep", TOKEN, 2, has[1] * tokens)):
        lengths, noise = counts.astype(np.int64), rng.standard_normal((4096, width)).astype(np.float16)
        blocks = (
            planted(rng, hidden[part, first : first + BLOCK], lengths[first : first + BLOCK], noise)
            for first in range(0, stays, BLOCK)
        )
        times = np.full(lengths.sum(), np.nan, dtype=np.float32)
        staged.add_modality(ModalitySpec(name, "embedding", "row", {}), lengths, width, blocks, times)
    staged.add_task(Task("outcome", "binary", ("outcome",), y[:, None], 48.0))
    staged.commit({})


@contextmanager
def measured(result: dict[str, Any], name: str) -> Iterator[None]:
    """Record the wall-clock and CPU seconds of a block, those of ended child processes included."""

    def cpu() -> float:
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    wall, before = time.perf_counter(), cpu()
    yield
    result[f"{name}_seconds"] = round(time.perf_counter() - wall, 2)
    result[f"{name}_cpu_seconds"] = round(cpu() - before, 2)


def ours(cache: Path, config: TrainConfig, stays: int) -> dict[str, Any]:
    """Train one epoch with the loop of the package."""
    result: dict[str, Any] = {}
    with measured(result, "load"):
        cohort = load(FeatureCache.open(cache), "outcome", MODALITIES)
        prepared = prepare(cohort, config.encoder)
        normaliser = Normaliser.fit(prepared, np.arange(stays))
        inputs = normaliser.apply(cohort, prepared, torch.device("cpu"))
    method = new_method(config, fit_outcome(cohort.task, cohort.y).target, normaliser.input_specs(prepared), seed=0)
    everyone = torch.arange(len(cohort))
    with measured(result, "epoch"):
        fit(method, inputs, Parts(everyone[:stays], everyone[:0]), config.fit, seed=0)
    probability = predict(method, inputs, everyone[stays:]).probability
    return result | {"auroc": auroc(cohort.y[stays:, 0], probability[:, 0].numpy())}


Sample = dict[str, Tensor]


class PlainDataset(Dataset[Sample]):
    """Gives one sample after the other, from memory or from the cache on disk."""

    def __init__(self, cache: Path, in_memory: bool) -> None:
        root = zarr.open_group(cache, mode="r")
        self.y = root["tasks/outcome/y"][:]
        self.offsets = {name: root[f"modalities/{name}/offsets"][:] for name in MODALITIES}
        self.values = {name: root[f"modalities/{name}/values"] for name in MODALITIES}
        if in_memory:
            self.values = {name: array[:] for name, array in self.values.items()}

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, sample: int) -> Sample:
        rows = {}
        for name, offsets in self.offsets.items():
            values = self.values[name][offsets[sample] : offsets[sample + 1]]
            rows[name] = torch.from_numpy(values).float().nan_to_num()
        return {**rows, "y": torch.from_numpy(self.y[sample])}


@dataclass(frozen=True)
class PaddedBatch:
    """``values`` name to [B, longest, d]; ``lengths`` [B, M]; ``y`` [B, 1]; ``presence`` [B, M]."""

    values: dict[str, Tensor]
    lengths: Tensor
    y: Tensor
    presence: Tensor


def collate(samples: list[Sample]) -> PaddedBatch:
    """Pad with zeros."""
    names = [name for name in samples[0] if name != "y"]
    lengths = torch.tensor([[len(sample[name]) for name in names] for sample in samples])
    values = {name: pad_sequence([sample[name] for sample in samples], batch_first=True) for name in names}
    return PaddedBatch(values, lengths, torch.stack([sample["y"] for sample in samples]), lengths > 0)


class PlainEncoders(nn.Module):
    """LSTM for the bins, a perceptron for the image, attention over projected tokens."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width = config.dimension
        self.lstm = nn.LSTM(len(EHR), 256, num_layers=2, dropout=0.3, batch_first=True)
        self.ehr = nn.Linear(256, width)
        self.cxr = mlp(IMAGE, config.hidden, width, config.dropout)
        self.rep = nn.Linear(TOKEN, width)
        self.gate, self.score = nn.Linear(width, 2 * config.attention), nn.Linear(config.attention, 1, bias=False)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)

    def encode(self, values: dict[str, Tensor], lengths: Tensor) -> Tensor:
        """Return embeddings [B, 3, D]; those of absent modalities mean nothing."""
        packed = pack_padded_sequence(values["ehr"], lengths[:, 0].clamp(min=1), batch_first=True, enforce_sorted=False)
        _, (last, _) = self.lstm(packed)
        tokens = self.rep(values["rep"])  # [B, longest, D]
        content, openness = self.gate(tokens).chunk(2, dim=-1)
        scores = self.score(torch.tanh(content) * torch.sigmoid(openness)).squeeze(-1)
        real = torch.arange(tokens.shape[1]) < lengths[:, 2:].clamp(min=1)
        weights = scores.masked_fill(~real, -torch.inf).softmax(1)
        pooled = (weights[..., None] * tokens).sum(1)
        embeddings = torch.stack([self.ehr(last[-1]), self.cxr(values["cxr"][:, 0]), pooled], dim=1)
        normalised: Tensor = self.norm(embeddings)
        return normalised

    def forward(self, batch: PaddedBatch) -> Encoded:
        """Encode a batch, with the embedding of zeros where a modality is absent."""
        zeros = {name: rows.new_zeros(1, 1, rows.shape[2]) for name, rows in batch.values.items()}
        missing = self.encode(zeros, torch.ones(1, 3, dtype=torch.int64))[0]
        embeddings = self.encode(batch.values, batch.lengths)
        return Encoded(torch.where(batch.presence[..., None], embeddings, missing), missing, batch.presence)


def plain_model(cache: Path, config: TrainConfig) -> Method:
    """Return the fusion with plain encoders."""
    cohort: Cohort = load(FeatureCache.open(cache), "outcome", ("cxr",))
    prepared = prepare(cohort, config.encoder)
    spec = Normaliser.fit(prepared, np.arange(2)).input_specs(prepared)[0]
    method = new_method(
        config,
        fit_outcome(cohort.task, cohort.y).target,
        tuple(replace(spec, name=name) for name in MODALITIES),
        seed=0,
    )
    torch.manual_seed(0)
    method.encoders = PlainEncoders(config.encoder)
    return method


def plain(data: PlainDataset, method: Method, config: TrainConfig, stays: int, share: float) -> dict[str, Any]:
    """Train the first ``share`` of an epoch with the plain loop; seconds are scaled up to the whole epoch."""
    result: dict[str, Any] = {"share_run": share}
    training = Subset(data, range(stays))
    loader = DataLoader(training, config.fit.batch_size, shuffle=True, num_workers=2, collate_fn=collate)
    fit = config.fit
    optimiser = torch.optim.AdamW(method.parameters(), lr=fit.learning_rate, weight_decay=fit.weight_decay)
    schedule = cosine(optimiser, fit.final_rate, fit.epochs * len(loader))
    method.train()
    with measured(result, "training"):
        for batch in islice(loader, math.ceil(share * len(loader))):
            optimiser.zero_grad()
            method.loss(batch)["total"].backward()
            clip_gradients([list(method.parameters())], fit.clip)
            optimiser.step()
            schedule.step()
    method.eval()
    with measured(result, "mining"), torch.no_grad():
        mine(method, Subset(data, range(math.ceil(share * min(stays, fit.mining_rows)))))
    for unit in UNITS:
        result[f"epoch_{unit}"] = round((result[f"training_{unit}"] + result[f"mining_{unit}"]) / share, 1)
    return result | ({"auroc": plain_auroc(method, Subset(data, range(stays, len(data))))} if share == 1 else {})


def mine(method: Method, data: Dataset[Sample]) -> Tensor:
    """Return the summed loss of every combination, each with a pass of its own through everything."""
    table = combination_table(len(MODALITIES))
    losses = torch.zeros(len(table))
    for batch in DataLoader(data, 128, num_workers=2, collate_fn=collate):
        for position, shown in enumerate(table):
            losses[position] += method.loss(replace(batch, presence=batch.presence & shown))["ce"] * len(batch.y)
    return losses


def plain_auroc(method: Method, data: Dataset[Sample]) -> float | None:
    """Return the AUROC on the validation stays."""
    with torch.no_grad():
        batches = DataLoader(data, 512, num_workers=2, collate_fn=collate)
        pairs = [(batch.y[:, 0], method.predict(batch).probability[:, 0]) for batch in batches]
    y, p = (torch.cat(values).numpy() for values in zip(*pairs, strict=True))
    return auroc(y, p)


def main() -> None:
    """Write the cache unless it is there, measure, and print one JSON line for each loop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stays", type=int, default=20_000)
    parser.add_argument("--timeseries", choices=("statistics", "recurrent", "both"), default="recurrent")
    parser.add_argument("--plain-share", type=float, default=0.1, help="0 leaves the plain loop out")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "omnifuse-train-benchmark")
    options = parser.parse_args()
    cache = options.folder / f"cache-{options.stays}"
    if not cache.exists():
        write_cache(cache, options.stays * 6 // 5)
    # the plain encoders have no dropout on their inputs either: after one epoch it would decide the AUROC
    settings = ["fit.epochs=1", "encoder.input_dropout=0", f"encoder.timeseries={options.timeseries}"]
    config = make_config("omnifuse", overrides=settings)
    with torch_threads(config.threads):
        best = ours(cache, config, options.stays)
    print(json.dumps({"loop": "ours", **best}), flush=True)
    for place in ("memory", "disk") if options.plain_share else ():
        data = PlainDataset(cache, in_memory=place == "memory")
        found = plain(data, plain_model(cache, config), config, options.stays, options.plain_share)
        times = {f"times_{unit}": round(found[f"epoch_{unit}"] / best[f"epoch_{unit}"], 1) for unit in UNITS}
        print(json.dumps({"loop": f"plain, samples from {place}", **found, **times}), flush=True)


if __name__ == "__main__":
    main()
