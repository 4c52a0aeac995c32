"""The search for good settings of a fold, judged on its inner validation part alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice, product

import numpy as np
import torch

from ...cache_schema import InputError, unknown
from ..inputs.batches import Inputs
from ..methods.base import Method
from ..methods.fitting import Progress
from ..settings import as_text
from .config import TrainConfig, changed
from .loop import History, Parts, fit, predict

Space = Mapping[str, tuple[str, ...]]

OF_TRAINING: Space = {
    "fit.epochs": ("6", "12", "24"),
    "fit.learning_rate": ("0.0005", "0.001", "0.002"),
}
"""What may be tried for every method that is trained by gradient."""
OF_ENCODERS: Space = {
    **OF_TRAINING,
    "encoder.dropout": ("0.3", "0.5", "0.7"),
    "encoder.dimension": ("32", "64", "128"),
}
"""What may be tried for every method that trains encoders, or models with encoders."""


@dataclass(frozen=True)
class Trial:
    """Settings that differ from the given ones, and the loss that they came to on the validation part."""

    overrides: tuple[str, ...]
    loss: float


def space_of(config: TrainConfig) -> Space:
    """Return the values to try by setting: all that the method names, or those of ``search.over``.

    Raises
    ------
    InputError
        If ``search.over`` names a setting without values to try.
    """
    known = known_space(config.method_class)
    over = config.search.over or tuple(known)
    for key in over:
        if key not in known:
            raise InputError(f"search.over: {unknown('searchable setting', key, known)}")
    return {key: known[key] for key in over}


def known_space(method: type[Method]) -> Space:
    """Return all that may be tried for a method: that of its kind, and what it and its bases name."""
    without_encoders = OF_TRAINING if method.by_gradient else {}
    known = dict(without_encoders if method.needs in ("pooled", "tokens") else OF_ENCODERS)
    for base in reversed(method.__mro__):
        known.update(vars(base).get("search_space", {}))
    return known


def search(config: TrainConfig, judge: Callable[[TrainConfig], float], seed: int) -> list[Trial]:
    """Try the given settings, then others drawn at random without repetition, ``search.trials`` in all.

    ``judge`` returns the loss of some settings; that of the lowest is the best.

    Raises
    ------
    InputError
        If there is nothing to search over.
    """
    space = space_of(config)
    if not space:
        raise InputError(f"Method {config.method!r} names no settings to search over; leave search.trials at 0.")
    given = {f"{key}={as_text(value)}" for key, value in config.leaves()}
    grid = [
        tuple(f"{key}={value}" for key, value in zip(space, values, strict=True)) for values in product(*space.values())
    ]
    order = np.random.default_rng(seed).permutation(len(grid))
    drawn = (tuple(setting for setting in grid[place] if setting not in given) for place in order)
    others = islice(filter(None, drawn), config.search.trials - 1)
    return [Trial(overrides, judge(changed(config, overrides))) for overrides in ((), *others)]


def fit_searched(
    new: Callable[[TrainConfig], Method], config: TrainConfig, inputs: Inputs, parts: Parts, seed: int, show: Progress
) -> tuple[Method, History, list[Trial]]:
    """Train a method from ``new``, after a search if one is wanted, on both parts; return it, its history, the trials.

    Raises
    ------
    InputError
        If there is something to choose and no validation part to choose by.
    """
    trials = []
    if config.search.trials:
        if not len(parts.validation):
            raise InputError("A search needs a validation part to choose by; set validation to 0.2, for example.")

        def judge(candidate: TrainConfig) -> float:
            method = new(candidate)
            fit(method, inputs, parts, candidate.fit, seed, show)
            return held_out_loss(method, inputs, parts.validation)

        trials = search(config, judge, seed)
        config = changed(config, best(trials).overrides)
        if not config.method_class.chooses:
            parts = Parts(torch.cat([parts.train, parts.validation]), parts.validation[:0])
    method = new(config)
    return method, fit(method, inputs, parts, config.fit, seed, show), trials


def best(trials: list[Trial]) -> Trial:
    """Return the trial of the lowest loss, the first of several."""
    return min(trials, key=lambda trial: trial.loss)


def held_out_loss(method: Method, inputs: Inputs, samples: torch.Tensor) -> float:
    """Return the loss of the predictions of some samples [n], that of the target whatever the method minimised."""
    logits = method.target.logits_of(predict(method, inputs, samples).probability)
    return float(method.target.loss(logits, inputs.y[samples].cpu()))
