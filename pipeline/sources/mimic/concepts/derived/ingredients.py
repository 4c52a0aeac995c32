"""Ingredients of scores: concepts of the starter sets, and a few that are in none."""

from collections.abc import Callable, Iterable

from ..definitions import Concept, Version, starters
from ..event_tables import FIRST_OF_METAVISION
from ..units import parse_conversion

REPLACED = ("procedureevents",)
"""Tables that scores can do without: what is charted tells of ventilation and renal replacement too."""
UNABLE = 0
"""What a verbal answer counts as of who cannot speak for a tube."""
_INTUBATED = ("1.0 et/trach", "no response-ett")
_FAHRENHEIT = "- 32 / 1.8"

_OWN = {
    "heart_rate": Concept("derived", "heart_rate", {"chartevents": (211, 220045)}, unit="1/min", low=0, high=350),
    "respiratory_rate": Concept(
        "derived", "respiratory_rate", {"chartevents": (618, 220210)}, unit="1/min", low=0, high=120,
        note="without set rates (619, 224688)",
    ),
    "spo2": Concept(
        "derived", "spo2", {"chartevents": (646, 220277)}, unit="%", low=1, high=100,
        note="without 226253, which is the limit of an alarm",
    ),
    "temperature": Concept(
        "derived", "temperature", {"chartevents": (676, 677, 678, 679, 223761, 223762)}, unit="C",
        conversions=tuple(parse_conversion(str(item), _FAHRENHEIT) for item in (678, 679, 223761))
        + tuple(parse_conversion(str(item), "as is") for item in (676, 677, 223762)),
        low=26, high=45,
    ),
    "creatinine_lab": Concept(
        "derived", "creatinine_lab", {"labevents": (50912,)}, unit="mg/dL", low=0, high=150,
        note="the laboratory's own; whole blood and point of care differ from it by more than the rises that count",
    ),
    "gcs_verbal_or_tube": Concept(
        "derived", "gcs_verbal_or_tube", {"chartevents": (723, 223900)}, low=UNABLE, high=5,
        texts=dict.fromkeys(_INTUBATED, str(UNABLE)), note="0 is a patient who has a tube",
    ),
}  # fmt: skip


def named(*names: str) -> Callable[[Version], tuple[Concept, ...]]:
    """Return what gives the concepts of these names that a release has."""

    def concepts(version: Version) -> tuple[Concept, ...]:
        found: Iterable[Concept | None] = (
            _own(name, version) if name in _OWN else starters(version).get(name) for name in names
        )
        return tuple(concept for concept in found if concept is not None)

    return concepts


def _own(name: str, version: Version) -> Concept:
    concept = _OWN[name]
    if version == 3 or "labevents" in concept.items:
        return concept
    items = {
        table: tuple(item for item in ids if isinstance(item, int) and item >= FIRST_OF_METAVISION)
        for table, ids in concept.items.items()
    }
    there = {item for ids in items.values() for item in ids}
    rules = tuple(rule for rule in concept.conversions if rule.item is None or rule.item in there)
    return Concept(**{**vars(concept), "items": items, "conversions": rules})
