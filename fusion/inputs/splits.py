"""Who is trained on, who validates, who tests: always whole subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from heapq import heapify, heapreplace
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ...cache_schema import InputError
from .batches import Cohort

PARTS = ("train", "validation", "test")

MOST_PARTS = 1000
"""Shares are cut to this many parts at most, a tenth of a percent."""

TENTHS = 10
"""Parts of the range of a quantity by which folds are balanced."""

UNEVEN = 2.0
"""Folds of which the largest has more samples than this many times the smallest are worth a note."""

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

    The label or class itself; for several labels the rarest one that a sample has, -1 if none; whether an event came;
    for quantities the tenth that the first of them is in, -1 if unknown.
    """
    if kind == "regression":
        first = y[:, 0]
        unknown = np.isnan(first)
        edges = np.quantile(first[~unknown], np.arange(1, TENTHS) / TENTHS) if not unknown.all() else first[:0]
        return np.where(unknown, -1, np.searchsorted(edges, first, side="right"))
    known = np.nan_to_num(y[:, 1:] if kind == "survival" else y, nan=0.0)
    if kind != "multilabel":
        return known[:, 0].astype(np.int64)
    rarest_first = np.argsort(known.sum(axis=0), kind="stable")
    has = known[:, rarest_first] > 0
    return np.where(has.any(axis=1), rarest_first[has.argmax(axis=1)], -1)


def deal(subjects: npt.NDArray[Any], labels: Positions, parts: int, rng: np.random.Generator) -> Positions:
    """Deal subjects to parts like cards, label after label, and return the part of each sample, [N].

    A subject counts with the highest label of its samples. Of each label the next subject goes to the part that has
    the fewest samples of that label, then of any; those with many samples are dealt first, while others are left to
    make up for them. Where every subject has one sample, parts differ by at most one subject per label.

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
    samples = np.bincount(subject)
    with_label = np.bincount(subject, labels == label[subject]).astype(np.int64)
    shuffled = rng.permutation(len(names))
    cards = shuffled[np.argsort(label[shuffled], kind="stable")]
    order = np.lexsort((-samples[cards], -with_label[cards], label[cards]))
    first = int(order[0]) % parts  # where its card lay: or part 0 would always get the largest subject
    part = np.empty(len(names), dtype=np.int64)
    totals = [0] * parts
    for _, alike in groupby(cards[order].tolist(), key=label.__getitem__):
        heap = [(0, total, number) for number, total in enumerate(totals)]
        heapify(heap)
        for name in alike:
            counted, total, number = heap[0]
            part[name] = (first + number) % parts
            totals[number] = total + int(samples[name])
            heapreplace(heap, (counted + int(with_label[name]), totals[number], number))
    dealt: Positions = part[subject]
    return dealt


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


def by_site(
    sites: npt.NDArray[np.str_],
    subjects: npt.NDArray[Any],
    labels: Positions,
    validation: float,
    seed: int,
    test_on: Sequence[str],
    train_on: Sequence[str] = (),
) -> dict[str, Split]:
    """Return for each site of ``test_on`` the split that tests it and trains on others, without patients of the site.

    ``sites`` [N]; trained on are the sites ``train_on``, by default all, and then also samples whose site is unknown,
    "". A validation part is cut as in :func:`k_folds`.
    """
    rng = np.random.default_rng(seed)
    splits = {}
    for site in test_on:
        elsewhere = ~np.isin(subjects, subjects[sites == site]) & (np.isin(sites, train_on) if train_on else True)
        train, held_out = cut(np.flatnonzero(elsewhere), subjects, labels, validation, rng)
        splits[str(site)] = Split(train, held_out, np.flatnonzero(sites == site))
    return splits


def cut(
    samples: Positions, subjects: npt.NDArray[Any], labels: Positions, share: float, rng: np.random.Generator
) -> tuple[Positions, Positions]:
    """Cut ``share`` of the subjects among ``samples`` off, to within one subject, but one at least.

    Returns positions (rest, cut off). Subjects are dealt to as many parts as the share, as a fraction, has in its
    denominator; the parts that are cut off lie evenly among them, so that each label is cut alike.
    """
    if not 0 <= share <= 0.5:
        raise InputError(f"validation = {share}; expected a share of the training subjects between 0 and 0.5.")
    if share == 0:
        return samples, samples[:0]
    most = min(max(2, len(np.unique(subjects[samples]))), MOST_PARTS)
    fraction = Fraction(share).limit_denominator(most) or Fraction(1, most)
    part = deal(subjects[samples], labels[samples], fraction.denominator, rng)
    held_out = part * fraction.numerator % fraction.denominator < fraction.numerator
    return samples[~held_out], samples[held_out]


def thinned(split: Split, subjects: npt.NDArray[Any], labels: Positions, share: float, seed: int) -> Split:
    """Return the split with only a ``share`` of the subjects of its training and validation parts; the test is whole.

    ``subjects`` and ``labels`` [N]. Each label keeps its share, to within a subject; whoever is kept at some share is
    kept at every larger one.
    """
    train, validation = (
        _some(part, subjects[part], labels[part], share, seed) for part in (split.train, split.validation)
    )
    return Split(train, validation, split.test)


def _some(samples: Positions, subjects: npt.NDArray[Any], labels: Positions, share: float, seed: int) -> Positions:
    """Return those of some samples that belong to the first ``share`` of the subjects in a random order."""
    if share == 1 or not len(samples):
        return samples
    names, subject = np.unique(subjects, return_inverse=True)
    label = np.full(len(names), labels.min())
    np.maximum.at(label, subject, labels)
    rng = np.random.default_rng(seed)
    place = np.empty(len(names))
    for one in np.unique(label):
        alike = rng.permutation(np.flatnonzero(label == one))
        place[alike] = (np.arange(len(alike)) + rng.random()) / len(alike)  # each label evenly along the order
    kept = np.zeros(len(names), dtype=bool)
    kept[np.argsort(place, kind="stable")[: max(1, round(share * len(names)))]] = True
    return samples[kept[subject]]


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


def balance_notes(splits: Sequence[Split], subjects: npt.NDArray[Any], counted: str = "samples") -> list[str]:
    """Say if test parts differ much in size, and that subjects are the reason; ``subjects`` [N] of what is counted."""
    sizes = [len(split.test) for split in splits]
    if max(sizes) <= UNEVEN * min(sizes):
        return []
    largest = int(np.unique(subjects, return_counts=True)[1].max())
    return [
        f"Folds have {min(sizes):,} to {max(sizes):,} test {counted}: a subject is in one fold with all of its "
        f"{counted}, and the largest has {largest:,} of {len(subjects):,}. A mean over folds counts the small ones as "
        "much."
    ]


def _refuse_shared(part: npt.NDArray[Any], subjects: npt.NDArray[Any]) -> None:
    frame = pl.DataFrame({"subject": subjects, "part": part}).filter(pl.col("part") != "")
    shared = frame.group_by("subject").agg(pl.col("part").unique().sort()).filter(pl.col("part").list.len() > 1)
    if shared.height:
        subject, parts = shared.sort("subject").row(0)
        raise InputError(f"Subject {subject} is in {' and '.join(parts)} of the split; keep each subject in one part.")


def split_frame(splits: Sequence[Split], cohort: Cohort) -> pl.DataFrame:
    """Return the table to save: sample_id, subject_id, fold, part; a sample with several predictions once a fold."""
    ids = {"sample_id": cohort.sample_id, "subject_id": cohort.subject_id}
    frames = [
        pl.DataFrame({**{name: of_each[positions] for name, of_each in ids.items()}, "fold": fold, "part": part})
        for fold, split in enumerate(splits)
        for part, positions in zip(PARTS, (_first_of_each(part, cohort) for part in split.parts), strict=True)
        if len(positions)
    ]
    return pl.concat(frames)


def _first_of_each(positions: Positions, cohort: Cohort) -> Positions:
    """Return the first position of each sample."""
    if cohort.queries is None:
        return positions
    return positions[np.sort(np.unique(cohort.queries.sample[positions], return_index=True)[1])]
