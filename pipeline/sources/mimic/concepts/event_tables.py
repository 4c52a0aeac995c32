"""The tables of events as they lie in a folder: which files a logical table is, and what their columns mean."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .definitions import Concept, Item, Kind

FIRST_OF_METAVISION = 220_000
"""Items of charts, inputs and outputs below are of CareVue, the older system, which MIMIC-IV does not have."""

ERRORS = ("1", "1.0", "true")
"""How a table marks a row as written in error."""

STOPPED = ("stopped", "d/c'd")
"""How INPUTEVENTS_CV says, in lower case, that a rate ended."""


GIVEN = (
    "administered", "administered bolus from iv drip", "administered in other location", "applied",
    "applied in other location", "delayed administered", "delayed applied", "delayed started", "partial administered",
    "restarted", "restarted in other location", "started", "started in other location",
)  # fmt: skip
"""How EMAR says, in lower case, that a drug was given or its infusion began."""


@dataclass(frozen=True)
class EventTable:
    """One file of events.

    ``item`` is the column of the ids, ``names`` that of the names, if there are any. ``start`` is the column of the
    time; ``by_day`` says that it is a date, ``else_start`` is that of the date where it is empty: a date counts at the
    end of its day, by which all of it has happened. ``end`` is that of intervals. ``number`` has the value as a number
    where it is one. ``values`` are the columns of value and unit by kind, where these differ. ``wrong`` are columns and
    the texts in them (lower case) that say that a row does not count, ``given`` those of which one must be there.
    ``asked`` are the columns that are known before there is a result. ``stopped`` is the column of a table of rates
    whose rows hold until the next. ``items`` are those it can have.
    """

    name: str
    item: str | None = "itemid"
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
    names: str | None = None
    by_day: bool = False
    given: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    asked: tuple[str, ...] = ()

    def has_any(self, items: Iterable[Item]) -> bool:
        """Return whether some item can be in this file."""
        return any(isinstance(item, str) or item in self.items for item in items)

    def of_results(self, concept: Concept) -> bool:
        """Return whether a concept looks at what is known only when there is a result."""
        looks_at = {*concept.where, *concept.without, *([self.value] if concept.texts else [])}
        return bool(self.asked) and bool(looks_at - {*self.asked})

    def columns_of(self, kind: Kind) -> tuple[str, str]:
        """Return the columns of value and unit for a kind of concept."""
        return self.values.get(kind, (self.value, self.unit))


_GIVEN: dict[Kind, tuple[str, str]] = {"interval-rate": ("rate", "rateuom"), "interval-amount": ("amount", "amountuom")}
_REWRITTEN = {"statusdescription": ("rewritten",)}

_LABS = EventTable("labevents", number="valuenum")
_CHART = EventTable("chartevents", number="valuenum", wrong={"error": ERRORS})
_OUTPUT = EventTable("outputevents", wrong={"iserror": ERRORS})
_MICROBIOLOGY = EventTable(
    "microbiologyevents", item="spec_itemid", names="spec_type_desc", else_start="chartdate", value="org_name",
    asked=("spec_itemid", "spec_type_desc", "test_itemid", "test_name", "charttime", "chartdate"),
)  # fmt: skip
_ORDERS_III = EventTable("prescriptions", item=None, names="drug", start="startdate", by_day=True, value="drug")
_ORDERS_IV = EventTable("prescriptions", item=None, names="drug", start="starttime", value="drug")
_EMAR = EventTable("emar", item=None, names="medication", value="medication", given={"event_txt": GIVEN})
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
    3: {
        **_IN_BOTH, "inputevents": (_INPUT_CV, _INPUT_MV), "procedureevents": (_PROCEDURE_MV,),
        "prescriptions": (_ORDERS_III,), "emar": (),
    },
    4: {
        **_IN_BOTH, "inputevents": (_INPUT_IV,), "procedureevents": (_PROCEDURE_IV,), "prescriptions": (_ORDERS_IV,),
        "emar": (_EMAR,),
    },
}  # fmt: skip
"""Release -> logical table -> its files."""
