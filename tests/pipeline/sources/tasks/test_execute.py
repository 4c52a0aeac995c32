"""The execution over arrays against a plain interpreter that goes through one sample after the other."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omnifuse.pipeline.sources.mimic.tasks.execute import Outcome, execute
from omnifuse.pipeline.sources.mimic.tasks.language import ANCHORS, Bound, TaskFile, Window
from omnifuse.pipeline.sources.mimic.tasks.parsing import parse_task

H = 3600
Events = Mapping[str, list[tuple[int, int, int | None, float]]]
"""By predicate: subject, time, end, value."""


def frame(rows: list[tuple[int, int, int | None, float]]) -> pl.DataFrame:
    schema = {"subject": pl.Int64, "time": pl.Int64, "end": pl.Int64, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def units_of(*rows: dict[str, Any]) -> pl.DataFrame:
    """Return units: hours of anchors, ``subject``, ``death_by_day`` and ``left_hospital``."""
    usual = {"subject": 1, "death_by_day": False, "left_hospital": False}
    full = [
        {
            **dict.fromkeys(ANCHORS),
            **usual,
            **{k: v * H if k in ANCHORS and v is not None else v for k, v in row.items()},
        }
        for row in rows
    ]
    schema = {
        "subject": pl.Int64,
        **dict.fromkeys(ANCHORS, pl.Int64),
        "death_by_day": pl.Boolean,
        "left_hospital": pl.Boolean,
    }
    return pl.DataFrame(full, schema=schema)


def run(content: dict[str, Any], units: pl.DataFrame, events: Events) -> Outcome:
    task = parse_task({"name": "t", "trigger": {"at": "icu_in + 24h"}, **content}, "t.yaml")
    return execute(task, units, {name: frame(rows) for name, rows in events.items()})


class Plain:
    """One sample at a time, by the words of the language."""

    def __init__(self, task: TaskFile, unit: dict[str, Any], trigger: float, events: Events) -> None:
        self.task, self.unit, self.trigger, self.events = task, unit, trigger, events

    def times(self, predicate: str) -> list[int]:
        if predicate in ANCHORS:
            return [self.unit[predicate]] if self.unit[predicate] is not None else []
        definition = self.task.predicates[predicate]
        return sorted(
            time
            for subject, time, _, value in self.events[predicate]
            if subject == self.unit["subject"]
            and (definition.low is None or value >= definition.low)
            and (definition.high is None or value <= definition.high)
        )

    def at(self, bound: Bound, window: Window, end: str) -> float | None:
        if bound.reference is None:
            return -math.inf if end == "start" else math.inf
        if bound.reference == "trigger":
            base: float | None = self.trigger
        elif bound.reference in ANCHORS:
            base = self.unit[bound.reference]
        else:
            name, _, which = bound.reference.rpartition(".")
            other = window if not name else next(one for one in self.task.windows if one.name == name)
            base = self.at(other.start if which == "start" else other.end, other, which)
        if base is None or bound.predicate is None:
            return None if base is None else base + bound.seconds
        inclusive = window.start_inclusive if end == "start" else window.end_inclusive
        times = self.times(bound.predicate)
        if bound.forward:
            found = [time for time in times if time > base or (inclusive and time == base)][:1]
        else:
            found = [time for time in times if time < base or (inclusive and time == base)][-1:]
        if not found and window.missing == "record_end":
            return math.inf if bound.forward else -math.inf
        return found[0] if found else None

    def inside(self, window: Window, predicate: str) -> list[int]:
        start, end = self.at(window.start, window, "start"), self.at(window.end, window, "end")
        assert start is not None and end is not None
        return [
            time
            for time in self.times(predicate)
            if (time > start or (window.start_inclusive and time == start))
            and (time < end or (window.end_inclusive and time == end))
        ]

    def label(self) -> float | None:
        for window in self.task.windows:
            start, end = self.at(window.start, window, "start"), self.at(window.end, window, "end")
            if start is None or end is None or start > end:
                return None
            if window.label and (start < self.trigger or end <= self.trigger):
                return None
            for predicate, (fewest, most) in window.has.items():
                number = len(self.inside(window, predicate))
                if number < (fewest or 0) or (most is not None and number > most):
                    return None
        target = self.task.target
        assert target.label is not None
        (predicate,) = target.label.predicates.values()
        found = self.inside(target, predicate)
        if target.label.what == "occurs":
            return float(bool(found))
        if target.label.what == "count":
            return float(len(found))
        return (found[0] - self.trigger) / H if found else None


HOURS = st.integers(-6, 60)
BOUNDS = ["icu_in", "icu_out - 6h", "trigger", "trigger - 12h", "trigger <- a", "trigger -> b", "icu_in -> a"]
LABELS = ["a", "b", {"count": "a"}, {"time_until": "b", "unit": "h"}]
flags = st.booleans()
counts = st.sampled_from([[None, 0], [1, None], [None, 2], [1, 2], [None, None]])


@st.composite
def tasks(draw: st.DrawFn) -> dict[str, Any]:
    other = {
        "start": draw(st.sampled_from([*BOUNDS, None, "end - 6h"])),
        "end": draw(st.sampled_from(["trigger", "icu_out", None, "trigger -> a", "trigger <- b"])),
        "has": {draw(st.sampled_from(["a", "b", "icu_out"])): draw(counts)},
        "missing": draw(st.sampled_from(["drop", "record_end"])),
    }
    target = {
        "start": draw(st.sampled_from(["trigger", "trigger + 3h", "trigger -> a", "before.end"])),
        "end": draw(st.sampled_from(["start + 12h", "trigger + 24h", "icu_out", None, "start -> b"])),
        "label": draw(st.sampled_from(LABELS)),
    }
    for window in (other, target):
        window |= {"start_inclusive": draw(flags), "end_inclusive": draw(flags)}
    trigger = draw(
        st.sampled_from([{"at": "icu_in + 24h"}, {"every": "6h", "from": "icu_in + 1h", "until": "icu_out"}, "a"])
    )
    predicates = {
        "a": {"concept": "x", "value_min": draw(st.sampled_from([0, 2]))},
        "b": {"concept": "y", "value_max": 3},
    }
    return {"name": "t", "trigger": trigger, "predicates": predicates, "windows": {"before": other, "target": target}}


events = st.lists(
    st.tuples(st.integers(1, 3), HOURS.map(lambda hour: hour * H), st.none(), st.integers(0, 4).map(float))
)


@st.composite
def stays(draw: st.DrawFn) -> pl.DataFrame:
    rows = []
    for _ in range(draw(st.integers(1, 5))):
        begin = draw(st.integers(0, 20))
        end = draw(st.one_of(st.none(), st.integers(begin, begin + 50)))
        rows.append({"subject": draw(st.integers(1, 3)), "icu_in": begin, "icu_out": end})
    return units_of(*rows)


@settings(max_examples=120, deadline=None)
@given(tasks(), stays(), events, events)
def test_it_agrees_with_a_plain_interpreter(
    content: dict[str, Any], units: pl.DataFrame, a: list[Any], b: list[Any]
) -> None:
    try:
        task = parse_task(content, "t.yaml")
    except ValueError:  # a window the wrong way round: refused before any data
        return
    given_events = {"a": a, "b": b}
    expected = []
    for number, unit in enumerate(units.iter_rows(named=True)):
        for trigger in triggers(content["trigger"], unit, Plain(task, unit, 0, given_events)):
            label = Plain(task, unit, trigger, given_events).label()
            if label is not None:
                expected.append((number, trigger, np.float32(label)))
    outcome = execute(task, units, {name: frame(rows) for name, rows in given_events.items()})
    assert list(zip(outcome.unit.tolist(), outcome.index.tolist(), outcome.y[:, 0], strict=True)) == expected


def triggers(trigger: Any, unit: dict[str, Any], plain: Plain) -> list[float]:
    begin, end = unit["icu_in"], unit["icu_out"]
    if isinstance(trigger, str):
        return sorted({t for t in plain.times(trigger) if end is not None and begin <= t <= end})
    if "at" in trigger:
        return [begin + 24 * H]
    return [] if end is None else list(range(begin + H, end + 1, 6 * H))


TARGET = {"start": "trigger", "end": "trigger + 24h", "label": "x"}
X = {"x": {"concept": "c"}}
STAY = {"icu_in": 0, "icu_out": 100, "hosp_in": 0, "hosp_out": 120}


def labels(content: dict[str, Any], hours: list[float], *, stay: dict[str, Any] = STAY, ends: Any = None) -> list[Any]:
    rows = [(1, int(hour * H), None if ends is None else int(ends[n] * H), float(n)) for n, hour in enumerate(hours)]
    return run({"predicates": X, **content}, units_of(stay), {"x": rows}).y.tolist()


def test_a_window_is_open_on_the_left_and_closed_on_the_right() -> None:
    windows = {"target": TARGET}
    assert labels({"windows": windows}, [24]) == [[0]]
    assert labels({"windows": windows}, [48]) == [[1]]
    assert labels({"windows": {"target": {**TARGET, "start_inclusive": True}}}, [24]) == [[1]]
    assert labels({"windows": {"target": {**TARGET, "end_inclusive": False}}}, [48]) == [[0]]


def test_kinds_of_labels() -> None:
    def of(label: object, **more: Any) -> list[Any]:
        return labels({"windows": {"target": {**TARGET, "label": label, **more}}}, [25, 30, 47, 60])

    assert of({"count": "x"}) == [[3]]
    assert of({"value": "x"}) == [[0]]
    assert of({"value": "x", "which": "last"}) == [[2]]
    assert of({"value": "x", "which": "mean"}) == [[1]]
    assert of({"value": "x", "which": "max"}) == [[2]]
    assert of({"time_until": "x", "unit": "min"}) == [[60]]
    assert of({"time_until": "x", "unit": "h", "clip": [2, 8]}) == [[2]]
    assert of({"time_until": "x", "unit": "h", "classes": [0.5, 1, 2]}) == [[2]]  # closed on the left
    assert of({"any_of": {"one": "x", "left": "icu_out"}}) == [[1, 0]]
    assert of({"survival": "x", "horizon": "10h", "censor": "icu_out", "unit": "h"}) == [[1, 1]]
    assert of({"value": "x"}, start="trigger + 24h", end="trigger + 30h") == []


def test_survival_ends_where_nobody_looks_any_more() -> None:
    def of(**stay: Any) -> list[Any]:
        label = {"survival": "death", "censor": "last_contact", "horizon": "10d", "unit": "d"}
        windows = {"target": {"start": "trigger", "end": None, "label": label}}
        return run({"windows": windows}, units_of({**STAY, **stay}), {}).y.tolist()

    assert of(death=24 * 4, last_contact=24 * 365) == [[3, 1]]
    assert of(death=24 * 20, last_contact=24 * 365) == [[10, 0]]
    assert of(death=None, last_contact=24 * 6) == [[5, 0]]
    assert of(death=24 * 8, last_contact=24 * 6) == [[5, 0]]
    assert of(last_contact=None) == []
    assert of(last_contact=10) == []  # before the prediction


def test_a_label_is_known_only_as_long_as_somebody_looks() -> None:
    windows = {"target": {**TARGET, "observed_until": "icu_out"}}
    assert labels({"windows": windows}, [], stay={**STAY, "icu_out": 100}) == [[0]]
    assert labels({"windows": windows}, [], stay={**STAY, "icu_out": 40}) == []
    assert labels({"windows": windows}, [30], stay={**STAY, "icu_out": 40}) == [[1]]
    assert labels({"windows": windows}, [45], stay={**STAY, "icu_out": 40}) == []


@pytest.mark.parametrize(("rule", "expected"), [("keep", [[1]]), ("drop", []), ("negative", [[0]])])
def test_a_death_in_the_unit_is_a_way_of_leaving_it_or_not(rule: str, expected: list[Any]) -> None:
    windows = {"target": {"start": "icu_in + 3d", "end": None, "label": "icu_out", "deaths": rule}}
    assert labels({"windows": windows}, [], stay={**STAY, "death": 104}) == expected
    assert labels({"windows": windows}, [], stay={**STAY, "death": 107}) == [[1]]  # seven hours later


def test_what_runs_is_counted_wherever_it_overlaps() -> None:
    free = {"start": "trigger - 6h", "end": "trigger", "has": {"x": [None, 0]}}
    content = {
        "predicates": {"x": {"concept": "c", "event": "running"}},
        "windows": {"free": free, "target": {"start": "trigger", "end": None, "label": "icu_out"}},
    }
    assert labels(content, [2], ends=[30]) == []
    assert labels(content, [2], ends=[18]) == [[1]]  # ended when the window begins
    assert labels(content, [23], ends=[50]) == []
    assert labels(content, [25], ends=[50]) == [[1]]


def test_a_date_of_death_counts_by_its_day_or_outside_the_stay() -> None:
    day = 24

    def of(predicate: dict[str, Any], death: float, **stay: Any) -> list[Any]:
        target = {"start": "trigger", "end": "icu_in + 28d", "label": "dead"}
        units = units_of({**STAY, "death": death, "death_by_day": True, **stay})
        return run({"predicates": {"dead": predicate}, "windows": {"target": target}}, units, {}).y.tolist()

    exact, by_day = {"anchor": "death"}, {"anchor": "death", "resolution": "day"}
    assert of(exact, 3 * day) == []  # on a day of the stay: at what hour?
    assert of(exact, 9 * day) == [[1]]
    assert of(by_day, 3 * day) == [[1]]
    assert of(by_day, 28 * day) == [[1]]  # at some hour of a day that has begun
    assert of(by_day, 29 * day) == [[0]]


def test_derived_predicates_are_times_of_any_or_of_all() -> None:
    def number(expr: str) -> list[Any]:
        predicates = {
            "a": {"concept": "a"},
            "b": {"concept": "b"},
            "c": {"expr": expr},
            "d": {"expr": "or(c, icu_out)"},
        }
        content = {
            "predicates": predicates,
            "windows": {"t": {"start": "trigger", "end": None, "label": {"count": "d"}}},
        }
        given_events = {"a": [(1, 30 * H, None, 0.0)] * 2 + [(1, 40 * H, None, 0.0)], "b": [(1, 40 * H, None, 0.0)]}
        return run(content, units_of(STAY), given_events).y.tolist()

    assert number("or(a, b)") == [[3]]
    assert number("and(a, b)") == [[2]]


def test_one_sample_a_patient() -> None:
    units = units_of({**STAY, "subject": 7}, {**STAY, "subject": 7, "icu_in": 200, "icu_out": 300}, STAY)
    content = {"windows": {"t": {"start": "trigger", "end": None, "label": "icu_out"}}}
    kept = {rule: run({**content, "per_subject": rule}, units, {}).unit.tolist() for rule in ("all", "first", "last")}
    assert kept == {"all": [0, 1, 2], "first": [0, 2], "last": [1, 2]}
    random = run({**content, "per_subject": {"random": 3}}, units, {})
    assert sorted(units["subject"].gather(random.unit)) == [1, 7]
    assert run({**content, "per_subject": {"random": 3}}, units, {}).unit.tolist() == random.unit.tolist()


def test_every_step_is_counted_with_its_labels() -> None:
    units = units_of(STAY, {**STAY, "icu_out": 20}, {**STAY, "death": 12})
    before = {"start": "icu_in", "end": "trigger", "has": {"icu_out": [None, 0], "death": [None, 0]}}
    outcome = run({"windows": {"alive": before, "t": {"start": "trigger", "end": None, "label": "icu_out"}}}, units, {})
    counted = [(step.name, len(step.unit), float(np.nansum(step.y))) for step in outcome.steps]
    assert counted == [
        ("a time of prediction", 3, 2.0), ("alive.icu_out", 2, 2.0), ("alive.death", 1, 1.0), ("t: a label", 1, 1.0),
    ]  # fmt: skip
