"""What stands behind the name of a predicate -> which events it is."""

import re
from typing import Any

from .....cache_schema import InputError, shown
from ..concepts.user_file import SHORTEST_NAME, is_item_id
from .durations import seconds_of
from .fields import Fields
from .language import AnchorPredicate, CodePredicate, ConceptPredicate, DerivedPredicate, Place, Predicate

DERIVED = re.compile(r"(or|and)\(\s*([A-Za-z_]\w*(?:\s*,\s*[A-Za-z_]\w*)*)\s*\)")
CODE = re.compile(r"[A-Z0-9]+")
KINDS = ("concept", "item", "drug_contains", "icd", "anchor", "expr")
ELSEWHERE = ("code", "regex", "other_cols")
"""What other languages know of a predicate."""


def parse_predicate(fields: Fields) -> Predicate:
    """Return a predicate."""
    if other := next((key for key in ELSEWHERE if key in fields.content), None):
        raise InputError(f"{fields.at(other)} is not in this language; name a concept, items by table, or {KINDS[2]}.")
    kinds = [key for key in KINDS if key in fields.content]
    if len(kinds) != 1:
        raise InputError(f"{fields.where} needs one of {', '.join(KINDS)}; it has {', '.join(kinds) or 'none'}.")
    (kind,) = kinds
    predicate: Predicate
    if kind == "expr":
        predicate = _derived(fields)
    elif kind == "icd":
        predicate = CodePredicate(_codes(fields))
    elif kind == "anchor":
        by_day = fields.choice("resolution", ("day", "second"), "second") == "day"
        predicate = AnchorPredicate(fields.text("anchor"), *_within(fields, ("last_ward",)), by_day)
    else:
        predicate = _of_events(fields, kind)
    fields.done()
    return predicate


def _derived(fields: Fields) -> DerivedPredicate:
    text = fields.text("expr")
    match = DERIVED.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{fields.at('expr')} is {shown(text)}; write or(a, b) or and(a, b) of predicates.")
    arguments = tuple(part.strip() for part in match[2].split(","))
    return DerivedPredicate("or" if match[1] == "or" else "and", arguments)


def _of_events(fields: Fields, kind: str) -> ConceptPredicate:
    predicate = ConceptPredicate(
        _concepts(fields) if kind == "concept" else (),
        _items(fields.inner("item")) if kind == "item" else {},
        fields.choice("event", ("start", "end", "running"), "start"),
        fields.number("value_min", None),
        fields.number("value_max", None),
        fields.flag("value_min_inclusive", True),
        fields.flag("value_max_inclusive", True),
        *_within(fields),
        _drugs(fields) if kind == "drug_contains" else (),
        _where(fields.inner("where", {})),
    )
    if predicate.drugs and (predicate.low, predicate.high) != (None, None):
        raise InputError(f"{fields.at('drug_contains')} is of orders, which have no value to be above or below one.")
    if predicate.within is not None and predicate.event == "running":
        raise InputError(f"{fields.at('within')} goes with events at one time, not with what is running.")
    if predicate.low is not None and predicate.high is not None and predicate.low > predicate.high:
        raise InputError(f"{fields.at('value_min')} is {predicate.low:g}, above value_max {predicate.high:g}.")
    return predicate


def _within(fields: Fields, more: tuple[Place, ...] = ()) -> tuple[Any, int]:
    """Return where events count, one of three places or of ``more``, and how long after it."""
    tolerance = seconds_of(fields.take("tolerance"), fields.at("tolerance")) if "tolerance" in fields.content else 0
    return fields.choice("within", ("icu", "hospital", "ed", *more), None), tolerance


def _concepts(fields: Fields) -> tuple[str, ...]:
    """Return the concepts of a predicate: one, or ``{any: [one, other]}``."""
    value = fields.take("concept")
    names = value.get("any") if isinstance(value, dict) and value.keys() == {"any"} else [value]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"{fields.at('concept')} is {shown(value)}; write a name, or {{any: [one, other]}}.")
    return tuple(names)


def _items(fields: Fields) -> dict[str, tuple[int, ...]]:
    if not fields.content:
        raise InputError(f"{fields.where} is empty; write ids by table, such as {{labevents: [50912]}}.")
    items = {}
    for table in fields.content:
        ids = fields.take(table)
        ids = ids if isinstance(ids, list) else [ids]
        if not ids or not all(is_item_id(one) for one in ids):
            raise InputError(f"{fields.at(table)} is {shown(ids)}; write item ids, such as [50912].")
        items[table] = tuple(ids)
    return items


def _texts(fields: Fields, key: str) -> list[str]:
    value = fields.take(key)
    texts = value if isinstance(value, list) else [value]
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise InputError(f"{fields.at(key)} is {shown(value)}; write texts, numbers in quotes.")
    return [text.strip() for text in texts]


def _drugs(fields: Fields) -> tuple[str, ...]:
    parts = [text.lower() for text in _texts(fields, "drug_contains")]
    if short := next((part for part in parts if len(part) < SHORTEST_NAME), None):
        raise InputError(f"{fields.at('drug_contains')}: {shown(short)} is in too many names; write {SHORTEST_NAME} "
                         "letters at least.")  # fmt: skip
    return tuple(dict.fromkeys(parts))


def _where(fields: Fields) -> dict[str, str]:
    where = {}
    for column in fields.content:
        value = fields.take(column)
        if not isinstance(value, str):
            raise InputError(f"{fields.at(column)} is {shown(value)}; write a text, a number in quotes.")
        if column.lower() in where:
            raise InputError(f"{fields.at(column)} is there twice; capitals do not matter.")
        where[column.lower()] = value
    return where


def _codes(fields: Fields) -> dict[int, tuple[str, ...]]:
    """Return prefixes of codes by revision, in capitals and without a dot."""
    value = fields.take("icd")
    by_text = {str(revision): codes for revision, codes in value.items()} if isinstance(value, dict) else value
    inner = Fields.of(fields.at("icd"), by_text)
    codes = {int(revision): _prefixes(inner, revision) for revision in ("9", "10") if revision in inner.content}
    inner.take("9", None), inner.take("10", None)
    inner.done()
    if not any(codes.values()):
        raise InputError(
            f"{inner.where} is {shown(value)}; write prefixes of codes, such as {{9: ['584'], 10: [N17]}}."
        )
    return codes


def _prefixes(fields: Fields, revision: str) -> tuple[str, ...]:
    if fields.content[revision] == []:
        return ()
    prefixes = tuple(text.replace(".", "").upper() for text in _texts(fields, revision))
    wrong = [prefix for prefix in prefixes if not CODE.fullmatch(prefix)]
    if wrong:
        raise InputError(f"{fields.at(revision)}: {shown(wrong[0])} is no beginning of a code, such as N17.")
    return prefixes
