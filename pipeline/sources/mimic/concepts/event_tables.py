"""The tables of events as they lie in a folder: which files a logical table is, and what their columns mean."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .definitions import Kind

IDS = ("subject_id", "hadm_id", "stay_id")

FIRST_OF_METAVISION = 220_000
"""Items of charts, inputs and outputs below are of CareVue, the older system, which MIMIC-IV does not have."""

ERRORS = ("1", "1.0", "true")
"""How a table marks a row as written in error."""

STOPPED = ("stopped", "d/c'd")
"""How INPUTEVENTS_CV says, in lower case, that a rate ended."""


@dataclass(frozen=True)
class EventTable:
    """One file of events.

    ``start`` is the column of the time, ``else_start`` stands where that is empty, ``end`` is that of intervals.
    ``number`` has the value as a number where it is one. ``values`` are the columns of value and unit by kind, where
    these differ. ``wrong`` are columns and the texts in them (lower case) that say that a row does not count.
    ``stopped`` is the column of a table of rates whose rows hold until the next. ``items`` are those it can have.
    """

    name: str
    item: str = "itemid"
    start: str = "charttime"
    else_start: str | None = None
    end: str | None = None
    value: str = "value"
    unit: str = "valueuom"
    number: str | None = None
    values: Mapping[Kind, tuple[str, str]] = field(default_factory=dict)
    wrong: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    stopped: str | None = None
    items: range = range(1 << 31)

    def has_any(self, items: Iterable[int]) -> bool:
        """Return whether some item can be in this file."""
        return any(item in self.items for item in items)

    def columns_of(self, kind: Kind) -> tuple[str, str]:
        """Return the columns of value and unit for a kind of concept."""
        return self.values.get(kind, (self.value, self.unit))


_GIVEN: dict[Kind, tuple[str, str]] = {"interval-rate": ("rate", "rateuom"), "interval-amount": ("amount", "amountuom")}
_REWRITTEN = {"statusdescription": ("rewritten",)}

_LABS = EventTable("labevents", number="valuenum")
_CHART = EventTable("chartevents", number="valuenum", wrong={"error": ERRORS})
_OUTPUT = EventTable("outputevents", wrong={"iserror": ERRORS})
_MICROBIOLOGY = EventTable("microbiologyevents", item="spec_itemid", else_start="chartdate", value="org_name")
_INPUT_CV = EventTable("inputevents_cv", values=_GIVEN, stopped="stopped", items=range(FIRST_OF_METAVISION))
_INPUT_MV = EventTable(
    "inputevents_mv", start="starttime", end="endtime", values=_GIVEN, wrong=_REWRITTEN,
    items=range(FIRST_OF_METAVISION, 1 << 31),
)  # fmt: skip
_INPUT_IV = EventTable("inputevents", start="starttime", end="endtime", values=_GIVEN, wrong=_REWRITTEN)
_PROCEDURE_MV = EventTable("procedureevents_mv", start="starttime", end="endtime", wrong=_REWRITTEN)
_PROCEDURE_IV = EventTable("procedureevents", start="starttime", end="endtime", wrong=_REWRITTEN)

_IN_BOTH = {
    "labevents": (_LABS,), "chartevents": (_CHART,), "outputevents": (_OUTPUT,), "microbiologyevents": (_MICROBIOLOGY,),
}  # fmt: skip

EVENT_TABLES: dict[int, dict[str, tuple[EventTable, ...]]] = {
    3: {**_IN_BOTH, "inputevents": (_INPUT_CV, _INPUT_MV), "procedureevents": (_PROCEDURE_MV,)},
    4: {**_IN_BOTH, "inputevents": (_INPUT_IV,), "procedureevents": (_PROCEDURE_IV,)},
}
"""Release -> logical table -> its files."""
