"""A YAML file -> a task; whatever is not of the language is refused with file, key and value."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .....cache_schema import InputError, meant, shown
from .....yaml_file import is_number, load_yaml
from .checks import check_task_file
from .durations import seconds_of
from .fields import Fields
from .language import (
    BUILT_IN,
    END,
    START,
    Bound,
    CohortFilter,
    Predicate,
    TaskFile,
    Trigger,
    Window,
)
from .parsing_labels import parse_label
from .parsing_predicates import parse_predicate

NAME = re.compile(r"[a-z][a-z0-9_]*")
REFERENCE = r"[A-Za-z_][A-Za-z0-9_]*(?:\.(?:start|end))?"
BOUND = re.compile(
    rf"(?P<reference>{REFERENCE})\s*(?:(?P<sign>[+-])\s*(?P<time>\d.*)|(?P<arrow>->|<-)\s*(?P<predicate>[A-Za-z_]\w*))?"
)
COUNTS = re.compile(r"\(\s*(\d+|None|null)?\s*,\s*(\d+|None|null)?\s*\)")


def read_task_file(path: Path) -> TaskFile:
    """Return the task that a file holds.

    Raises
    ------
    InputError
        If it is no YAML, not of the language, or leaks: see :func:`.check_task_file`.
    """
    return parse_task(load_yaml(path), str(path))


def parse_task(content: Any, source: str) -> TaskFile:
    """Return the task that YAML values describe; ``source`` names their file. Raises as :func:`read_task_file`."""
    fields = Fields.of(source, content)
    name = fields.text("name")
    if not NAME.fullmatch(name) or len(name) > 60:
        raise InputError(f"{fields.at('name')} is {shown(name)}; use small letters, digits and _, a letter first.")
    task = TaskFile(
        source,
        name,
        _trigger(fields),
        _windows(fields.inner("windows")),
        _predicates(fields.inner("predicates", {})),
        fields.choice("unit", ("icu_stay", "admission", "subject"), "icu_stay"),
        _cohort(fields),
        _history(fields),
        fields.choice("available", ("storetime", "charttime"), "storetime"),
        _per_subject(fields),
        _published(fields.inner("published", {})),
        fields.text("title", None),
    )
    fields.done()
    check_task_file(task)
    return task


def parse_bound(text: object, where: str) -> Bound:
    """Return an end of a window, or a time of the trigger."""
    if text is None or text == "null":
        return Bound(None, text="null")
    match = BOUND.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise InputError(
            f"{where} is {shown(text)}; write null, a reference such as trigger or icu_in, REFERENCE + 24h, "
            "REFERENCE -> PREDICATE or REFERENCE <- PREDICATE."
        )
    if time := match["time"]:
        if re.search(r"[+-]", time):
            raise InputError(f"{where} is {shown(text)}; a bound has one + or one -, not both.")
        seconds = seconds_of(time, where)
        return Bound(match["reference"], -seconds if match["sign"] == "-" else seconds, text=str(text))
    return Bound(match["reference"], 0, match["predicate"], match["arrow"] != "<-", str(text))


def _trigger(fields: Fields) -> Trigger:
    value, where = fields.take("trigger"), fields.at("trigger")
    if isinstance(value, str):
        return Trigger(predicate=value)
    inner = Fields.of(where, value)
    if "every" in inner.content:
        every = seconds_of(inner.take("every"), inner.at("every"))
        if every < 60:
            raise InputError(f"{inner.at('every')} is {shown(value['every'])}; it must be at least a minute.")
        begin, until = (parse_bound(inner.take(key), inner.at(key)) for key in ("from", "until"))
        trigger = Trigger(every=every, begin=begin, until=until)
    else:
        trigger = Trigger(at=parse_bound(inner.take("at"), inner.at("at")))
    inner.done()
    return trigger


def _predicates(fields: Fields) -> dict[str, Predicate]:
    predicates = {}
    for name in fields.content:
        if not re.fullmatch(r"[A-Za-z]\w*", name) or name in BUILT_IN:
            raise InputError(
                f"{fields.at(name)}: a predicate needs a name of letters, digits and _ that is not built in."
            )
        predicates[name] = parse_predicate(fields.inner(name))
    fields.done()
    return predicates


def _windows(fields: Fields) -> tuple[Window, ...]:
    windows = []
    for name in fields.content:
        if not NAME.fullmatch(name) or name in (START, END, "trigger", *BUILT_IN):
            raise InputError(f"{fields.at(name)}: a window needs a name of small letters, digits and _ of its own.")
        windows.append(_window(name, fields.inner(name)))
    fields.done()
    return tuple(windows)


def _window(name: str, fields: Fields) -> Window:
    label = fields.take("label", None)
    window = Window(
        name,
        parse_bound(fields.take("start"), fields.at("start")),
        parse_bound(fields.take("end"), fields.at("end")),
        fields.flag("start_inclusive", False),
        fields.flag("end_inclusive", True),
        _has(fields.inner("has", {})),
        None if label is None else parse_label(label, fields.at("label"), parse_bound),
        fields.choice("index_timestamp", (START, END), None),
        fields.choice("missing", ("drop", "record_end", "censor"), "drop"),
        parse_bound(fields.take("observed_until"), fields.at("observed_until"))
        if "observed_until" in fields.content
        else None,
        fields.choice("deaths", ("keep", "drop", "negative"), "keep"),
    )
    fields.done()
    return window


def _has(fields: Fields) -> dict[str, tuple[int | None, int | None]]:
    has = {}
    for predicate in fields.content:
        value = fields.take(predicate)
        if isinstance(value, str) and (match := COUNTS.fullmatch(value.strip())):
            value = [None if part in (None, "None", "null") else int(part) for part in match.groups()]
        pair = value if isinstance(value, list) else []
        if len(pair) != 2 or not all(one is None or (type(one) is int and one >= 0) for one in pair):
            raise InputError(
                f"{fields.at(predicate)} is {shown(value)}; write the fewest and the most events, such as [1, null]."
            )
        low, high = pair
        if low is not None and high is not None and low > high:
            raise InputError(f"{fields.at(predicate)} is {shown(value)}: the fewest are more than the most.")
        has[predicate] = (low, high)
    return has


def _cohort(fields: Fields) -> CohortFilter:
    value = fields.take("cohort", {})
    if value == "benchmark":
        return CohortFilter(benchmark=True)
    inner = Fields.of(fields.at("cohort"), value)
    usual = CohortFilter()
    age = inner.take("age", list(usual.age))
    two = isinstance(age, list) and len(age) == 2 and all(one is None or is_number(one) for one in age)
    if not two or (None not in age and age[0] > age[1]):
        raise InputError(f"{inner.at('age')} is {shown(age)}; write the lowest and the highest, such as [18, null].")
    cohort = CohortFilter(
        (age[0], age[1]),
        inner.flag("first_icu_stay", usual.first_icu_stay),
        inner.flag("one_stay_per_admission", usual.one_stay_per_admission),
        inner.flag("one_unit", usual.one_unit),
        inner.number("min_icu_hours", None),
        inner.flag("exclude_newborns", usual.exclude_newborns),
        inner.choice("dbsource", ("carevue", "metavision"), None),
    )
    inner.done()
    return cohort


def _history(fields: Fields) -> str | int:
    value = fields.take("history", "icu")
    known = ("icu", "hospital", "ed", "all")
    if value in known:
        return str(value)
    if isinstance(value, str) and value[:1].isdigit():
        return seconds_of(value, fields.at("history"))
    raise InputError(
        f"{fields.at('history')} is {shown(value)}; write {', '.join(known)} or a time such as 48h."
        f"{meant(value, known)}"
    )


def _per_subject(fields: Fields) -> Any:
    value, known = fields.take("per_subject", "all"), ("all", "first", "last")
    if value in known:
        return value
    if isinstance(value, dict) and value.keys() == {"random"} and type(value["random"]) is int and value["random"] >= 0:
        return value["random"]
    raise InputError(
        f"{fields.at('per_subject')} is {shown(value)}; write {', '.join(known)} or {{random: SEED}}."
        f"{meant(value, known)}"
    )


def _published(fields: Fields) -> Mapping[str, int | str]:
    published: dict[str, int | str] = {
        key: fields.take(key) for key in ("n", "positive", "source") if key in fields.content
    }
    for key in ("n", "positive"):
        if key in published and type(published[key]) is not int:
            raise InputError(f"{fields.at(key)} is {shown(published[key])}; write a whole number.")
    fields.take("n", None), fields.take("positive", None)
    fields.text("source", None)
    fields.done()
    return published
