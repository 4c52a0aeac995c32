"""What a task is: predicates, a trigger, windows around it, and a label in one of them.

The language is a subset of ACES (Xu et al. 2024, arXiv 2406.19653) with what intensive care needs beside it: exact
anchors of a stay, prediction times every few hours, quantities and times to an event as labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from .....cache_schema import TaskKind

Unit = Literal["icu_stay", "admission", "subject"]
"""What one sample is of."""

Place = Literal["icu", "hospital", "ed", "last_ward"]

ANCHORS = ("icu_in", "icu_out", "hosp_in", "hosp_out", "ed_in", "ed_out", "death", "last_contact")
"""Exact times that every unit has or lacks; as predicates, events of the unit alone."""
OF_SUBJECT = ("icu_admission", "icu_discharge", "hospital_admission", "hospital_discharge")
"""Predicates that are there without being declared: events of all stays of the subject."""
OF_RECORD = ("_RECORD_START", "_RECORD_END", "_ANY_EVENT")
BUILT_IN = (*ANCHORS, *OF_SUBJECT, *OF_RECORD)

TRIGGER, START, END = "trigger", "start", "end"

ICU_DEATH_TOLERANCE = 6 * 3600
"""Seconds: a death so soon after the end of the stay is one of the stay."""


@dataclass(frozen=True)
class Bound:
    """An end of a window.

    ``reference`` is an anchor, ``trigger``, an end of this window (``start``, ``end``) or of another (``before.end``);
    None leaves the window open. From there it moves by ``seconds``, or to the next or the previous event of
    ``predicate``.
    """

    reference: str | None
    seconds: int = 0
    predicate: str | None = None
    forward: bool = True
    text: str = ""
    """As it was written."""


OPEN = Bound(None, text="null")


@dataclass(frozen=True)
class ConceptPredicate:
    """Values of clinical concepts, within bounds: ``low`` and ``high`` belong to it unless said otherwise.

    ``event`` is what of an interval counts: its ``start``, its ``end``, or any time at which it is ``running``.
    ``items`` are ids by table where no concept is named, ``drugs`` parts of the names of orders. ``where`` are columns
    of the table and the text that they must have. ``within`` and ``tolerance`` as of an `AnchorPredicate`.
    """

    concepts: tuple[str, ...] = ()
    items: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    event: Literal["start", "end", "running"] = "start"
    low: float | None = None
    high: float | None = None
    low_inclusive: bool = True
    high_inclusive: bool = True
    within: Place | None = None
    tolerance: int = 0
    drugs: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CodePredicate:
    """Diagnoses of an admission, by prefixes of their codes without a dot, for each revision of the ICD (9, 10).

    Codes are given when the patient has left, so that they count at the end of their admission and never sooner.
    """

    icd: Mapping[int, tuple[str, ...]]


@dataclass(frozen=True)
class AnchorPredicate:
    """An exact time of the unit, or one of all stays of the subject.

    ``within`` counts it only within the stay in the unit or the hospital, or up to ``tolerance`` seconds after it;
    within the ``last_ward`` in hospital, wherever that was, of the stay from which the patient left the hospital. A
    death of which only the date is known counts everywhere with ``resolution: day``, else outside the stay alone.
    """

    anchor: str
    within: Place | None = None
    tolerance: int = 0
    by_day: bool = False


@dataclass(frozen=True)
class DerivedPredicate:
    """Times at which any (``or``) or all (``and``) of some predicates happen."""

    operator: Literal["or", "and"]
    arguments: tuple[str, ...]


Predicate = ConceptPredicate | CodePredicate | AnchorPredicate | DerivedPredicate


@dataclass(frozen=True)
class Trigger:
    """Where samples are made: at each event of a ``predicate``, once ``at`` a time, or ``every`` so many seconds."""

    predicate: str | None = None
    at: Bound | None = None
    every: int | None = None
    begin: Bound | None = None
    until: Bound | None = None


@dataclass(frozen=True)
class Label:
    """What is predicted, from the events of one window.

    ``predicates`` are by the name of their label (one, except for ``any_of``). Times are given in ``unit`` seconds;
    ``clip`` and ``classes`` are in that unit.
    """

    what: Literal["occurs", "any_of", "count", "value", "time_until", "survival"]
    kind: TaskKind
    predicates: Mapping[str, str]
    which: Literal["first", "last", "min", "max", "mean", "median"] = "first"
    unit: int = 3600
    unit_name: str = "h"
    clip: tuple[float, float] | None = None
    classes: tuple[float, ...] = ()
    censor: Bound = OPEN
    horizon: int | None = None
    """Seconds."""


@dataclass(frozen=True)
class Window:
    """A span of time: what must have happened in it, and what is predicted from it.

    ``has`` are the fewest and the most events of a predicate. ``missing`` is what becomes of a sample where an end
    looks for an event that there is none of; ``observed`` the time up to which a label is known; ``deaths`` what
    becomes of a label where the patient dies first.
    """

    name: str
    start: Bound
    end: Bound
    start_inclusive: bool = False
    end_inclusive: bool = True
    has: Mapping[str, tuple[int | None, int | None]] = field(default_factory=dict)
    label: Label | None = None
    index: Literal["start", "end"] | None = None
    missing: Literal["drop", "record_end", "censor"] = "drop"
    observed: Bound | None = None
    deaths: Literal["keep", "drop", "negative"] = "keep"


@dataclass(frozen=True)
class CohortFilter:
    """Which stays are units at all."""

    age: tuple[float | None, float | None] = (18, None)
    first_icu_stay: bool = False
    one_stay_per_admission: bool = False
    one_unit: bool = False
    min_icu_hours: float | None = None
    exclude_newborns: bool = True
    dbsource: Literal["carevue", "metavision"] | None = None
    benchmark: bool = False
    """The three filters of the ICU benchmark, in place of all these."""


@dataclass(frozen=True)
class TaskFile:
    """One task as it was written; ``source`` names the file in messages."""

    source: str
    name: str
    trigger: Trigger
    windows: tuple[Window, ...]
    """In an order in which each refers to those before it alone."""
    predicates: Mapping[str, Predicate] = field(default_factory=dict)
    unit: Unit = "icu_stay"
    cohort: CohortFilter = field(default_factory=CohortFilter)
    history: str | int = "icu"
    """How far before t0 inputs may reach: ``icu``, ``hospital``, ``ed``, ``all``, or seconds."""
    available: Literal["storetime", "charttime"] = "storetime"
    per_subject: Literal["all", "first", "last"] | int = "all"
    """Samples kept of each patient; a number is the seed of a random choice."""
    published: Mapping[str, int | str] = field(default_factory=dict)
    title: str | None = None

    @property
    def target(self) -> Window:
        """The window with the label."""
        return next(window for window in self.windows if window.label is not None)

    @property
    def index(self) -> Bound:
        """The prediction time."""
        window = next((window for window in self.windows if window.index is not None), None)
        return Bound(f"{window.name}.{window.index}") if window else Bound(TRIGGER)

    @property
    def concepts(self) -> tuple[ConceptPredicate, ...]:
        """The predicates that need events of tables."""
        return tuple(one for one in self.predicates.values() if isinstance(one, ConceptPredicate))


def asks_for_last_ward(task: TaskFile) -> bool:
    """Return whether a task needs to know from which ward patients left the hospital."""
    return any(isinstance(one, AnchorPredicate) and one.within == "last_ward" for one in task.predicates.values())
