"""What all estimators share: the method and its settings, columns of a table as modalities, a fit to all samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from ...cache_schema import InputError, Task, shown, unknown
from ...device import check_device
from ..inputs.batches import Cohort, Source
from ..inputs.preparation import prepare
from ..inputs.splits import Split, cut, strata
from ..methods import refuse_unserved
from ..methods.fitting import silent
from ..runs.plan import validation_share
from ..settings import as_overrides
from ..training import loop as training
from ..training.config import TrainConfig, make_config
from ..training.folds import bars, fit_model, torch_threads
from ..training.outcome_checks import check_outcome
from .samples import Samples, Shape, cohort_of, like, read_sources

FEATURES = "features"
"""The modality that a table is."""

OF_A_RUN = ("task", "modalities", "folds", "split", "seed", "missing")
"""Settings of a training on a cache; here X, y, groups and ``random_state`` decide them."""


class FusionEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """A fusion method that is fitted to samples in memory.

    Parameters
    ----------
    method
        Name of the method; None: the one of the preset.
    preset
        Preset of the method that its settings start from.
    settings
        Settings by dotted name, such as ``{"options.alpha": 0.5, "fit.epochs": 30, "device": "cuda"}``.
    modalities
        Of a table X, the columns of each modality by position, or by name where X has names; by default all columns are
        one modality, ``features``.
    random_state
        Seed of initial weights, order of samples and dropout: a number, a `RandomState`, or None for another each time.
    verbose
        Whether to show how far a fit has come.
    """

    def __init__(
        self,
        method: str | None = "omnifuse",
        *,
        preset: str = "default",
        settings: Mapping[str, Any] | None = None,
        modalities: Mapping[str, Sequence[int | str]] | None = None,
        random_state: int | np.random.RandomState | None = 0,
        verbose: bool = False,
    ) -> None:
        self.method = method
        self.preset = preset
        self.settings = settings
        self.modalities = modalities
        self.random_state = random_state
        self.verbose = verbose

    def _config(self) -> TrainConfig:
        settings = {} if self.settings is None else self.settings
        if not isinstance(settings, Mapping):
            raise InputError(f"settings is {shown(settings)}; expected values by name, such as {{'fit.epochs': 30}}.")
        for key in settings:
            if str(key).partition(".")[0] in OF_A_RUN:
                raise InputError(f"{key} is a setting of a training on a cache; an estimator has none.")
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(2**31 - 1)
        config = make_config(self.method, self.preset, as_overrides(settings), seed=int(seed))
        check_device(config.device)
        return config

    def _sources(self, X: Samples, *, fitting: bool) -> dict[str, Source]:
        """Return the rows of each modality, of a table those of the columns that belong to it."""
        if isinstance(X, Mapping) and not issparse(X):
            if self.modalities is not None:
                raise InputError(
                    "`modalities` names columns of a table, but X has modalities of its own; leave it out."
                )
            return read_sources(X)
        table = validate_data(self, X, dtype=np.float32, ensure_all_finite="allow-nan", reset=fitting)
        if self.modalities is None:
            return read_sources({FEATURES: table})
        if not isinstance(self.modalities, Mapping):
            raise InputError(f"modalities is {shown(self.modalities)}; expected lists of columns by name.")
        return read_sources(
            {name: table[:, self._positions(name, columns)] for name, columns in self.modalities.items()}
        )

    def _positions(self, name: str, columns: Sequence[int | str]) -> list[int]:
        """Return the positions of the columns of a modality in a table."""
        if isinstance(columns, str) or not isinstance(columns, Sequence | np.ndarray):
            raise InputError(f"The columns of modality {name!r} are {shown(columns)}; expected a list of them.")
        known = list(getattr(self, "feature_names_in_", range(self.n_features_in_)))
        positions = []
        for column in columns:
            if isinstance(column, str) and column in known:
                positions.append(known.index(column))
            elif isinstance(column, int | np.integer) and 0 <= column < self.n_features_in_:
                positions.append(int(column))
            else:
                raise unknown(f"column of modality {name!r}", column, map(str, known))
        return positions

    def _train(self, config: TrainConfig, sources: dict[str, Source], task: Task, groups: npt.ArrayLike | None) -> None:
        """Fit the method to the samples that have a modality and a label; keep the model, and what it demands of X."""
        refuse_unserved(config.method_class, task.kind)
        everyone = cohort_of(task, sources, groups)
        usable = everyone.presence.any(axis=1) & ~np.isnan(task.y).all(axis=1)
        if not usable.any():
            raise InputError("No sample of X has both a modality and a known label.")
        cohort = everyone.take(np.flatnonzero(usable))
        split = _split(cohort, config)
        self._check(cohort, split)
        config.method_class.check(cohort.modalities)
        show = bars(config.method) if self.verbose else silent
        with torch_threads(config.threads):
            self.model_, *_ = fit_model(cohort, prepare(cohort, config.encoder), split, 0, config, show)
        self.config_ = config
        self.shapes_ = {name: Shape.of(source) for name, source in sources.items()}

    def _check(self, cohort: Cohort, split: Split) -> None:
        """Refuse samples of which nothing can be learnt."""
        check_outcome(cohort.task, cohort.y, [split])

    def _said(self, X: Samples, width: int, task_of: Callable[[npt.NDArray[np.float32]], Task]) -> npt.NDArray[Any]:
        """Return what the fitted model says of samples, in the form of the outcome, [N, K].

        ``task_of`` makes a task of labels [N, width]; a sample that lacks every modality gets the prior.
        """
        sources = like(self._sources(X, fitting=False), self.shapes_)
        number = len(next(iter(sources.values())).rows)
        cohort = cohort_of(task_of(np.full((number, width), np.nan, np.float32)), sources)
        with torch_threads(self.config_.threads):
            inputs = self.model_.inputs(cohort, prepare(cohort, self.config_.encoder))
            samples = torch.arange(number, device=self.config_.device)
            said = training.probabilities(self.model_.method, inputs, samples).numpy()
        return self.model_.outcome.own(said).astype(np.float32)


def _split(cohort: Cohort, config: TrainConfig) -> Split:
    """Return everybody to train on, but those who are needed to choose by; nobody to test."""
    everyone, labels = np.arange(len(cohort)), strata(cohort.y, cohort.task.kind)
    share, rng = validation_share(config), np.random.default_rng(config.seed)
    train, held_out = cut(everyone, cohort.subject_id, labels, share, rng)
    return Split(train, held_out, everyone[:0])
