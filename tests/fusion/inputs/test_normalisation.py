"""What is fitted on training rows, and that nothing else is looked at."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from omnifuse.cache_schema import Column, InputError
from omnifuse.fusion.inputs.batches import Cohort
from omnifuse.fusion.inputs.normal_scores import CLIP, normal_scores
from omnifuse.fusion.inputs.normalisation import Normaliser, fits, moments
from omnifuse.fusion.inputs.preparation import Prepared, prepare
from omnifuse.fusion.inputs.spec import EncoderConfig

TRAIN = np.arange(40)
BOTH = EncoderConfig(timeseries="both")
CPU = torch.device("cpu")


def changed_outside_training(cohort: Cohort) -> Cohort:
    """Return the cohort with all values of the samples after TRAIN replaced."""
    sources = {}
    for name, source in cohort.sources.items():
        values = source.rows.values.copy()
        values[~source.rows_of(TRAIN)] = 7.0
        sources[name] = replace(source, rows=replace(source.rows, values=values))
    return replace(cohort, sources=sources)


def fitted(cohort: Cohort) -> tuple[dict[str, Prepared], Normaliser]:
    prepared = prepare(cohort, BOTH)
    return prepared, Normaliser.fit(prepared, TRAIN)


def test_test_rows_change_nothing(toy_cohort: Callable[..., Cohort]) -> None:
    _, before = fitted(toy_cohort())
    _, after = fitted(changed_outside_training(toy_cohort()))
    for name, tensor in before.tensors().items():
        torch.testing.assert_close(tensor, after.tensors()[name], rtol=0, atol=0, equal_nan=True)


def test_training_rows_get_zero_mean_and_unit_deviation(toy_cohort: Callable[..., Cohort]) -> None:
    cohort = toy_cohort()
    prepared, normaliser = fitted(cohort)
    store = normaliser.apply(cohort, prepared, CPU).modalities["rep"].rows
    assert store is not None
    has_rows = torch.tensor([i for i in TRAIN if cohort.sources["rep"].rows.present[i]])
    values = store.gather(has_rows).values
    torch.testing.assert_close(values.mean(0), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(values.std(0, correction=0), torch.ones(6), atol=1e-4, rtol=0)


def test_masks_and_recency_stay_as_they_are(toy_cohort: Callable[..., Cohort]) -> None:
    cohort = toy_cohort()
    prepared, normaliser = fitted(cohort)
    store = normaliser.apply(cohort, prepared, CPU).modalities["ehr"].rows
    assert store is not None
    assert set(store.values[:, 1].tolist()) == {0.0, 1.0}
    assert not store.values.isnan().any()
    assert store.values[:, 4:].min() >= 0 and store.values[:, 4:].max() <= 1


@pytest.mark.parametrize("law", ["normal", "exponential", "integers"])
def test_normal_scores_are_ranks_on_a_normal_scale(law: str) -> None:
    rng = np.random.default_rng(0)
    laws = {"normal": rng.normal, "exponential": rng.exponential, "integers": lambda size: rng.integers(0, 5, size)}
    values = laws[law](size=2000).astype(float)
    scores = normal_scores(values, np.quantile(values, np.linspace(0, 1, 200)))
    order = np.argsort(values)
    assert (np.diff(scores[order]) >= 0).all()
    assert abs(np.median(scores)) < 0.6 and np.abs(scores).max() <= CLIP


def test_values_beyond_training_are_clipped_and_unknown_ones_stay_unknown() -> None:
    quantiles = np.linspace(0, 1, 200)
    assert normal_scores(np.array([-5, 0.5, 9, np.nan]), quantiles).tolist() == pytest.approx(
        [-CLIP, 0, CLIP, np.nan], abs=1e-9, nan_ok=True
    )


def test_a_constant_column_becomes_zero_and_an_unknown_one_stays_unknown(toy_cohort: Callable[..., Cohort]) -> None:
    assert normal_scores(np.array([3.0]), np.full(200, 3.0)).tolist() == [0]
    cohort = toy_cohort()
    cohort.sources["static"].rows.values[:, 0] = np.nan
    prepared, normaliser = fitted(cohort)
    summary = normaliser.apply(cohort, prepared, CPU).modalities["static"].summary
    assert summary is not None
    assert summary[:, 0].isnan().all()


def test_unknown_features_stay_unknown(toy_cohort: Callable[..., Cohort]) -> None:
    cohort = toy_cohort()
    prepared, normaliser = fitted(cohort)
    (spec,) = [spec for spec in normaliser.input_specs(prepared) if spec.name == "static"]
    summary = normaliser.apply(cohort, prepared, CPU).modalities["static"].summary
    assert summary is not None
    assert spec.summary == summary.shape[1] == 2
    assert (summary.isnan().numpy() == np.isnan(cohort.sources["static"].rows.values)).all()


def test_categories_among_features_stay_as_they_are(toy_cohort: Callable[..., Cohort]) -> None:
    cohort = toy_cohort()
    static = cohort.sources["static"]
    columns = (static.columns[0], Column("surgical", "", "unit", "onehot"))
    static.rows.values[:, 1] = np.arange(60) % 2
    cohort = replace(cohort, sources={"static": replace(static, columns=columns)})
    prepared, normaliser = fitted(cohort)
    summary = normaliser.apply(cohort, prepared, CPU).modalities["static"].summary
    assert summary is not None
    assert summary[:, -1].tolist() == [0.0, 1.0] * 30


def test_tensors_restore_the_normaliser_exactly(toy_cohort: Callable[..., Cohort]) -> None:
    prepared, normaliser = fitted(toy_cohort())
    again = Normaliser.from_tensors(normaliser.tensors(), prepared).tensors()
    for name, tensor in normaliser.tensors().items():
        torch.testing.assert_close(tensor, again[name], rtol=0, atol=0, equal_nan=True)


def test_a_stored_normaliser_must_fit(toy_cohort: Callable[..., Cohort]) -> None:
    prepared, normaliser = fitted(toy_cohort())
    tensors = normaliser.tensors()
    del tensors["rep.scale"]
    with pytest.raises(InputError, match="does not fit"):
        Normaliser.from_tensors(tensors, prepared)


def test_features_have_one_row_a_sample(toy_cohort: Callable[..., Cohort]) -> None:
    cohort = toy_cohort()
    rep = cohort.sources["rep"]
    with pytest.raises(InputError, match="expected one"):
        prepare(replace(cohort, sources={"rep": replace(rep, kind="features")}), BOTH)


def test_mean_of_rows(toy_cohort: Callable[..., Cohort]) -> None:
    cohort = toy_cohort()
    summary = prepare(cohort, EncoderConfig(embedding="mean"))["rep"].summary
    assert summary is not None
    rows = cohort.sources["rep"].rows
    for sample in np.flatnonzero(rows.present)[:5]:
        np.testing.assert_allclose(summary.quantities[sample], rows[sample].astype("f4").mean(0), rtol=1e-3)
    assert np.isnan(summary.quantities[~rows.present]).all()


def test_moments_count_known_cells_only() -> None:
    rows = np.array([[1.0, np.nan], [3.0, 5.0], [9.0, 9.0]], dtype=np.float16)
    count, total, squares = moments(rows, np.array([0, 1]))
    assert (count.tolist(), total.tolist(), squares.tolist()) == ([2, 1], [4, 5], [10, 25])


def test_rows_live_on_a_gpu_while_they_take_half_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: {"cuda:1": (1000, 4000)}[str(device)])
    assert fits(500, torch.device("cuda:1"))
    assert not fits(501, torch.device("cuda:1"))
    assert fits(10**18, torch.device("cpu"))
