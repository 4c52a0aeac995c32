"""What a task file may say, and how what it may not is refused: with file, key and value."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from omnifuse.cache_schema import InputError
from omnifuse.pipeline.sources.mimic.tasks.checks import conditions_on_future
from omnifuse.pipeline.sources.mimic.tasks.durations import seconds_of
from omnifuse.pipeline.sources.mimic.tasks.language import Bound
from omnifuse.pipeline.sources.mimic.tasks.named import read_tasks, task_names
from omnifuse.pipeline.sources.mimic.tasks.parsing import parse_bound, parse_task, read_task_file

TASK: dict[str, Any] = {
    "name": "aki",
    "predicates": {"aki": {"concept": "stage", "value_min": 1}, "dead": {"anchor": "death"}},
    "trigger": {"at": "icu_in + 24h"},
    "windows": {
        "before": {"start": "icu_in - 7d", "end": "trigger", "has": {"aki": [None, 0]}},
        "target": {"start": "trigger", "end": "trigger + 48h", "label": "aki"},
    },
}


def changed(**changes: Any) -> dict[str, Any]:
    """Return the task with values at paths such as ``windows__target__end`` replaced (None: removed)."""
    task = deepcopy(TASK)
    for path, value in changes.items():
        *where, last = path.split("__")
        inner = task
        for key in where:
            inner = inner[key]
        if value is ...:
            del inner[last]
        else:
            inner[last] = value
    return task


def test_a_task_is_read_with_its_defaults() -> None:
    task = parse_task(TASK, "aki.yaml")
    assert (task.unit, task.history, task.available, task.per_subject) == ("icu_stay", "icu", "storetime", "all")
    assert (task.cohort.age, task.cohort.exclude_newborns) == ((18, None), True)
    target = task.target
    assert (target.start_inclusive, target.end_inclusive, target.missing, target.deaths) == (
        False,
        True,
        "drop",
        "keep",
    )
    assert target.end == Bound("trigger", 48 * 3600, text="trigger + 48h")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30min", 1800), ("12h", 43_200), ("7d", 604_800), ("1 day 6 hours", 108_000), ("0.5h", 1800), ("2 w", 1_209_600)],
)
def test_lengths_of_time(text: str, seconds: int) -> None:
    assert seconds_of(text, "x.yaml: every") == seconds


@pytest.mark.parametrize(
    ("text", "said"),
    [("2 months", "write 30d"), ("1y", "write 365d"), ("30m", "write 30min"), ("soon", "such as 30min"), (24, "24;"),
     ("-3h", "such as"), ("0.1s", "whole number of seconds"), ("9999999d", "200 years"), ("", "such as")],
)  # fmt: skip
def test_other_lengths_are_refused(text: object, said: str) -> None:
    with pytest.raises(InputError, match=rf"x\.yaml: every.*{said}"):
        seconds_of(text, "x.yaml: every")


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        (None, Bound(None, text="null")),
        ("trigger", Bound("trigger", text="trigger")),
        ("before.end - 6h", Bound("before.end", -21_600, text="before.end - 6h")),
        ("start -> aki", Bound("start", 0, "aki", True, "start -> aki")),
        ("icu_in<-aki", Bound("icu_in", 0, "aki", False, "icu_in<-aki")),
    ],
)
def test_bounds(text: object, bound: Bound) -> None:
    assert parse_bound(text, "x") == bound


REFUSED = {
    "no mapping": (["a"], "must be a mapping"),
    "an unknown key": (changed(triger="x"), r"aki\.yaml: triger: there is no such key. Did you mean 'trigger'\?"),
    "an unknown key of a window": (changed(windows__target__lable="aki"), r"windows\.target\.lable.*mean 'label'"),
    "an unknown key of a predicate": (changed(predicates__aki__valuemin=1), r"predicates\.aki\.valuemin"),
    "an unknown predicate": (changed(windows__target__label="akii"), r"windows\.target\.label.*'akii'.*mean 'aki'"),
    "an unknown predicate of has": (changed(windows__before__has={"x": [0, 1]}), r"windows\.before\.has\.x.*'x'"),
    "an unknown predicate of a bound": (changed(windows__target__end="start -> nix"), r"target\.end.*'nix'"),
    "an unknown reference": (changed(windows__before__start="icu_inn"), r"before\.start.*Did you mean 'icu_in'\?"),
    "an unknown anchor": (changed(predicates__dead={"anchor": "dead"}), r"predicates\.dead\.anchor.*'death'"),
    "no label": (changed(windows__target__label=...), "no window has one"),
    "two labels": (changed(windows__before__label="aki"), "before, target have one each"),
    "two index timestamps": (
        changed(windows__before__index_timestamp="end", windows__target__index_timestamp="start"), "keep one",
    ),
    "a label window that ends at the prediction": (
        changed(windows__target={"start": "icu_in", "end": "trigger", "label": "aki"}), r"target\.end.*known by then",
    ),
    "a label window that ends before it": (changed(windows__target__end="icu_in + 3h"), "target"),
    "a label window that starts before it": (changed(windows__target__start="icu_in"), r"target\.start.*leak"),
    "an input beyond it": (
        changed(windows__input={"start": "icu_in", "end": "trigger + 1h"}), r"windows\.input\.end.*beyond",
    ),
    "a window the wrong way round": (changed(windows__before__start="trigger + 1h"), "after its end"),
    "plus and minus": (changed(windows__target__end="trigger + 2d - 3h"), r"target\.end.*one \+ or one -"),
    "months": (changed(windows__target__end="trigger + 3 months"), r"target\.end.*write 30d"),
    "a cycle of windows": (
        changed(windows__before__start="target.start - 1h", windows__target__start="before.start + 1h"), "itself",
    ),
    "a window of its own ends": (changed(windows__before={"start": "end - 1h", "end": "start + 1h"}), "itself"),
    "a cycle of predicates": (
        changed(predicates__a={"expr": "or(b, aki)"}, predicates__b={"expr": "and(a, aki)"}), r"predicates\.\w\.expr",
    ),
    "a predicate of two kinds": (changed(predicates__aki={"concept": "a", "anchor": "death"}), "one of concept"),
    "a predicate of codes": (changed(predicates__aki={"code": "LAB//1"}), r"aki\.code is not in this language"),
    "a built-in name": (changed(predicates__death={"anchor": "icu_out"}), "not built in"),
    "a range the wrong way round": (changed(predicates__aki__value_max=0), "above value_max"),
    "counts the wrong way round": (changed(windows__before__has={"aki": [2, 1]}), r"has\.aki.*\[2, 1\]"),
    "counts that are none": (changed(windows__before__has={"aki": 1}), r"has\.aki.*\[1, null\]"),
    "running and within": (
        changed(predicates__aki={"concept": "x", "event": "running", "within": "icu"}), "what is running",
    ),
    "a name that is no name": (changed(name="../aki"), r"name is '\.\./aki'"),
    "an unknown unit": (changed(unit="stay"), "icu_stay, admission, subject"),
    "an unknown history": (changed(history="week"), "history"),
    "a cohort that is none": (changed(cohort={"ages": [18, None]}), r"cohort\.ages.*'age'"),
    "items of nothing": (changed(predicates__aki={"item": {}}), r"aki\.item is empty"),
    "an item that is none": (changed(predicates__aki={"item": {"labevents": [-1]}}), r"aki\.item\.labevents is \[-1\]"),
    "a code of a dot alone": (changed(predicates__aki={"icd": {9: ["."]}}), r"icd\.9: '' is no beginning of a code"),
    "an order with a value": (
        changed(predicates__aki={"drug_contains": "cef", "value_min": 1}), "orders, which have no value"
    ),
    "a column twice": (
        changed(predicates__aki={"concept": "lactate", "where": {"Flag": "a", "flag": "b"}}), "flag is there twice"
    ),
    "ages the wrong way round": (changed(cohort={"age": [80, 18]}), r"cohort\.age is \[80, 18\]"),
    "an age that is none": (changed(cohort={"age": 18}), r"cohort\.age.*\[18, null\]"),
    "a choice of samples that is none": (changed(per_subject={"random": -1}), "random: SEED"),
    "an endless bound of the trigger": (changed(trigger={"at": None}), r"trigger\.at is null"),
    "a trigger of a window": (changed(trigger={"at": "before.end"}), r"trigger\.at"),
    "every second": (changed(trigger={"every": "1s", "from": "icu_in", "until": "icu_out"}), "at least a minute"),
    "negative deaths of a quantity": (
        changed(windows__target__label={"count": "aki"}, windows__target__deaths="negative"), "only a binary label",
    ),
    "two kinds of label": (changed(windows__target__label={"count": "aki", "value": "aki"}), r"label.*2 of them"),
    "classes that do not rise": (changed(windows__target__label={"time_until": "aki", "classes": [2, 1]}), "rise"),
    "a survival without an end": (changed(windows__target__label={"survival": "dead", "censor": None}), "ends nowhere"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_of_the_language_is_refused(case: str) -> None:
    content, said = REFUSED[case]
    with pytest.raises(InputError, match=said) as refused:
        parse_task(content, "aki.yaml")
    assert "aki.yaml" in str(refused.value)


def test_yaml_with_aliases_or_twice_a_key_is_refused(tmp_path: Path) -> None:
    for text in ("a: &a [1]\nb: *a", "name: a\nname: b", "- 1"):
        (tmp_path / "task.yaml").write_text(text)
        with pytest.raises(InputError, match=r"task\.yaml"):
            read_task_file(tmp_path / "task.yaml")


def test_every_named_task_is_read_under_its_own_name() -> None:
    assert [one.task.name for one in read_tasks(task_names())] == list(task_names())
    assert {"aki_48h", "icu_mortality_24h", "remaining_los", "sepsis_12h", "time_to_death"} <= set(task_names())


def test_names_are_those_of_tasks_of_ours_or_of_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Did you mean 'aki_48h'"):
        read_tasks(["aki_24h"])
    with pytest.raises(InputError, match=r"no file .*mine\.yaml"):
        read_tasks([str(tmp_path / "mine.yaml")])
    with pytest.raises(InputError, match="one task of a name"):
        read_tasks(["los_3d", "los_3d"])
    (tmp_path / "mine.yaml").write_text(
        "name: mortality\ntrigger: {at: icu_in}\nwindows: {t: {start: trigger, end: null, label: death}}"
    )
    with pytest.raises(InputError, match="a task of the ICU benchmark has"):
        read_tasks([str(tmp_path / "mine.yaml")])


def test_what_a_task_asks_of_the_future_is_told() -> None:
    assert conditions_on_future(parse_task(TASK, "x")) == ()
    gap = {"start": "trigger", "end": "icu_in + 48h", "has": {"icu_out": [None, 0]}}
    assert conditions_on_future(parse_task(changed(windows__gap=gap), "x")) == ("gap.icu_out",)
    seen = changed(windows__before__end="trigger <- aki")
    assert conditions_on_future(parse_task(seen, "x")) == ()
