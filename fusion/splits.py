"""Who is trained on, who validates, who tests: always whole subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..cache_schema import InputError
from .batches import Cohort

PARTS = ("train", "validation", "test")

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Positions in the cohort of the three parts of one fold; together every sample of a k-fold split once."""

    train: Positions
    validation: Positions
    test: Positions

    @property
    def parts(self) -> tuple[Positions, Positions, Positions]:
        """The three parts in the order of `PARTS`."""
        return self.train, self.validation, self.test

    def among(self, kept: npt.NDArray[np.bool_]) -> Split:
        """Return the split of those who are ``kept`` [N], by their positions among themselves.

        Raises
        ------
        InputError
            If none is left to train on or to test.
        """
        number = np.cumsum(kept) - 1
        train, validation, test = (number[part[kept[part]]] for part in self.parts)
        if not len(train) or not len(test):
            raise InputError("A fold has nobody left to train on or to test: too few samples have these modalities.")
        return Split(train, validation, test)


def strata(y: npt.NDArray[np.float32], kind: str) -> Positions:
    """Return one label per sample to balance folds by, [N] from y [N, C].

    The label or class itself; for several labels the rarest one that a sample has, -1 if none.
    """
    known = np.nan_to_num(y, nan=0.0)
    if kind != "multilabel":
        return known[:, 0].astype(np.int64)
    rarest_first = np.argsort(known.sum(axis=0), kind="stable")
    has = known[:, rarest_first] > 0
    return np.where(has.any(axis=1), rarest_first[has.argmax(axis=1)], -1)


def deal(subjects: npt.NDArray[Any], labels: Positions, parts: int, rng: np.random.Generator) -> Positions:
    """Deal subjects to parts like cards, label after label, and return the part of each sample, [N].

    A subject counts with the highest label of its samples. Parts differ by at most one subject per label.

    Raises
    ------
    InputError
        If there are fewer subjects than parts.
    """
    names, subject = np.unique(subjects, return_inverse=True)
    if len(names) < parts:
        raise InputError(f"{parts} parts need at least {parts} subjects, there are {len(names)}; use fewer folds.")
    label = np.full(len(names), labels.min())
    np.maximum.at(label, subject, labels)
    shuffled = rng.permutation(len(names))
    order = shuffled[np.argsort(label[shuffled], kind="stable")]
    part = np.empty(len(names), dtype=np.int64)
    part[order] = np.arange(len(names)) % parts
    return part[subject]


def k_folds(subjects: npt.NDArray[Any], labels: Positions, folds: int, validation: float, seed: int) -> list[Split]:
    """Cut k folds by subject, balanced by label, and a validation part out of each training part.

    ``subjects`` and ``labels`` [N]; ``validation`` is the share of training subjects that validate, 0 for none.
    """
    if folds < 2:
        raise InputError(f"folds = {folds}; cross-validation needs at least 2.")
    rng = np.random.default_rng(seed)
    fold = deal(subjects, labels, folds, rng)
    splits = []
    for k in range(folds):
        train, held_out = cut(np.flatnonzero(fold != k), subjects, labels, validation, rng)
        splits.append(Split(train, held_out, np.flatnonzero(fold == k)))
    return splits


def cut(
    samples: Positions, subjects: npt.NDArray[Any], labels: Positions, share: float, rng: np.random.Generator
) -> tuple[Positions, Positions]:
    """Cut about ``share`` of the subjects among ``samples`` off, one at least: returns positions (rest, cut off)."""
    if not 0 <= share <= 0.5:
        raise InputError(f"validation = {share}; expected a share of the training subjects between 0 and 0.5.")
    if share == 0:
        return samples, samples[:0]
    parts = max(2, min(round(1 / share), len(np.unique(subjects[samples]))))
    part = deal(subjects[samples], labels[samples], parts, rng)
    return samples[part != 0], samples[part == 0]


def supplied(table: pl.DataFrame, cohort: Cohort, labels: Positions, validation: float, seed: int) -> Split:
    """Turn a user's table of sample_id and part (train, validation, test) into a split.

    Samples that it does not name, or for which it has no part, are left out. Without a validation part one is cut from
    train.

    Raises
    ------
    InputError
        For an unknown part, an empty train or test part, or a subject in more than one part.
    """
    unknown = set(table["part"].drop_nulls().unique()) - set(PARTS)
    if unknown:
        raise InputError(f"Unknown part {sorted(map(str, unknown))[0]!r} in the split; known are {', '.join(PARTS)}.")
    frame = pl.DataFrame({"sample_id": cohort.sample_id}).join(table, on="sample_id", how="left", maintain_order="left")
    part = frame["part"].fill_null("").to_numpy()
    _refuse_shared(part, cohort.subject_id)
    train, held_out, test = (np.flatnonzero(part == name) for name in PARTS)
    for name, positions in (("train", train), ("test", test)):
        if not len(positions):
            raise InputError(f"The split gives no sample of this task to {name!r}.")
    if not len(held_out):
        train, held_out = cut(train, cohort.subject_id, labels, validation, np.random.default_rng(seed))
    return Split(train, held_out, test)


def _refuse_shared(part: npt.NDArray[Any], subjects: npt.NDArray[Any]) -> None:
    frame = pl.DataFrame({"subject": subjects, "part": part}).filter(pl.col("part") != "")
    shared = frame.group_by("subject").agg(pl.col("part").unique().sort()).filter(pl.col("part").list.len() > 1)
    if shared.height:
        subject, parts = shared.sort("subject").row(0)
        raise InputError(f"Subject {subject} is in {' and '.join(parts)} of the split; keep each subject in one part.")


def split_frame(splits: Sequence[Split], cohort: Cohort) -> pl.DataFrame:
    """Return the table to save: sample_id, subject_id, fold, part."""
    ids = {"sample_id": cohort.sample_id, "subject_id": cohort.subject_id}
    frames = [
        pl.DataFrame({**{name: of_each[positions] for name, of_each in ids.items()}, "fold": fold, "part": part})
        for fold, split in enumerate(splits)
        for part, positions in zip(PARTS, split.parts, strict=True)
        if len(positions)
    ]
    return pl.concat(frames)
