"""What is measured at the bedside and in the laboratory, how it varies, and under which item ids it is charted."""

import csv
from dataclasses import dataclass
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Variable:
    """How the values of one measured quantity are distributed.

    The value of a person at hour h is ``mean + person N(0, 1) + level t_0 + drift t_1 ramp(h) + noise N(0, 1)``,
    where the ramp goes from -1 at ICU admission to 1 at 48 hours, clipped to [low, high]. The rounded
    value of a categorical variable is a position in its `TEXTS`.
    """

    mean: float
    noise: float
    low: float
    high: float
    rate: float
    """Probability of being measured in one round; 0 for once per stay, at admission."""
    person: float = 0.0
    level: float = 0.0
    drift: float = 0.0
    trait: str = ""
    """Variables with one trait share the person's deviation."""


TEXTS: dict[str, dict[str, tuple[str, ...]]] = {
    "eye_opening": {
        "mimic4": ("None", "To Pain", "To Speech", "Spontaneously"),
        "mimic3": ("1 No Response", "2 To pain", "3 To speech", "4 Spontaneously"),
    },
    "motor_response": {
        "mimic4": (
            "No response",
            "Abnormal extension",
            "Abnormal Flexion",
            "Flex-withdraws",
            "Localizes Pain",
            "Obeys Commands",
        ),
        "mimic3": (
            "1 No Response",
            "2 Abnorm extensn",
            "3 Abnorm flexion",
            "4 Flex-withdraws",
            "5 Localizes Pain",
            "6 Obeys Commands",
        ),
    },
    "verbal_response": {
        "mimic4": ("No Response", "Incomprehensible sounds", "Inappropriate Words", "Confused", "Oriented"),
        "mimic3": ("1 No Response", "2 Incomp sounds", "3 Inapprop words", "4 Confused", "5 Oriented"),
    },
    "capillary_refill": {"mimic3": ("Normal <3 secs", "Abnormal >3 secs")},
    "rhythm": dict.fromkeys(("mimic4", "mimic3"), ("Sinus Rhythm", "Sinus Tachycardia", "Atrial Fibrillation")),
    "braden": dict.fromkeys(
        ("mimic4", "mimic3"), ("Completely Limited", "Very Limited", "Slight Impairment", "No Impairment")
    ),
}
"""Categorical variable -> layout -> its categories, lowest first; they are numbered from 1."""

VARIABLES = {
    "heart_rate": Variable(86, noise=6, low=30, high=190, rate=0.97, level=11),
    "systolic": Variable(120, noise=7, low=50, high=230, rate=0.95, person=10, drift=12, trait="pressure"),
    "diastolic": Variable(62, noise=5, low=20, high=140, rate=0.95, person=6, drift=7, trait="pressure"),
    "mean_pressure": Variable(80, noise=5, low=30, high=170, rate=0.95, person=7, drift=9, trait="pressure"),
    "respiratory_rate": Variable(19.5, noise=2.5, low=5, high=50, rate=0.95, level=3),
    "saturation": Variable(95.5, noise=1, low=75, high=100, rate=0.95, level=-1),
    "temperature": Variable(37, noise=0.25, low=33, high=41, rate=0.3, person=0.3, drift=0.4),
    "inspired_oxygen": Variable(45, noise=4, low=21, high=100, rate=0.2, person=10),
    "eye_opening": Variable(3.4, noise=0.4, low=1, high=4, rate=0.3, person=0.8, trait="mind"),
    "motor_response": Variable(5.5, noise=0.4, low=1, high=6, rate=0.3, person=1, trait="mind"),
    "verbal_response": Variable(4, noise=0.5, low=1, high=5, rate=0.3, person=1.2, trait="mind"),
    "coma_total": Variable(12.9, noise=0.8, low=3, high=15, rate=0.3, person=3, trait="mind"),
    "capillary_refill": Variable(1.2, noise=0.2, low=1, high=2, rate=0.15, person=0.3),
    "glucose": Variable(138, noise=22, low=40, high=450, rate=0.2, person=25),
    "ph": Variable(7.38, noise=0.03, low=6.9, high=7.7, rate=0.06, person=0.04),
    "weight": Variable(81, noise=0.4, low=38, high=180, rate=0, person=17),
    "height": Variable(170, noise=0, low=140, high=205, rate=0, person=10),
    "rhythm": Variable(1.4, noise=0.3, low=1, high=3, rate=0.6, person=0.5),
    "alarm_high": Variable(125, noise=2, low=100, high=160, rate=0.5, person=5),
    "alarm_low": Variable(52, noise=1, low=30, high=60, rate=0.5, person=3),
    "braden": Variable(3.2, noise=0.3, low=1, high=4, rate=0.2, person=0.7),
    "creatinine": Variable(1.3, noise=0.1, low=0.3, high=9, rate=0.5, person=0.5, level=0.15, drift=0.3),
    "potassium": Variable(4.2, noise=0.3, low=2.3, high=7, rate=0.5, person=0.3),
    "sodium": Variable(139, noise=1.5, low=118, high=160, rate=0.5, person=3),
    "urine": Variable(110, noise=60, low=0, high=900, rate=1, person=40),
}
LAB_RATE = 0.5
"""Probability of each lab value in one round of labs, whatever its rate at the bedside."""


@dataclass(frozen=True)
class Item:
    """One way in which a variable is charted: a row of ``items.csv``."""

    layout: str
    table: str
    itemid: int
    variable: str
    label: str
    unit: str
    category: str
    share: float
    scale: float
    offset: float
    decimals: int


def read_items(layout: str) -> list[Item]:
    """Return the items of one layout (``mimic4`` or ``mimic3``)."""
    with (files(__package__) / "items.csv").open(encoding="utf-8") as lines:
        rows: list[dict[str, Any]] = [row for row in csv.DictReader(lines) if row["layout"] == layout]
    for row in rows:
        row |= {name: int(row[name]) for name in ("itemid", "decimals")}
        row |= {name: float(row[name]) for name in ("share", "scale", "offset")}
    return [Item(**row) for row in rows]
