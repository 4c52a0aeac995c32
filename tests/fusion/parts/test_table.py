"""The table of early fusion: what it holds of each kind of modality, and where one is missing."""

import pytest
import torch
from omnifuse.fusion.inputs.batches import Batch, ModalityBatch, Rows
from omnifuse.fusion.inputs.spec import InputSpec
from omnifuse.fusion.parts.encoders import MEAN_DISTANCE
from omnifuse.fusion.parts.table import pooled_table, table_columns

NAN = torch.nan
STATIC, EHR, REP, CXR = (
    InputSpec("static", "features", 2, 0),
    InputSpec("ehr", "timeseries", 0, 2),
    InputSpec("rep", "embedding", 0, 2),
    InputSpec("cxr", "embedding", 2, 0),
)
SAMPLES = torch.tensor([0, 2])


def batch_of(modality: ModalityBatch) -> Batch:
    """Three samples, of which the second lacks the modality."""
    presence = torch.tensor([[True], [False], [True]])
    return Batch(torch.arange(3), torch.zeros(3, 1), presence, {"it": modality}, torch.arange(3))


def test_of_scores_it_has_value_distance_and_whether_it_is_unknown() -> None:
    scores = ModalityBatch(SAMPLES, torch.tensor([[1.0, NAN], [-2.0, 0.5]]), None)
    expected = [
        [1, 0, 1 - MEAN_DISTANCE, 0, 0, 1, 1],
        [0, 0, 0, 0, 0, 0, 0],
        [-2, 0.5, 2 - MEAN_DISTANCE, 0.5 - MEAN_DISTANCE, 0, 0, 1],
    ]
    torch.testing.assert_close(pooled_table([STATIC], batch_of(scores)), torch.tensor(expected))


@pytest.mark.parametrize("spec", [EHR, REP], ids=["bins", "tokens"])
def test_of_rows_it_has_the_mean(spec: InputSpec) -> None:
    rows = Rows(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), torch.tensor([2, 1]))
    expected = torch.tensor([[2.0, 3.0, 1.0], [0.0, 0.0, 0.0], [5.0, 6.0, 1.0]])
    torch.testing.assert_close(pooled_table([spec], batch_of(ModalityBatch(SAMPLES, None, rows))), expected)


def test_an_embedding_stays_as_it_is() -> None:
    expected = torch.tensor([[1.0, 2.0, 1.0], [0.0, 0.0, 0.0], [3.0, 4.0, 1.0]])
    table = pooled_table([CXR], batch_of(ModalityBatch(SAMPLES, torch.tensor([[1.0, 2.0], [3.0, 4.0]]), None)))
    torch.testing.assert_close(table, expected)


def test_modalities_are_side_by_side_and_their_presence_comes_last() -> None:
    nobody = torch.zeros(0, dtype=torch.int64)
    modalities = {
        "cxr": ModalityBatch(torch.tensor([1]), torch.tensor([[8.0, 9.0]]), None),
        "rep": ModalityBatch(nobody, None, Rows(torch.zeros(0, 2), nobody)),
        "static": ModalityBatch(nobody, torch.zeros(0, 2), None),
    }
    presence = torch.tensor([[False, False, False], [True, False, False]])
    table = pooled_table(
        [CXR, REP, STATIC], Batch(torch.arange(2), torch.zeros(2, 1), presence, modalities, torch.arange(2))
    )
    assert table.shape == (2, table_columns([CXR, REP, STATIC])) == (2, 2 + 2 + 6 + 3)
    assert table.tolist() == [[0.0] * 13, [8.0, 9.0, *[0.0] * 8, 1.0, 0.0, 0.0]]
