"""A WFDB record is read as its header says, or refused where the two do not agree."""

from pathlib import Path

import numpy as np
import pytest
from omnifuse.pipeline.source import UnreadableItem
from omnifuse.pipeline.waveform.wfdb import read_wfdb

STEPS = np.array([[0, 100], [-200, 300], [400, -32768]], dtype=np.int16)  # [T, L]
LEADS = ("I", "V1")


def record(folder: Path, *, edit: tuple[str, str] = ("", ""), samples: bytes | None = None) -> Path:
    """Write two leads of three samples at 500 Hz, 200 steps a millivolt, with some of the header changed."""
    sums = [int(column.sum(dtype=np.int64).astype(np.int16)) for column in STEPS.T]
    lines = ["r 2 500 3", *(f"r.dat 16 200/mV 16 0 {STEPS[0, n]} {sums[n]} 0 {LEADS[n]}" for n in range(2)), "# sex: F"]
    text = "\n".join(lines) + "\n"
    assert edit[0] in text
    (folder / "r.hea").write_text(text.replace(*edit, 1))
    (folder / "r.dat").write_bytes(STEPS.astype("<i2").tobytes() if samples is None else samples)
    return folder / "r.hea"


def test_steps_become_millivolts_and_the_lowest_step_is_unknown(tmp_path: Path) -> None:
    signals = read_wfdb(record(tmp_path))
    assert signals.names == LEADS
    assert signals.hertz == 500
    np.testing.assert_array_equal(signals.millivolts, [[0, -1, 2], [0.5, 1.5, np.nan]])


@pytest.mark.parametrize(
    ("gain", "first_lead"),
    [
        ("100/mV", [0, -2, 4]),
        ("200(100)/mV", [-0.5, -1.5, 1.5]),  # the baseline is the step of 0 mV
        ("0.2/uV", [0, -1, 2]),
        ("0/mV", [0, -1, 2]),  # unknown: 200 steps
        ("200", [0, -1, 2]),
    ],
)
def test_gain_baseline_and_unit_are_those_of_the_header(tmp_path: Path, gain: str, first_lead: list[float]) -> None:
    signals = read_wfdb(record(tmp_path, edit=("200/mV", gain)))
    np.testing.assert_allclose(signals.millivolts[0], first_lead)


def test_a_header_may_say_less_and_more(tmp_path: Path) -> None:
    edited = record(tmp_path, edit=("r 2 500 3", "r 2 500/1000(0) 3 10:00:00 01/02/2150"))
    assert read_wfdb(edited).hertz == 500
    shorter = "r 2 500 3\nr.dat 16 200/mV\nr.dat 16 200/mV\n"
    edited.write_text(shorter)
    assert read_wfdb(edited).names == ("", "")


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (("500 3", "500 4"), "has 12 bytes, the header claims 16"),
        (("500 3", "500 2"), "has 12 bytes, the header claims 8"),
        (("500 3", "500 999999999999"), "larger than 256 MiB"),
        (("r 2 500 3", "r 3 500 3"), "describes 2 of 3 signals"),
        (("r 2 500 3", "r 999999 500 3"), "claims 999999 signals"),
        (("r 2 500 3", "r 2 nan 3"), "claims 2 signals of 3 samples at nan Hz"),
        (("r 2 500 3", "r/2 2 500 3"), "several segments"),
        (("r 2 500 3", "r 2"), "no WFDB header"),
        (("r.dat 16", "r.dat 212"), "format 212"),
        (("r.dat 16", "s.dat 16"), "in several files"),
        (("r.dat 16", "../r.dat 16"), "outside of its folder"),
        (("r.dat 16", "/etc/passwd 16"), "outside of its folder"),
        (("200/mV", "200/mmHg"), "unit of a signal"),
        (("200/mV", "x/mV"), "unit of a signal"),
        (("0 0 200 0 I", "0 0 201 0 I"), "checksum"),
        (("0 0 200 0 I", "0 7 200 0 I"), "checksum"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path: Path, edit: tuple[str, str], reason: str) -> None:
    with pytest.raises(UnreadableItem, match=reason):
        read_wfdb(record(tmp_path, edit=edit))


def test_other_samples_than_those_of_the_header_are_refused(tmp_path: Path) -> None:
    other = STEPS.copy()
    other[1, 0] += 1
    with pytest.raises(UnreadableItem, match="checksum"):
        read_wfdb(record(tmp_path, samples=other.tobytes()))


def test_missing_files_are_refused(tmp_path: Path) -> None:
    header = record(tmp_path)
    (tmp_path / "r.dat").unlink()
    with pytest.raises(UnreadableItem, match="missing"):
        read_wfdb(header)
    with pytest.raises(UnreadableItem, match="missing"):
        read_wfdb(tmp_path / "none.hea")
