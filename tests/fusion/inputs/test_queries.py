"""Which of many predictions an epoch trains on, and which rows several of them see."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.fusion.inputs.queries import Spans, drawn, drawn_count

SAMPLE = torch.repeat_interleave(torch.arange(50), torch.arange(50) + 1)  # 1 to 50 predictions a sample, 1,275 in all


def test_where_each_sample_has_one_prediction_an_epoch_takes_all_and_draws_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert torch.equal(drawn(torch.arange(9), None, 1, generator), torch.arange(9))
    assert torch.equal(generator.get_state(), before)


@given(times=st.integers(1, 30), seed=st.integers(0, 1000))
def test_an_epoch_takes_as_many_as_there_are_samples_times_what_is_wanted(times: int, seed: int) -> None:
    positions = torch.arange(0, len(SAMPLE), 2)
    found = drawn(positions, SAMPLE, times, torch.Generator().manual_seed(seed))
    assert len(found) == drawn_count(positions, SAMPLE, times) == min(len(positions), 50 * times)
    assert np.isin(found, positions).all()


def test_every_prediction_is_as_likely_as_any_other() -> None:
    """Of 1,275 an epoch takes 50: in 2,000 epochs each about 78 times, and its deviation is below 9."""
    generator = torch.Generator().manual_seed(0)
    found = torch.cat([drawn(torch.arange(len(SAMPLE)), SAMPLE, 1, generator) for _ in range(2000)])
    counts = torch.bincount(found, minlength=len(SAMPLE)).double()
    assert abs(counts.mean() - 2000 * 50 / 1275) < 1e-9
    assert abs(counts - counts.mean()).max() < 5 * 9


def test_all_of_them_are_taken_if_wanted() -> None:
    positions = torch.arange(len(SAMPLE))
    assert torch.equal(drawn(positions, SAMPLE, 0, torch.Generator()), positions)


def test_rows_that_no_prediction_sees_are_none() -> None:
    spans = Spans(np.array([0, 1, 4, 5]), np.array([2, 2, 0, 1]))
    assert spans.rows(7).tolist() == [True, True, True, False, False, True, False]
