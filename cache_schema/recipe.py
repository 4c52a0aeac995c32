"""Recipes and keys as canonical JSON: equal things have equal digests, and a difference can be read."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Recipe = dict[str, Any]
"""How rows are made, as nested JSON values (see :func:`canonical_json`)."""

READ_BYTES = 1 << 20


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, no NaN.

    Raises
    ------
    TypeError
        For anything that JSON does not know: a silent ``str()`` would make two different recipes equal.
    ValueError
        For NaN and infinite numbers.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """Return the sha256 of a value's canonical JSON, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def digest_file(path: Path) -> str:
    """Return the sha256 of a file's bytes, as 64 hexadecimal digits."""
    checksum = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            checksum.update(block)
    return checksum.hexdigest()


def difference(old: Any, new: Any, name: str = "") -> list[str]:
    """Return one readable line for each leaf in which two JSON values differ, such as ``bin_hours: 2.0 -> 1.0``."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        lines = []
        for key in sorted(old.keys() | new.keys()):
            inner = f"{name}.{key}" if name else str(key)
            lines += difference(old.get(key, "(absent)"), new.get(key, "(absent)"), inner)
        return lines
    if _is_list(old) and _is_list(new) and old != new:
        return [f"{name or 'value'}: {_list_difference(old, new)}"]
    return [] if old == new else [f"{name or 'value'}: {_short(old)} -> {_short(new)}"]


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _list_difference(old: Sequence[Any], new: Sequence[Any]) -> str:
    gone = [value for value in old if value not in new]
    come = [value for value in new if value not in old]
    if not gone and not come:
        return "same values in another order"
    parts = [f"{word} {_short(values)}" for word, values in (("without", gone), ("with", come)) if values]
    return ", ".join(parts)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
