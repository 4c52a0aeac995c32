"""From a cache to batches: what is loaded, and that nothing is read afterwards."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from omnifuse.cache_schema import Column, FeatureCache, InputError, ModalitySpec, StagedCache, Task
from omnifuse.fusion.inputs import loading
from omnifuse.fusion.inputs.batches import Cohort, Inputs, RowStore
from omnifuse.fusion.inputs.loading import load, select
from omnifuse.fusion.inputs.normalisation import Normaliser
from omnifuse.fusion.inputs.preparation import prepare
from omnifuse.fusion.inputs.spec import EncoderConfig
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.training.config import make_config
from omnifuse.fusion.training.loop import Parts, fit
from omnifuse.fusion.training.model import new_method
from omnifuse.fusion.training.outcome import fit_outcome

ALL = torch.arange(60)


def ready(cohort: Cohort) -> Inputs:
    prepared = prepare(cohort, EncoderConfig())
    return Normaliser.fit(prepared, np.arange(40)).apply(cohort, prepared, torch.device("cpu"))


def test_gathered_rows_are_those_of_the_samples(toy_cohort: Callable[..., Cohort]) -> None:
    rows = toy_cohort().sources["rep"].rows
    values, *spans = map(torch.from_numpy, (rows.values, rows.offsets[:-1], rows.lengths))
    plain = RowStore(values, *spans, torch.ones(6), torch.zeros(6))
    samples = np.flatnonzero(rows.present)[[5, 0, 3]]
    gathered = plain.gather(torch.from_numpy(samples))
    np.testing.assert_array_equal(gathered.values, np.concatenate([rows[i] for i in samples]))
    assert gathered.lengths.tolist() == [len(rows[i]) for i in samples]
    assert gathered.values.dtype == torch.float32


def test_gathering_leaves_the_store_alone(toy_cohort: Callable[..., Cohort]) -> None:
    rows = toy_cohort().sources["rep"].rows
    values = torch.from_numpy(rows.values.astype("f4"))
    before = values.clone()
    spans = map(torch.from_numpy, (rows.offsets[:-1], rows.lengths))
    RowStore(values, *spans, 2 * torch.ones(6), torch.ones(6)).gather(ALL[rows.present])
    assert torch.equal(values, before)


def test_a_batch_holds_only_present_samples(toy_cohort: Callable[..., Cohort]) -> None:
    inputs = ready(toy_cohort())
    batch = inputs.batch(torch.tensor([7, 3, 11, 0]))
    for m, part in enumerate(batch.modalities.values()):
        assert torch.equal(part.samples, torch.nonzero(batch.presence[:, m]).flatten())
    assert torch.equal(batch.y, inputs.y[[7, 3, 11, 0]])


def test_batches_cover_the_index_once(toy_cohort: Callable[..., Cohort]) -> None:
    inputs = ready(toy_cohort())
    shuffled = torch.cat([b.index for b in inputs.batches(ALL, 7, torch.Generator().manual_seed(0))])
    assert sorted(shuffled.tolist()) == ALL.tolist() and not torch.equal(shuffled, ALL)
    assert list(inputs.batches(ALL[:0], 7)) == []


def test_hidden_modalities_are_absent(toy_cohort: Callable[..., Cohort]) -> None:
    batch = ready(toy_cohort()).without(["ehr"]).batch(ALL)
    assert not batch.presence[:, 0].any() and batch.presence[:, 2].all()
    assert len(batch.modalities["ehr"].samples) == 0


def test_loading_gives_what_the_cache_holds(
    toy_cohort: Callable[..., Cohort], toy_cache: Callable[..., Path], tmp_path: Path
) -> None:
    loaded = load(FeatureCache.open(toy_cache(tmp_path / "cache")), "outcome", ["rep", "ehr"])
    expected = toy_cohort()
    has_any = expected.sources["rep"].rows.present | expected.sources["ehr"].rows.present
    assert loaded.modalities == ("rep", "ehr")
    assert loaded.sample_id.tolist() == np.flatnonzero(has_any).tolist()
    assert loaded.without_input == (~has_any).sum() > 0
    assert loaded.sources["rep"].rows.values.dtype == np.float16


def test_the_window_of_the_task_is_applied(toy_cache: Callable[..., Path], tmp_path: Path) -> None:
    cache = FeatureCache.open(toy_cache(tmp_path / "cache"))
    assert cache.modality("ehr").time.max() <= 12 == cache.task("outcome").window_hours
    assert load(cache, "outcome").sources["ehr"].rows.time.max() <= 12


@pytest.mark.parametrize("block_bytes", [1, 1 << 20])
def test_rows_are_the_same_in_memory_and_on_disk_however_many_are_read_at_once(
    toy_cache: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    cache = FeatureCache.open(toy_cache(tmp_path / "cache"))
    expected = {
        name: rows.take(load(cache, "outcome").sample_id) for name, rows in cache.task_inputs("outcome").items()
    }
    monkeypatch.setattr(loading, "BLOCK_BYTES", block_bytes)
    selection = select(cache, "outcome")
    assert selection.bytes == sum(rows.values.nbytes for rows in expected.values())
    for cohort in (selection.read(selection.bytes), selection.read(selection.bytes - 1)):
        for name, rows in expected.items():
            np.testing.assert_array_equal(cohort.sources[name].rows.values, rows.values)
            np.testing.assert_array_equal(cohort.sources[name].rows.offsets, rows.offsets)
    mapped = {isinstance(source.rows.values, np.memmap) for source in cohort.sources.values()}
    assert mapped == {True}


def test_a_modality_of_which_nothing_could_be_encoded_is_read(tmp_path: Path) -> None:
    y, one = np.array([[0], [1]], np.float32), np.ones(2, np.int64)
    staged = StagedCache(tmp_path / "cache", "toy", {})
    staged.add_samples(pl.DataFrame({"sample_id": [1, 2], "subject_id": [1, 2]}))
    staged.add_modality(ModalitySpec("cxr", "embedding", "image", {}), 0 * one, 0, [], np.empty(0, np.float32))
    staged.add_modality(ModalitySpec("num", "features", "row", {}, (Column("a"),)), one, 1, [y], y[:, 0])
    staged.add_task(Task("death", "binary", ("died",), y)).commit({})
    selection = select(FeatureCache.open(tmp_path / "cache"), "death")
    for cohort in (selection.read(selection.bytes), selection.read(0)):
        assert [source.rows.values.shape for source in cohort.sources.values()] == [(0, 0), (2, 1)]


@pytest.mark.parametrize("names", [["mri"], ["ehr", "ehr"], []])
def test_modalities_must_exist_once(names: list[str], toy_cache: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ehr, rep, static"):
        load(FeatureCache.open(toy_cache(tmp_path / "cache")), "outcome", names)


def test_training_needs_no_cache_after_loading(toy_cache: Callable[..., Path], tmp_path: Path) -> None:
    path = toy_cache(tmp_path / "cache")
    cohort = load(FeatureCache.open(path), "outcome")
    shutil.rmtree(path)
    prepared = prepare(cohort, EncoderConfig())
    normaliser = Normaliser.fit(prepared, np.arange(40))
    inputs = normaliser.apply(cohort, prepared, torch.device("cpu"))
    method = new_method(
        make_config("concat"), fit_outcome(cohort.task, cohort.y).target, normaliser.input_specs(prepared), seed=0
    )
    history = fit(method, inputs, Parts(ALL[:40], ALL[40:50]), FitConfig(epochs=1), 0)
    assert {row["part"] for row in history} == {"train", "validation"}
