"""WFDB records of PhysioNet: a header ``.hea`` beside one file of samples of 16 bits (format 16).

The header says how many samples there are, what one step is in physical units, and a checksum of every signal. All of
that is held against the file: a record that is cut, or has the header of another one, cannot be trusted.

Source: the specification of header files, WFDB Applications Guide, header(5) and signal(5).
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..source import UnreadableItem, unreadable

LARGEST_FILE = 1 << 28
"""Bytes; ten seconds of twelve leads are 120,000."""
MOST_SIGNALS = 64
NAN = -(1 << 15)
"""What stands for a sample that is unknown."""
DEFAULT_GAIN = 200.0
"""Steps per unit where the header says 0 or nothing."""
NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]*")
GAIN = re.compile(r"(?P<gain>[-+.\deE]+)(?:\((?P<baseline>-?\d+)\))?(?:/(?P<unit>\S+))?")
MILLIVOLTS = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "v": 1e3}


@dataclass(frozen=True)
class Signals:
    """A record: ``millivolts`` ``[L, T]`` float64, NaN where unknown, ``names`` of the L signals, samples a second."""

    millivolts: npt.NDArray[np.float64]
    names: tuple[str, ...]
    hertz: float


@dataclass(frozen=True)
class _Line:
    """What the header says of one signal."""

    file: str
    gain: float
    baseline: int
    scale: float
    initial: int | None
    checksum: int | None
    name: str


def read_wfdb(header: Path) -> Signals:
    """Read a record by its header.

    Raises
    ------
    UnreadableItem
        If a file is missing, the record is of another format than 16, or its samples are not those of the header.
    """
    with unreadable("the header is no WFDB header"):
        lines = [line.strip() for line in header.read_text(encoding="ascii").splitlines()]
        first, *following = [line for line in lines if line and not line.startswith("#")]
        record, hertz, length = _record_line(first)
        signals = [_signal_line(line) for line in following[:record]]
    if len(signals) != record:
        raise UnreadableItem(f"the header describes {len(signals)} of {record} signals")
    if len({signal.file for signal in signals}) != 1:
        raise UnreadableItem("the signals lie in several files")
    steps = _samples(header.with_name(signals[0].file), record, length)  # [L, T]
    for signal, values in zip(signals, steps, strict=True):
        _check(signal, values)
    gain, baseline, scale = (np.array([getattr(signal, name) for signal in signals]) for name in _PHYSICAL)
    volts = (steps - baseline[:, None]) / gain[:, None] * scale[:, None]
    return Signals(np.where(steps == NAN, np.nan, volts), tuple(signal.name for signal in signals), hertz)


_PHYSICAL = ("gain", "baseline", "scale")


def _record_line(line: str) -> tuple[int, float, int]:
    """Return number of signals, samples a second, and samples of each signal."""
    name, *numbers = line.split()
    if "/" in name:
        raise UnreadableItem("the record has several segments")
    signals, hertz, length = int(numbers[0]), float(re.split(r"[/(]", numbers[1])[0]), int(numbers[2])
    if not (0 < signals <= MOST_SIGNALS and 0 < hertz < np.inf and length > 0):
        raise UnreadableItem(f"the header claims {signals} signals of {length} samples at {hertz:g} Hz")
    return signals, hertz, length


def _signal_line(line: str) -> _Line:
    fields = line.split(maxsplit=8)
    file, form, gain = fields[:3]
    if not NAME.fullmatch(file):
        raise UnreadableItem("the header names a file outside of its folder")
    if form != "16":
        raise UnreadableItem(f"the samples are of format {form[:8]}; only 16 is read")
    found = GAIN.fullmatch(gain)
    unit = ((found and found["unit"]) or "mV").lower()
    if found is None or unit not in MILLIVOLTS:
        raise UnreadableItem("the unit of a signal is none of mV, uV, V")
    zero, initial, checksum = (int(field) for field in (*fields[4:7], "0", "0", "0")[:3])
    baseline = int(found["baseline"]) if found["baseline"] else zero
    said = len(fields) > 6
    return _Line(
        file, float(found["gain"]) or DEFAULT_GAIN, baseline, MILLIVOLTS[unit],
        initial if said else None, checksum if said else None, fields[8].strip() if len(fields) > 8 else "",
    )  # fmt: skip


def _samples(path: Path, signals: int, length: int) -> npt.NDArray[np.int16]:
    """Return the samples ``[L, T]`` of a file in which those of one moment lie side by side."""
    with unreadable("the samples cannot be read"):
        size, claimed = path.stat().st_size, 2 * signals * length
        if max(size, claimed) > LARGEST_FILE:
            raise UnreadableItem(f"larger than {LARGEST_FILE >> 20} MiB")
        if size != claimed:
            raise UnreadableItem(f"the file of samples has {size} bytes, the header claims {claimed}")
        return np.frombuffer(path.read_bytes(), "<i2").reshape(length, signals).T


def _check(signal: _Line, values: npt.NDArray[np.int16]) -> None:
    """Raise :class:`UnreadableItem` unless first value and sum of a signal are those of its header."""
    total = int(values.sum(dtype=np.int64)) - (signal.checksum or 0)
    if signal.checksum is not None and (total % (1 << 16) or signal.initial != int(values[0])):
        raise UnreadableItem("the samples are not those of the header (checksum)")
