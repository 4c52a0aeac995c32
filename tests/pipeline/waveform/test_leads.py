"""Whatever the order, rate and gaps of a recording: twelve leads of ten seconds at 100 Hz."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from omnifuse.pipeline.source import UnreadableItem
from omnifuse.pipeline.waveform.leads import LEADS, as_input, read_ecg
from omnifuse.pipeline.waveform.wfdb import Signals


def slow_waves(hertz: float, seconds: float = 10.0) -> NDArray[np.float64]:
    """Return twelve sines of 1 to 12 tenths of a hertz ``[12, T]``, a millivolt high."""
    time = np.arange(round(hertz * seconds)) / hertz
    return np.sin(2 * np.pi * np.arange(1, 13)[:, None] / 10 * time)


def test_leads_are_in_one_order_whatever_that_of_the_file() -> None:
    waves = slow_waves(100)
    order = np.random.default_rng(0).permutation(12)
    shuffled = Signals(waves[order], tuple(LEADS[place].upper() for place in order), 100)
    np.testing.assert_allclose(as_input(shuffled), waves, atol=1e-6)


@pytest.mark.parametrize("hertz", [100, 250, 500, 1000])
def test_slow_waves_are_the_same_at_every_rate(hertz: int) -> None:
    values = as_input(Signals(slow_waves(hertz), LEADS, hertz))
    assert values.shape == (12, 1000)
    assert values.dtype == np.float32
    inner = slice(50, -50)  # a filter knows nothing beyond the ends
    np.testing.assert_allclose(values[:, inner], slow_waves(100)[:, inner], atol=0.02)


def test_longer_recordings_are_cut_and_shorter_ones_followed_by_zero() -> None:
    long, short = (as_input(Signals(slow_waves(100, seconds), LEADS, 100)) for seconds in (12, 4))
    np.testing.assert_allclose(long, slow_waves(100), atol=1e-6)
    np.testing.assert_allclose(short[:, :400], slow_waves(100)[:, :400], atol=1e-6)
    assert not short[:, 400:].any()


def test_gaps_are_bridged_and_leads_of_gaps_are_missing() -> None:
    waves = np.tile(np.arange(1000) / 1000, (12, 1))
    waves[0, 100:200] = np.nan
    waves[1, :501] = np.nan
    values = as_input(Signals(waves, LEADS, 100))
    np.testing.assert_allclose(values[0], np.arange(1000) / 1000, atol=1e-6)
    assert not values[1].any()


def test_spikes_are_cut_at_three_millivolts() -> None:
    waves = np.zeros((12, 1000))
    waves[:, 10], waves[:, 20] = 50, -50
    values = as_input(Signals(waves, LEADS, 100))
    assert (values.max(), values.min()) == (3, -3)


@pytest.mark.parametrize(
    ("names", "hertz", "reason"),
    [
        (("I", "X9", *LEADS[2:]), 100, "lead 'X9' is none of the twelve"),
        (("I", "I", *LEADS[2:]), 100, "a lead twice"),
        (LEADS[:5], 100, "only 5 of 12 leads are known"),
        (LEADS, 360.5, "recorded at 360.5 Hz"),
        (LEADS, 1e9, "recorded at 1e[+]09 Hz"),
    ],
)
def test_what_is_no_twelve_lead_recording_is_refused(names: tuple[str, ...], hertz: float, reason: str) -> None:
    with pytest.raises(UnreadableItem, match=reason):
        as_input(Signals(np.zeros((len(names), 1000)), names, hertz))


def test_a_folder_must_hold_one_header(tmp_path: Path) -> None:
    with pytest.raises(UnreadableItem, match="holds 0 WFDB headers"):
        read_ecg(tmp_path)
