"""Standardised uptake values of PET: activity concentration by injected dose and body weight.

SUV = activity [Bq/ml] * weight [g] / dose [Bq], the dose decayed to the time that the activity is corrected to
(DICOM PS3.3 C.8.9.1.1.6; QIBA FDG-PET/CT profile). A millilitre of tissue counts as a gram.
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from pydicom import Dataset
from pydicom.valuerep import DA, DT, TM

from ..source import UnreadableItem
from .dicom import numbers

GRAMS = 1000.0
BODY_WEIGHT = "BW"
DATE_TIME, TIME = "RadiopharmaceuticalStartDateTime", "RadiopharmaceuticalStartTime"
ZONE = "TimezoneOffsetFromUTC"
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
    if len(sequence) > 1:
        raise UnreadableItem(f"{len(sequence)} radiopharmaceuticals, where the dose of one is expected")
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
    share: float = 0.5 ** ((started - _injection(dataset, drug, started)) / half_life)
    return share


def _injection(dataset: Dataset, drug: Dataset, started: datetime) -> datetime:
    """Return when the dose was injected, by the clock of the scan; a time without date is the last one before it."""
    if drug.get(name := DATE_TIME):
        injected = _by_clock_of_scan(_to_the_minute(DT, _text(drug, name), name), dataset, drug)
    else:
        name = TIME
        injected = datetime.combine(started.date(), _to_the_minute(TM, _text(drug, name), name))
        if injected > started:
            injected -= timedelta(days=1)
    if not timedelta(0) <= started - injected <= LONGEST_WAIT:
        raise UnreadableItem(f"{name} is not within {LONGEST_WAIT // timedelta(hours=1)} hours before the scan")
    return injected


def _by_clock_of_scan(injected: datetime, dataset: Dataset, drug: Dataset) -> datetime:
    """Return a time without its offset from UTC, if it has one, by the clock that dates and times of the scan are of.

    Without TimezoneOffsetFromUTC nobody says which clock that is; then the time must be that of the other element.
    """
    if injected.tzinfo is None:
        return injected
    if dataset.get(ZONE):
        return injected.astimezone(_zone(_text(dataset, ZONE))).replace(tzinfo=None)
    local = injected.replace(tzinfo=None)
    if drug.get(TIME):
        other = _to_the_minute(TM, _text(drug, TIME), TIME)
        if (other.hour, other.minute) == (local.hour, local.minute):
            return local
    raise UnreadableItem(f"{DATE_TIME} has an offset from UTC and the scan has none: {ZONE} is missing")


def _zone(text: str) -> timezone:
    try:
        return timezone(datetime.strptime(text, "%z").utcoffset() or timedelta(0))
    except ValueError as error:
        raise UnreadableItem(f"{ZONE} is no offset such as +0900") from error


def _moment(header: Dataset, date: str, time: str) -> datetime | None:
    if not (header.get(date) and header.get(time)):
        return None
    return datetime.combine(_parsed(DA, _text(header, date), date), _to_the_minute(TM, _text(header, time), time))


def _to_the_minute(kind: type[DT] | type[TM], text: str, name: str) -> Any:
    """Return a date and time, or a time; one that leaves hours or minutes out would be taken for the full hour."""
    parsed = _parsed(kind, text, name)
    if not re.match(r"\d{12}" if kind is DT else r"\d\d:?\d\d", text):
        raise UnreadableItem(f"{name} does not say the minute")
    return parsed


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
