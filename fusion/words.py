"""Numbers and names as a reader sees them."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime

MISSING = "–"

SPACE = "\N{NO-BREAK SPACE}"
"""Keeps a number and what belongs to it on one line."""

LARGE = 1e7
"""From here on a number is written as a power of ten."""

PLAIN = str.maketrans({MISSING: "-", "−": "-", SPACE: " "})

READOUTS = {
    "fused": "all heads, each modality weighted",
    "joint": "the joint head alone",
    "weighted": "the weighted heads of the modalities, without the joint head",
    "mean": "the mean of the modalities' heads",
}
"""Ways to read a prediction off the heads of one model, in words; any other is called by its own name."""

AVAILABLE = "what is available"
"""What a combination of modalities is one of."""

ASPECTS = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "accuracy": "accuracy",
    "observed_expected": "observed / expected",
    "observed_minus_expected": "observed − expected",
    "bias": "predicted − measured",
}
"""What groups of patients are compared by beside the primary measure."""


def readout_words(name: str) -> str:
    """Return ``joint: the joint head alone``, or the bare name of a readout that is not known."""
    return f"{name}: {READOUTS[name]}" if name in READOUTS else name


def number(value: float | None, digits: int = 3, *, signed: bool = False) -> str:
    """Return a number with fixed decimals and a true minus sign (``signed``: a plus too); a dash for None and NaN.

    From ten millions on it is ``1.26e+28``.
    """
    if value is None or not math.isfinite(value):
        return MISSING
    form = f".{digits}f" if abs(value) < LARGE else ".2e"
    return f"{value:{'+' if signed else ''}{form}}".replace("-", "−")


def digits(value: float | None) -> int:
    """Return with how many decimals a number of any size has three significant digits, 6 at most."""
    if value is None or not math.isfinite(value) or value == 0:
        return 3
    return min(6, max(0, 2 - math.floor(math.log10(abs(value)))))


def plain(text: str) -> str:
    """Return text for a terminal: hyphens for dashes and minus signs, common spaces."""
    return text.translate(PLAIN)


def count(value: float | None) -> str:
    """Return a count with thousands separated; a dash for anything that is not a number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return MISSING
    return f"{round(value):,}"


def percent(part: float, whole: float, digits: int = 1) -> str:
    """Return ``14.5 %``; a dash where the whole is zero."""
    return f"{100 * part / whole:.{digits}f}{SPACE}%" if whole else MISSING


def day(moment: str) -> str:
    """Return ``30 November 2026, 17:53 UTC`` of a moment in ISO 8601; what is none stays as it is."""
    try:
        found = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    return f"{found.day} {found:%B %Y, %H:%M %Z}".rstrip()


def interval(bounds: Sequence[float | None] | None, digits: int = 3, missing: str = MISSING) -> str:
    """Return ``[0.790, 0.834]``; ``missing``, by default a dash, where a bound is unknown."""
    if bounds is None or any(bound is None for bound in bounds):
        return missing
    return f"[{f',{SPACE}'.join(number(bound, digits) for bound in bounds)}]"


def combination_words(name: str) -> str:
    """Return ``cxr + ehr`` of ``cxr+ehr``."""
    return together(name.split("+"))


def together(names: Iterable[str]) -> str:
    """Return ``cxr + ehr``, a combination of modalities."""
    return " + ".join(names)


def listing(names: Sequence[str]) -> str:
    """Return ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def plural(amount: int, noun: str) -> str:
    """Return ``1 fold`` or ``5 folds``."""
    return f"{count(amount)} {noun}" if amount == 1 else f"{count(amount)} {noun}s"
