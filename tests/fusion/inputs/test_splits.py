"""Folds are made of whole subjects and balanced by label."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omnifuse.cache_schema import InputError
from omnifuse.fusion.inputs.batches import Cohort
from omnifuse.fusion.inputs.splits import (
    Split,
    balance_notes,
    cut,
    deal,
    k_folds,
    split_frame,
    strata,
    supplied,
    thinned,
)

COHORTS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2)), min_size=10, max_size=120).filter(
    lambda rows: len({subject for subject, _ in rows}) >= 10
)


@settings(deadline=None, max_examples=60)
@given(COHORTS, st.integers(2, 5), st.sampled_from([0.0, 0.2, 0.5]), st.integers(0, 99))
def test_no_subject_is_in_two_parts(rows: list[tuple[int, int]], folds: int, validation: float, seed: int) -> None:
    subjects, labels = np.array(rows).T
    splits = k_folds(subjects, labels, folds, validation, seed)
    tested = np.concatenate([split.test for split in splits])
    assert sorted(tested) == list(range(len(rows)))
    for split in splits:
        parts = [set(subjects[part]) for part in split.parts]
        assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
        assert sum(map(len, split.parts)) == len(rows)
        assert bool(len(split.validation)) == (validation > 0)


@settings(deadline=None, max_examples=40)
@given(st.integers(20, 200), st.integers(2, 5), st.integers(0, 99))
def test_folds_have_equal_shares_of_every_label(count: int, folds: int, seed: int) -> None:
    labels = (np.random.default_rng(seed).random(count) < 0.2).astype(int)
    positives = [labels[split.test].sum() for split in k_folds(np.arange(count), labels, folds, 0.0, seed)]
    assert max(positives) - min(positives) <= 1


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 3), min_size=5, max_size=80), st.integers(2, 5), st.integers(0, 99))
def test_subjects_with_one_sample_each_are_dealt_like_cards(labels: list[int], parts: int, seed: int) -> None:
    """Shuffled, sorted by label, and dealt in turn: the folds of every release."""
    y = np.array(labels)
    shuffled = np.random.default_rng(seed).permutation(len(y))
    order = shuffled[np.argsort(y[shuffled], kind="stable")]
    part = deal(np.arange(len(y)), y, parts, np.random.default_rng(seed))
    assert part[order].tolist() == (np.arange(len(y)) % parts).tolist()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 30), min_size=5, max_size=40), st.integers(2, 5), st.integers(0, 99))
def test_parts_differ_by_no_more_samples_than_the_largest_subject_has(sizes: list[int], parts: int, seed: int) -> None:
    subjects = np.repeat(np.arange(len(sizes)), sizes)
    rng = np.random.default_rng(seed)
    labels = (rng.random(len(subjects)) < 0.3).astype(int)
    alike = np.bincount(deal(subjects, np.zeros_like(labels), parts, rng), minlength=parts)
    assert alike.max() - alike.min() <= max(sizes)
    positives = np.bincount(deal(subjects, labels, parts, rng), labels, minlength=parts)
    assert positives.max() - positives.min() <= np.bincount(subjects, labels).max()


def test_a_subject_with_most_of_the_samples_fills_one_fold_and_leaves_the_others_alike() -> None:
    subjects = np.concatenate([np.arange(100), np.full(400, 100)])
    splits = k_folds(subjects, np.zeros(500, int), 5, 0.0, 0)
    assert sorted(len(split.test) for split in splits) == [25, 25, 25, 25, 400]
    (note,) = balance_notes(splits, subjects)
    assert note.startswith("Folds have 25 to 400 test samples") and "the largest has 400 of 500." in note
    assert balance_notes(k_folds(subjects[:100], np.zeros(100, int), 5, 0.0, 0), subjects[:100]) == []


def test_the_largest_subject_may_be_in_any_fold_and_is_seldom_held_out_to_validate() -> None:
    subjects = np.concatenate([np.arange(50), np.full(30, 50)])
    labels = np.zeros(80, dtype=int)
    places = [deal(subjects, labels, 5, np.random.default_rng(seed))[-1] for seed in range(60)]
    assert set(places) == set(range(5))
    held_out = [79 in cut(np.arange(80), subjects, labels, 0.1, np.random.default_rng(seed))[1] for seed in range(200)]
    assert 5 <= sum(held_out) <= 40  # 20 of them expected


@settings(deadline=None, max_examples=80)
@given(st.floats(0.01, 0.5), st.integers(20, 200), st.integers(0, 99))
def test_as_many_subjects_validate_as_are_asked_for_and_of_each_label(share: float, count: int, seed: int) -> None:
    labels = (np.arange(count) % 4 == 0).astype(int)
    rest, held_out = cut(np.arange(count), np.arange(count), labels, share, np.random.default_rng(seed))
    assert sorted([*rest, *held_out]) == list(range(count))
    assert abs(len(held_out) - max(1, share * count)) <= 1.5
    assert abs(labels[held_out].sum() - share * labels.sum()) <= 1.5


def test_the_share_of_45_in_a_hundred_is_not_a_half() -> None:
    rest, held_out = cut(np.arange(100), np.arange(100), np.zeros(100, int), 0.45, np.random.default_rng(0))
    assert (len(rest), len(held_out)) == (55, 45)


def test_the_seed_decides_and_nothing_else() -> None:
    subjects, labels = np.arange(50), np.arange(50) % 2
    first, again, other = (k_folds(subjects, labels, 5, 0.2, seed)[0].test.tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_a_split_among_some_keeps_everyone_in_the_part_where_they_were() -> None:
    kept = np.array([True, False, True, True, False, True])
    split = Split(np.array([0, 1, 2]), np.array([4]), np.array([3, 5])).among(kept)
    assert [part.tolist() for part in split.parts] == [[0, 1], [], [2, 3]]


def test_a_split_with_nobody_left_to_test_is_refused() -> None:
    with pytest.raises(InputError, match="nobody left to train on or to test"):
        Split(np.array([0]), np.array([], dtype=int), np.array([1])).among(np.array([True, False]))


@settings(deadline=None, max_examples=60)
@given(COHORTS, st.sampled_from([0.1, 0.25, 0.5, 0.9]), st.sampled_from([0.0, 0.2]), st.integers(0, 99))
def test_a_share_of_the_training_subjects_is_part_of_every_larger_one(
    rows: list[tuple[int, int]], share: float, validation: float, seed: int
) -> None:
    subjects, labels = np.array(rows).T
    split = k_folds(subjects, labels, 2, validation, seed)[0]
    few, more = (thinned(split, subjects, labels, part, seed) for part in (share, (1 + share) / 2))
    for smaller, larger, whole in zip(few.parts[:2], more.parts[:2], split.parts[:2], strict=True):
        assert set(smaller) <= set(larger) <= set(whole)
        kept, all_of_them = (set(subjects[part]) for part in (smaller, whole))
        assert len(kept) == (max(1, round(share * len(all_of_them))) if all_of_them else 0)
        assert set(whole[np.isin(subjects[whole], list(kept))]) == set(smaller)  # whole subjects
    assert (few.test == split.test).all()
    untouched = thinned(split, subjects, labels, 1.0, seed)
    assert all((one == other).all() for one, other in zip(untouched.parts, split.parts, strict=True))


def test_a_share_of_the_training_subjects_has_its_share_of_every_label() -> None:
    labels = np.array([0] * 180 + [1] * 20)
    everyone = Split(np.arange(200), np.arange(0), np.arange(0))
    for seed in range(20):
        some = thinned(everyone, np.arange(200), labels, 0.25, seed).train
        assert len(some) == 50
        assert abs(int(labels[some].sum()) - 5) <= 1


def test_samples_of_several_labels_count_with_the_rarest() -> None:
    y = np.array([[1, 1], [1, 0], [0, 0], [1, np.nan]], dtype="f4")
    assert strata(y, "multilabel").tolist() == [1, 0, -1, 0]
    assert strata(np.array([[2.0], [0.0]], dtype="f4"), "multiclass").tolist() == [2, 0]


def test_folds_are_balanced_by_event_and_by_tenths_of_a_quantity() -> None:
    times = np.array([[5, 1], [7, 0], [np.nan, np.nan]], dtype="f4")
    assert strata(times, "survival").tolist() == [1, 0, 0]
    days = np.array([[np.nan], *([float(day)] for day in range(100))], dtype="f4")
    found = strata(days, "regression")
    assert found[0] == -1
    assert np.bincount(found[1:]).tolist() == [10] * 10
    assert strata(np.full((3, 1), np.nan, "f4"), "regression").tolist() == [-1] * 3
    assert strata(np.full((3, 1), 7.0, "f4"), "regression").tolist() == [9] * 3


def test_few_subjects_still_give_a_validation_part() -> None:
    split = k_folds(np.arange(6), np.arange(6) % 2, 2, 0.1, 0)[0]
    assert (len(split.train), len(split.validation), len(split.test)) == (2, 1, 3)


@pytest.mark.parametrize(
    ("folds", "validation", "message"), [(1, 0.1, "at least 2"), (7, 0.1, "use fewer"), (2, 0.7, "0.5")]
)
def test_impossible_folds_are_refused(folds: int, validation: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        k_folds(np.arange(6), np.zeros(6, dtype=int), folds, validation, 0)


def parts_of(cohort: Cohort, parts: list[str | None]) -> pl.DataFrame:
    return pl.DataFrame({"sample_id": cohort.sample_id, "part": parts})


def test_a_supplied_split_is_kept(toy_cohort: Callable[..., Cohort]) -> None:
    cohort = toy_cohort()
    labels = strata(cohort.y, "binary")
    with_validation = parts_of(cohort, ["train"] * 30 + ["validation"] * 10 + ["test"] * 20)
    split = supplied(with_validation, cohort, labels, 0.2, 0)
    assert [part.tolist() for part in split.parts] == [list(range(30)), list(range(30, 40)), list(range(40, 60))]
    without = supplied(parts_of(cohort, ["train"] * 40 + ["test"] * 20), cohort, labels, 0.25, 0)
    assert sorted([*without.train, *without.validation]) == list(range(40))
    assert len(without.validation) == 10
    shuffled = with_validation.sample(fraction=1, shuffle=True, seed=3)
    assert supplied(shuffled, cohort, labels, 0.2, 0).test.tolist() == split.test.tolist()


def test_samples_without_a_part_are_in_none(toy_cohort: Callable[..., Cohort]) -> None:
    cohort = toy_cohort()
    parts = parts_of(cohort, [*["train"] * 30, *["validation"] * 10, *["test"] * 10, *[None] * 5, *["test"] * 5])
    split = supplied(parts.head(55), cohort, strata(cohort.y, "binary"), 0.2, 0)
    assert sorted(np.concatenate(split.parts).tolist()) == list(range(50))


def test_a_supplied_split_may_not_share_subjects(toy_cohort: Callable[..., Cohort]) -> None:
    cohort = toy_cohort()  # samples 0 and 1 are one subject
    with pytest.raises(InputError, match="Subject 0 is in test and train"):
        supplied(parts_of(cohort, ["train", "test"] * 30), cohort, strata(cohort.y, "binary"), 0.2, 0)


@pytest.mark.parametrize(("parts", "message"), [(["train"] * 60, "'test'"), (["train"] * 59 + ["dev"], "'dev'")])
def test_a_supplied_split_must_be_usable(parts: list[str], message: str, toy_cohort: Callable[..., Cohort]) -> None:
    cohort = toy_cohort()
    with pytest.raises(InputError, match=message):
        supplied(parts_of(cohort, parts), cohort, strata(cohort.y, "binary"), 0.2, 0)


def test_the_saved_table_lists_every_sample_of_every_fold(toy_cohort: Callable[..., Cohort]) -> None:
    cohort = toy_cohort(samples=20)
    splits = k_folds(cohort.subject_id, np.arange(20) % 2, 4, 0.25, 0)
    table = split_frame(splits, cohort)
    assert table.height == 80
    assert table.filter(part="test").get_column("sample_id").sort().to_list() == cohort.sample_id.tolist()
    assert (table["subject_id"] == table["sample_id"] // 2).all()
