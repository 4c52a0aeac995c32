"""Modalities hidden on purpose, as a change of the data: how results depend on the share of samples that lack one.

A hidden modality is missing in every respect; nothing of it is read again. Who loses what is drawn from a seed of its
own, so that it is the same for every method, fold and seed of training. (Wu et al. 2025, figures 4 to 6, where neither
the split nor the draw is specified.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from ...cache_schema import InputError
from .batches import Cohort

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class MissingConfig:
    """Which samples lose a modality; by default none does."""

    rate: float = 0.0
    """Share that loses one modality, of the samples that can: nobody loses the last one."""
    protocol: Literal["train-and-test", "test"] = "train-and-test"
    """Trained and tested on what is left, or trained on everything and tested on what is left."""
    modality: str | None = None
    """The modality that is lost; by default one of the sample's own, each with the same probability."""
    seed: int = 0
    """Seed of the draw."""
    draws: int = 1
    """Draws to test on, of the protocol ``test``; the first one is that of predictions.parquet."""

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise InputError(f"missing.rate = {self.rate}; expected a share between 0 and 1.")
        if self.seed < 0 or self.draws < 1:
            raise InputError(f"missing.seed = {self.seed} and missing.draws = {self.draws}; expected >= 0 and >= 1.")
        if self.draws > 1 and self.protocol != "test":
            raise InputError("missing.draws needs missing.protocol=test; for another training set missing.seed.")


def draw_hidden(config: MissingConfig, presence: BoolArray, modalities: Sequence[str], draw: int = 0) -> BoolArray:
    """Return which modality each sample loses, [N, M] bool of presence [N, M]: at most one, and never the last.

    Exactly the rounded share of those that can lose one does. Whoever loses something at one rate loses the same at
    every higher one. The order of the modalities does not matter.

    Raises
    ------
    InputError
        If the modality to lose is none of them.
    """
    if config.modality not in (None, *modalities):
        raise InputError(f"missing.modality = {config.modality!r}; the modalities are: {', '.join(modalities)}.")
    by_name = np.argsort(modalities)
    wanted = np.array([config.modality in (None, name) for name in modalities])
    choice = (presence & wanted)[:, by_name]
    able = np.flatnonzero(choice.any(axis=1) & (presence.sum(axis=1) > 1))
    rng = np.random.default_rng([config.seed, draw])
    losers = rng.permutation(able)[: round(config.rate * len(able))]
    lot = np.where(choice[losers], rng.random((len(losers), len(modalities))), -1.0)
    hidden = np.zeros_like(presence)
    hidden[losers, by_name[lot.argmax(axis=1)]] = True
    return hidden


def hidden_in_test(config: MissingConfig, presence: BoolArray, modalities: Sequence[str]) -> BoolArray:
    """Return what is hidden in the test alone, [S, N, M] bool: one layer a draw, no layer if that is nothing."""
    draws = config.draws if config.protocol == "test" and config.rate else 0
    hidden = [draw_hidden(config, presence, modalities, draw) for draw in range(draws)]
    return np.array(hidden, dtype=bool).reshape(draws, *presence.shape)


def hide(cohort: Cohort, hidden: BoolArray) -> Cohort:
    """Return the cohort without the rows of hidden modalities, [N, M] bool."""
    sources = {name: source.without(hidden[:, m]) for m, (name, source) in enumerate(cohort.sources.items())}
    return replace(cohort, sources=sources)
