"""What stands behind ``label:`` -> a label: a predicate alone, or a mapping that says what of it is predicted."""

from collections.abc import Callable

from .....cache_schema import InputError, shown
from .....yaml_file import is_number
from .durations import seconds_of
from .fields import Fields
from .language import OPEN, Bound, Label

UNITS = {"min": 60, "h": 3600, "d": 86_400}
KINDS = ("count", "value", "time_until", "any_of", "survival")


def parse_label(value: object, where: str, parse_bound: Callable[[object, str], Bound]) -> Label:
    """Return the label; ``where`` names file and key."""
    if isinstance(value, str):
        return Label("occurs", "binary", {value: value})
    fields = Fields.of(where, value)
    kinds = [key for key in KINDS if key in fields.content]
    if len(kinds) != 1:
        raise InputError(f"{where} needs one of {', '.join(KINDS)}, or a predicate alone; it has {len(kinds)} of them.")
    if kinds == ["survival"]:
        label = _survival(fields, parse_bound)
    else:
        label = {"count": _count, "value": _value, "time_until": _time_until, "any_of": _any_of}[kinds[0]](fields)
    fields.done()
    return label


def _count(fields: Fields) -> Label:
    predicate = fields.text("count")
    return Label("count", "regression", {predicate: predicate}, unit_name="")


def _value(fields: Fields) -> Label:
    predicate = fields.text("value")
    which = fields.choice("which", ("first", "last", "min", "max", "mean", "median"), "first")
    return Label("value", "regression", {predicate: predicate}, which, unit_name="")


def _time_until(fields: Fields) -> Label:
    predicate, unit = fields.text("time_until"), fields.choice("unit", tuple(UNITS), "h")
    clip, classes = fields.take("clip", None), fields.take("classes", None)
    if clip is not None and not (_are_numbers(clip) and len(clip) == 2 and clip[0] < clip[1]):
        raise InputError(f"{fields.at('clip')} is {shown(clip)}; write the lowest and the highest, such as [0, 168].")
    if classes is None:
        pair = None if clip is None else (float(clip[0]), float(clip[1]))
        return Label("time_until", "regression", {predicate: predicate}, "first", UNITS[unit], unit, pair)
    if clip is not None:
        raise InputError(f"{fields.where} has both clip and classes; the classes have no ends.")
    if not _are_numbers(classes) or not classes or sorted(set(classes)) != classes:
        raise InputError(f"{fields.at('classes')} is {shown(classes)}; write edges that rise, such as [1, 2, 3].")
    edges = tuple(map(float, classes))
    return Label("time_until", "multiclass", {predicate: predicate}, "first", UNITS[unit], unit, None, edges)


def _any_of(fields: Fields) -> Label:
    inner = fields.inner("any_of")
    predicates = {name: inner.text(name) for name in inner.content}
    if not predicates:
        raise InputError(f"{fields.at('any_of')} is empty; name labels and their predicates.")
    return Label("any_of", "multilabel", predicates)


def _survival(fields: Fields, parse_bound: Callable[[object, str], Bound]) -> Label:
    predicate, unit = fields.text("survival"), fields.choice("unit", tuple(UNITS), "d")
    censor = parse_bound(fields.take("censor", "last_contact"), fields.at("censor"))
    horizon = seconds_of(fields.take("horizon"), fields.at("horizon")) if "horizon" in fields.content else None
    if censor == OPEN and horizon is None:
        raise InputError(f"{fields.where} has neither censor nor horizon; a time that ends nowhere cannot be stored.")
    return Label(
        "survival", "survival", {predicate: predicate}, "first", UNITS[unit], unit, censor=censor, horizon=horizon
    )


def _are_numbers(value: object) -> bool:
    return isinstance(value, list) and all(map(is_number, value))
