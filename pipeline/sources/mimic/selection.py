"""Which items of a modality the tasks see: what a user asks for, else the last ones."""

from collections.abc import Mapping, Sequence
from typing import Any

from ....cache_schema import InputError, unknown
from ....cache_schema.selection import CHOICES
from .note_tables import LAST_NOTES

Rules = Mapping[str, Mapping[str, Any]]


def parse_select(options: Sequence[str], modalities: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return rules by modality from texts such as ``cxr=all:8`` (the last eight, oldest first) or ``notes=first``.

    Raises
    ------
    InputError
        If a text is none of these, names a modality twice, or one without items.
    """
    rules: dict[str, dict[str, Any]] = {}
    for option in options:
        name, _, rule = option.partition("=")
        rows, colon, most = rule.partition(":")
        if rows not in CHOICES or (colon and not (most.isdecimal() and int(most))):
            raise InputError(
                f"--select {option!r}: write MODALITY=ROWS or MODALITY=ROWS:N, where ROWS is {', '.join(CHOICES)} "
                "and N how many of a sample, such as cxr=all:8 or notes=last:5."
            )
        if name not in modalities:
            raise InputError(f"--select {option!r}: {unknown('modality of items', name, modalities)}")
        if name in rules:
            raise InputError(f"--select {option!r}: {name} has a rule already; give it once.")
        rules[name] = {"rows": rows, **({"max": int(most)} if colon else {})}
    return rules


def with_rules(select: Rules, asked: Rules, modalities: Sequence[str], version: int) -> dict[str, Mapping[str, Any]]:
    """Return what a task selects: by itself, of other items the last ones, and in place of both what was asked for."""
    last: Rules = {"notes": {"rows": "last", "max": LAST_NOTES[version]}, "ecg": {"rows": "last"}}
    others = {name: rule for name, rule in last.items() if name in modalities and name not in select}
    return {**select, **others, **asked}
