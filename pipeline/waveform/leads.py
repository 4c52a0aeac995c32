"""Ten seconds of a twelve-lead electrocardiogram as one array, whatever the order and rate of the recording."""

from math import gcd
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..source import UnreadableItem, unreadable
from .wfdb import Signals, read_wfdb

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
"""The order of every array; that of a file is never trusted: MIMIC-IV-ECG has aVF before aVL."""
HERTZ, SECONDS = 100, 10
LIMIT = 3.0
"""Millivolts; what is beyond is cut there, as published code for MIMIC-IV-ECG does."""
LARGEST_GAP = 0.5
"""A lead of which more than this share is unknown is missing."""
FEWEST_LEADS = 6
RECIPE = (
    f"leads {' '.join(LEADS)}; unknown samples interpolated within a lead, a lead more than half unknown is 0; cut to "
    f"+/- {LIMIT:g} mV; {HERTZ} Hz (polyphase); the first {SECONDS} s, followed by 0"
)


def read_ecg(path: Path) -> npt.NDArray[np.float32]:
    """Return a record ``[12, 1000]`` in mV at 100 Hz; ``path`` is its header, or a folder with one header.

    Raises
    ------
    UnreadableItem
        If it cannot be read, has another lead than the twelve or one of them twice, or fewer than six that are known.
    """
    with unreadable("the folder cannot be read"):
        headers = sorted(path.glob("*.hea")) if path.is_dir() else [path]
    if len(headers) != 1:
        raise UnreadableItem(f"the folder holds {len(headers)} WFDB headers; expected one")
    return as_input(read_wfdb(headers[0]))


def as_input(signals: Signals) -> npt.NDArray[np.float32]:
    """Return signals ``[L, T]`` as the twelve leads ``[12, 1000]``; raises as :func:`read_ecg`."""
    rows = _rows(signals.names)
    whole = np.zeros((len(LEADS), signals.millivolts.shape[1]))
    known = 0
    for row, lead in zip(rows, signals.millivolts, strict=True):
        if np.isfinite(lead).mean() > LARGEST_GAP:
            whole[row] = np.clip(_interpolated(lead), -LIMIT, LIMIT)
            known += 1
    if known < FEWEST_LEADS:
        raise UnreadableItem(f"only {known} of 12 leads are known")
    sampled = _resampled(whole, signals.hertz)[:, : HERTZ * SECONDS]  # [12, T]
    return np.pad(sampled, ((0, 0), (0, HERTZ * SECONDS - sampled.shape[1]))).astype(np.float32)  # [12, 1000]


def _rows(names: tuple[str, ...]) -> list[int]:
    """Return the place of every signal among the leads."""
    places = {lead.lower(): place for place, lead in enumerate(LEADS)}
    unknown = [name for name in names if name.lower() not in places]
    if unknown:
        raise UnreadableItem(f"lead {unknown[0][:8]!r} is none of the twelve")
    rows = [places[name.lower()] for name in names]
    if len(set(rows)) < len(rows):
        raise UnreadableItem("it has a lead twice")
    return rows


def _interpolated(lead: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    known = np.isfinite(lead)
    moments = np.arange(len(lead))
    return lead if known.all() else np.interp(moments, moments[known], lead[known])


def _resampled(leads: npt.NDArray[np.float64], hertz: float) -> npt.NDArray[np.float64]:
    rate = round(hertz)
    if abs(hertz - rate) > 1e-6 or rate > 10_000:
        raise UnreadableItem(f"recorded at {hertz:g} Hz")
    from scipy.signal import resample_poly  # a second that other data need not wait for

    common = gcd(HERTZ, rate)
    sampled: npt.NDArray[np.float64] = resample_poly(leads, HERTZ // common, rate // common, axis=1)
    return sampled
