"""What a training will do, settled before it starts: settings, samples, folds, and the cache as it was then."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...cache_schema import FeatureCache, InputError, by_preference, digest, digest_file
from ...registry import Package
from ..inputs.batches import Cohort
from ..inputs.loading import Selection, select
from ..inputs.missingness import draw_hidden
from ..inputs.splits import Split, balance_notes, k_folds, strata, supplied, thinned
from ..methods import METHODS, refuse_unserved
from ..parts.encoders import ENCODERS
from ..training.config import TrainConfig
from ..training.model import demands
from ..training.outcome_checks import check_outcome, outlier_notes
from .metrics import CacheFacts, MethodWords, Titles
from .sites import site_folds

VALIDATION, VALIDATION_OF_SEARCH = 0.1, 0.2
"""Share of the training subjects that validate where the method chooses by them, and where settings are searched."""

TOOLS = ("omnifuse", "torch", "numpy", "polars", "scikit-learn", "zarr")

FINGERPRINT_DIGITS = 12

FUSION = Path(__file__).parents[1]
"""All code that decides a number of a model."""


@dataclass(frozen=True)
class TrainingPlan:
    """A training before it starts.

    ``config`` has every default filled in; ``hidden`` [N, M] bool is hidden on purpose; ``notes`` are for its reader;
    ``cache`` is what the cache was, ``titles`` what it calls things, and ``demands`` what the models will demand of any
    other: they were read before the rows, so that they describe these rows whatever becomes of the folder meanwhile.
    ``words`` are those of the method for a report, ``package`` is that of the method, None for one of OmniFuse;
    ``encoder_packages`` are those of trainable encoders that are none of OmniFuse.
    """

    config: TrainConfig
    selection: Selection
    hidden: npt.NDArray[np.bool_]
    splits: list[Split]
    sites: tuple[str, ...]
    """What the folds tested, where each is a site."""
    notes: list[str]
    cache: CacheFacts
    titles: Titles
    words: MethodWords
    package: Package | None
    encoder_packages: dict[str, Package | None]
    demands: dict[str, Any]

    @property
    def cohort(self) -> Cohort:
        """The samples, with numbers of rows in place of the rows."""
        return self.selection.cohort

    @property
    def recipes(self) -> dict[str, Any]:
        """How the rows of each modality were made."""
        return {name: demanded["recipe"] for name, demanded in self.demands["inputs"].items()}

    @cached_property
    def fingerprint(self) -> str:
        """A digest of everything that decides a byte of the models: equal ones make the same folds."""
        parts = sha256(b"".join(part.tobytes() + b"|" for split in self.splits for part in split.parts)).hexdigest()
        decides = {
            "config": self.config.to_dict(),
            "demands": self.demands,
            "cache": self.cache.digest,
            "splits": parts,
            "environment": environment(self.config),
            "package": str(self.package),
            "encoder_packages": {name: str(package) for name, package in self.encoder_packages.items()},
            "code": [digest_file(file) for file in sorted(FUSION.rglob("*.py"))],
        }
        return digest(decides)[:FINGERPRINT_DIGITS]


def plan_training(cache: FeatureCache, config: TrainConfig) -> TrainingPlan:
    """Settle what a training of these settings on a cache will do.

    Raises
    ------
    InputError
        For an unknown task, modality or split, too few subjects, a kind of task that the method does not serve, or an
        outcome of which nothing can be learnt.
    """
    selection = select(cache, config.task or first_task(cache), config.modalities)
    cohort = selection.cohort
    made_of = CacheFacts(str(cache.path), cache.digest, cache.dataset, cache.versions)
    titled = {name: cache.modality_spec(name).title for name in cohort.modalities}
    titles = Titles(cohort.task.title, {name: title for name, title in titled.items() if title})
    demanded = demands(cache, cohort)
    method = config.method_class
    method.check(cohort.modalities)
    refuse_unserved(method, cohort.task.kind)
    share = validation_share(config)
    config = replace(config, task=cohort.task.name, modalities=cohort.modalities, validation=share)
    hidden = draw_hidden(config.missing, cohort.presence, cohort.modalities)
    if config.missing.protocol == "train-and-test":
        selection = selection.hiding(hidden)
    sites: tuple[str, ...] = ()
    if config.folds_by is None:
        splits, notes = _splits(cache, selection.cohort, config, share)  # reads the cache, which refuses a change since
    else:
        by_name, notes = site_folds(cache, selection.cohort, config, share)
        sites, splits = tuple(by_name), list(by_name.values())
    if config.training_share < 1:
        splits = [_thinned(split, selection.cohort, config) for split in splits]
        notes.append(f"Trained on {config.training_share:.3g} of the training patients.")
    check_outcome(cohort.task, cohort.y, splits)
    notes += [*_absent(cohort), *outlier_notes(cohort.task, cohort.y, cohort.sample_id)]
    notes += method.notes(config.options, cohort.y)
    words = MethodWords(method.term_words, method.weight_words)
    package, encoders = METHODS.package(config.method), _encoder_packages(config, demanded["inputs"])
    return TrainingPlan(
        config, selection, hidden, splits, sites, notes, made_of, titles, words, package, encoders, demanded
    )


def _absent(cohort: Cohort) -> list[str]:
    """Say which modalities nobody has within what the task may see, such as what lies before its history."""
    names = [name for name, has in zip(cohort.modalities, cohort.presence.T, strict=True) if not has.any()]
    return [
        f"Nobody has any {name} within what the task {cohort.task.name!r} may see: it was of no use." for name in names
    ]


def _encoder_packages(config: TrainConfig, inputs: Mapping[str, Any]) -> dict[str, Package | None]:
    """Return the trainable encoders of these inputs that are none of OmniFuse, with the packages that brought them."""
    kinds = sorted({demanded["kind"] for demanded in inputs.values()})
    names = [f"{kind}.{getattr(config.encoder, kind)}" for kind in kinds]
    return {name: ENCODERS.package(name) for name in names if name not in ENCODERS.own}


def environment(config: TrainConfig) -> dict[str, Any]:
    """Return versions, platform, device and threads, which decide the digits of a result."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": config.device,
        "threads": config.threads,
        "versions": {tool: version(tool) for tool in TOOLS},
    }


def first_task(cache: FeatureCache) -> str:
    """Return the first task of a cache: before others with one prediction a sample, and of these one of classes.

    Raises
    ------
    InputError
        If there is none.
    """
    tasks = [cache.task(name) for name in cache.tasks]
    if not tasks:
        raise InputError(f"{cache.path} has no task to train on.")
    return min(tasks, key=lambda task: by_preference(task.kind, task.long)).name


def validation_share(config: TrainConfig) -> float:
    """Return the share of the training subjects to set aside: the given one, or as little as the choices need."""
    if config.validation is not None:
        return config.validation
    if config.search.trials:
        return VALIDATION_OF_SEARCH
    return VALIDATION if config.method_class.chooses else 0.0


def _splits(cache: FeatureCache, cohort: Cohort, config: TrainConfig, share: float) -> tuple[list[Split], list[str]]:
    """Return the folds, or the cache's own split as the only fold with a note that says so."""
    name = split_used(cache, config)
    if name is None:
        splits = _folds(cache, cohort, config, share)
        return splits, balance_notes(splits, cohort.subject, cohort.counted)
    split = supplied(cache.splits[name], cohort, strata(cohort.y, cohort.task.kind), share, config.seed)
    return [split], [f"Trained and tested on the supplied split {name!r} instead of folds."]


def _thinned(split: Split, cohort: Cohort, config: TrainConfig) -> Split:
    """Return a split of which only a share of the training patients is left."""
    labels = strata(cohort.y, cohort.task.kind)
    return thinned(split, cohort.subject, labels, config.training_share, config.seed)


def split_used(cache: FeatureCache, config: TrainConfig) -> str | None:
    """Return the name of the cache's split that takes the place of folds; None if folds are made.

    Raises
    ------
    InputError
        If the cache has no such split, or several and none is named.
    """
    known = cache.splits
    name = next(iter(known), None) if config.split == "supplied" and len(known) < 2 else config.split
    if name is not None and name not in known:
        raise InputError(
            f"split = {name!r}; {cache.path} has the splits: {', '.join(known) or '(none)'}; `none` makes folds."
        )
    return name


def _folds(cache: FeatureCache, cohort: Cohort, config: TrainConfig, share: float) -> list[Split]:
    """Cut the folds over everybody with a label: a patient is in the same one whatever modalities are trained on."""
    task = cohort.task
    labelled = np.flatnonzero(~np.isnan(task.y).all(axis=1))
    subjects = cache.samples["subject_id"].to_numpy()
    if cohort.queries is None or task.sample is None:
        kept = np.isin(cache.samples["sample_id"].to_numpy()[labelled], cohort.sample_id)
    else:
        subjects = np.unique(subjects, return_inverse=True)[1][task.sample]
        kept = np.isin(labelled, cohort.queries.number)
    splits = k_folds(subjects[labelled], strata(task.y[labelled], task.kind), config.folds, share, config.seed)
    return [split.among(kept) for split in splits]
