"""Numbers that the emergency department writes down, at triage and later."""

from dataclasses import dataclass

import polars as pl

from ....source import Quarantine
from ..tables import SHOWN, Table
from .visits import STAGE

HOTTEST_CELSIUS = 50
"""Of a temperature: what is lower is in degrees Celsius, the others are in degrees Fahrenheit."""


@dataclass(frozen=True)
class Measured:
    """A column of a table of the department: what it is called in words and in the unit, and what it can be."""

    title: str
    concept: str
    unit: str
    low: float
    high: float


VITAL_SIGNS = {
    "temperature": Measured("Temperature", "temperature", "°C", 25, 45),
    "heartrate": Measured("Heart Rate", "heart_rate", "1/min", 0, 350),
    "resprate": Measured("Respiratory rate", "resp_rate", "1/min", 0, 150),
    "o2sat": Measured("Oxygen saturation", "spo2", "%", 0, 100),
    "sbp": Measured("Systolic blood pressure", "sbp", "mmHg", 0, 375),
    "dbp": Measured("Diastolic blood pressure", "dbp", "mmHg", 0, 375),
    "pain": Measured("Pain", "pain_score", "0 to 10", 0, 10),
}
AT_TRIAGE = {**VITAL_SIGNS, "acuity": Measured("Acuity", "acuity", "1 worst to 5", 1, 5)}


def numbers(rows: pl.DataFrame, measured: dict[str, Measured], table: Table, quarantine: Quarantine) -> pl.DataFrame:
    """Return columns of texts as float64: what is no number or cannot be is listed, counted, and null."""
    columns = []
    for name, what in measured.items():
        number = rows[name].str.strip_chars().cast(pl.Float64, strict=False)
        if name == "temperature":
            number = number.zip_with(number < HOTTEST_CELSIUS, (number - 32) / 1.8)
        possible = number.is_between(what.low, what.high).fill_null(False)
        wrong = rows.filter((rows[name].str.strip_chars().fill_null("") != "") & ~possible).select("row", name)
        reason = f"{name} is no number from {what.low:g} to {what.high:g}"
        for row, value in wrong.head(SHOWN).iter_rows():
            quarantine.add(STAGE, table.path.name, f"row {row}", value, reason)
        if (surplus := len(wrong) - SHOWN) > 0:
            quarantine.add(STAGE, table.path.name, "further rows", "", reason, surplus)
        columns.append(number.set(~possible, None))
    return pl.DataFrame(columns)
