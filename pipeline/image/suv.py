"""Standardised uptake values of PET: activity concentration by injected dose and body weight.

SUV = activity [Bq/ml] * weight [g] / dose [Bq], the dose decayed to the time that the activity is corrected to
(DICOM PS3.3 C.8.9.1.1.6; QIBA FDG-PET/CT profile). A millilitre of tissue counts as a gram.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydicom import Dataset
from pydicom.valuerep import DA, DT, TM

from ..source import UnreadableItem
from .dicom import numbers

GRAMS = 1000.0
BODY_WEIGHT = "BW"
LONGEST_WAIT = timedelta(hours=24)

PLAUSIBLE = {
    "PatientWeight": (0.2, 700.0),
    "RadionuclideTotalDose": (1e5, 1e12),
    "RadionuclideHalfLife": (10.0, 1e7),
}
"""Least and greatest value in kg, Bq and s: a dose in MBq, or a weight of 0, would make nonsense of every value."""


def suv_factor(dataset: Dataset, started: datetime | None) -> float:
    """Return what a value of a PET image, in its Units, is multiplied by to be a SUV by body weight.

    ``started`` is when the scan did, see :func:`scan_start`.

    Raises
    ------
    UnreadableItem
        Naming the element that is missing or cannot be used.
    """
    units = _text(dataset, "Units")
    if units == "GML":
        if (kind := str(dataset.get("SUVType") or BODY_WEIGHT)) != BODY_WEIGHT:
            raise UnreadableItem(f"SUVType {kind}, where {BODY_WEIGHT} (body weight) is expected")
        return 1.0
    if units != "BQML":
        raise UnreadableItem(f"Units {units}, where BQML or GML is expected")
    sequence = dataset.get("RadiopharmaceuticalInformationSequence")
    if not sequence:
        raise UnreadableItem("without RadiopharmaceuticalInformationSequence")
    weight, dose = _plausible(dataset, "PatientWeight"), _plausible(sequence[0], "RadionuclideTotalDose")
    return weight * GRAMS / (dose * _share_left(dataset, sequence[0], started))


def scan_start(headers: Sequence[Dataset]) -> datetime | None:
    """Return when a scan started: by SeriesTime or the first AcquisitionTime, which is earlier; None without either.

    A series that was made later than the scan has a SeriesTime after it.
    """
    pairs = (("SeriesDate", "SeriesTime"), ("AcquisitionDate", "AcquisitionTime"))
    times = (_moment(header, *pair) for header in headers for pair in pairs)
    return min((time for time in times if time is not None), default=None)


def _share_left(dataset: Dataset, drug: Dataset, started: datetime | None) -> float:
    """Return which share of the dose is left at the time that the image is corrected to."""
    correction = _text(dataset, "DecayCorrection")
    if correction == "ADMIN":
        return 1.0
    if correction != "START":
        raise UnreadableItem(f"DecayCorrection {correction}, where START or ADMIN is expected")
    if started is None:
        raise UnreadableItem("without SeriesTime and AcquisitionTime")
    half_life = timedelta(seconds=_plausible(drug, "RadionuclideHalfLife"))
    share: float = 0.5 ** ((started - _injection(drug, started)) / half_life)
    return share


def _injection(drug: Dataset, started: datetime) -> datetime:
    """Return when the dose was injected; a time without date is the last one before the scan."""
    if drug.get(name := "RadiopharmaceuticalStartDateTime"):
        injected: datetime = _parsed(DT, _text(drug, name), name).replace(tzinfo=None)  # local, as scans are dated
    else:
        name = "RadiopharmaceuticalStartTime"
        injected = datetime.combine(started.date(), _parsed(TM, _text(drug, name), name))
        if injected > started:
            injected -= timedelta(days=1)
    if not timedelta(0) <= started - injected <= LONGEST_WAIT:
        raise UnreadableItem(f"{name} is not within {LONGEST_WAIT // timedelta(hours=1)} hours before the scan")
    return injected


def _moment(header: Dataset, date: str, time: str) -> datetime | None:
    if not (header.get(date) and header.get(time)):
        return None
    return datetime.combine(_parsed(DA, _text(header, date), date), _parsed(TM, _text(header, time), time))


def _parsed(kind: Callable[[str], Any], text: str, name: str) -> Any:
    try:
        return kind(text)
    except ValueError as error:
        raise UnreadableItem(f"{name} is no date or time") from error


def _text(dataset: Dataset, name: str) -> str:
    if not (text := str(dataset.get(name) or "").strip()):
        raise UnreadableItem(f"without {name}")
    return text


def _plausible(dataset: Dataset, name: str) -> float:
    value, (least, greatest) = float(numbers(dataset, name)[0]), PLAUSIBLE[name]
    if not least <= value <= greatest:
        raise UnreadableItem(f"{name} is {value:g}, where {least:g} to {greatest:g} is expected")
    return value
