"""Lengths of time as people write them: ``30min``, ``12h``, ``7d``, ``1 day 6 hours``."""

import re

from .....cache_schema import InputError, shown

SECONDS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
    **dict.fromkeys(("w", "week", "weeks"), 604_800),
}
"""Seconds of each unit."""
UNEQUAL = {
    **dict.fromkeys(("mo", "month", "months"), "30d"),
    **dict.fromkeys(("y", "yr", "year", "years"), "365d"),
    "m": "30min",
}
"""Units that are not always equally long, or could be another one, and what to write instead."""
PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)")
LONGEST = 200 * 365 * 86_400
"""Seconds; no record lasts longer."""


def seconds_of(text: object, where: str) -> int:
    """Return a length of time in seconds; ``where`` names file and key.

    Raises
    ------
    InputError
        If it is none, of months or years, or no whole number of seconds.
    """
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"{where} is {shown(text)}; write a time such as 30min, 12h, 7d or 1 day 6 hours.")
    rest, total = text.strip(), 0.0
    while rest:
        part = PART.match(rest)
        unit = part[2].lower() if part else ""
        if unit in UNEQUAL:
            raise InputError(
                f"{where} is {shown(text)}: {unit!r} has no fixed length or is not clear; write {UNEQUAL[unit]}."
            )
        if part is None or unit not in SECONDS:
            raise InputError(f"{where} is {shown(text)}; write a time such as 30min, 12h, 7d or 1 day 6 hours.")
        total += float(part[1]) * SECONDS[unit]
        rest = rest[part.end() :].strip()
    if total != int(total) or total > LONGEST:
        raise InputError(f"{where} is {shown(text)}; it must be a whole number of seconds, of 200 years at most.")
    return int(total)
