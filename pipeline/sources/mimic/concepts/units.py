"""Units as the tables write them, and how a value in one becomes a value in another."""

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path

import polars as pl

RESOURCES = Path(str(files(__package__))) / "resources"

AS_IS = "as is"
ANY_UNIT = "*"
WEIGHT = "weight"
STEP = re.compile(r"\s*([x/+-])\s*(weight|-?\d+(?:\.\d+)?)")
RANGE = re.compile(r"(-?\d+(?:\.\d+)?)?\.\.(-?\d+(?:\.\d+)?)?")
PATIENT_WEIGHT = re.compile(r"patientweight (\d+(?:\.\d+)?)")
GRAMMAR = (
    "Write `WHEN: HOW`: WHEN is a unit, an item id, a range such as 0.2..1, `patientweight 1`, `*` for any unit, or "
    "several with ` & `; HOW is `as is`, or steps such as `x 1000`, `/ weight`, `- 32 / 1.8`."
)


@dataclass(frozen=True)
class Conversion:
    """One rule: of which values, and what becomes of them: ``value * scale * weight ** power + offset``.

    ``item``, ``unit`` (as :func:`plain_unit` gives it), the range ``low`` to ``high`` (both included) and
    ``patient_weight`` (of the row) are conditions; None: any. Of several rules the first that holds is taken.
    """

    item: int | None = None
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    patient_weight: float | None = None
    scale: float = 1.0
    offset: float = 0.0
    power: int = 0

    @property
    def conditional(self) -> bool:
        """Whether it depends on more than item and unit."""
        return not self.low is self.high is self.patient_weight is None


def parse_conversion(when: str, how: str) -> Conversion:
    """Return a rule from its two sides; raises ValueError saying what of them is not understood."""
    conditions: dict[str, int | float | str | None] = {}
    for part in (part.strip() for part in str(when).split("&")):
        found = _condition(part)
        if conditions.keys() & found.keys() or not part:
            raise ValueError(f"{when!r} is not understood. {GRAMMAR}")
        conditions |= found
    return Conversion(**conditions, **_steps(str(how)))  # type: ignore[arg-type]


def _condition(part: str) -> dict[str, int | float | str | None]:
    if part.isdecimal():
        return {"item": int(part)}
    if found := RANGE.fullmatch(part):
        low, high = (None if side is None else float(side) for side in found.groups())
        if low is not None and high is not None and low > high:
            raise ValueError(f"{part!r} begins after its end. {GRAMMAR}")
        return {"low": low, "high": high}
    if weight := PATIENT_WEIGHT.fullmatch(part):
        return {"patient_weight": float(weight[1])}
    return {"unit": part if part == ANY_UNIT else plain_unit(part)}


def _steps(how: str) -> dict[str, float | int]:
    scale, offset, power, place = 1.0, 0.0, 0, 0
    if how.strip() == AS_IS:
        return {}
    while place < len(how.rstrip()):
        step = STEP.match(how, place)
        if step is None:
            raise ValueError(f"{how!r} is not understood. {GRAMMAR}")
        sign, operand = step.groups()
        place = step.end()
        if operand == WEIGHT:
            if sign not in "x/" or offset:
                raise ValueError(f"{how!r}: a weight multiplies or divides, before anything is added. {GRAMMAR}")
            power += 1 if sign == "x" else -1
        elif sign in "+-":
            offset += float(operand) if sign == "+" else -float(operand)
        else:
            factor = _factor(sign, float(operand), how)
            scale, offset = scale * factor, offset * factor
    if not place or (power and offset):
        raise ValueError(f"{how!r} is not understood. {GRAMMAR}")
    return {"scale": scale, "offset": offset, "power": power}


def _factor(sign: str, number: float, how: str) -> float:
    if not number:
        raise ValueError(f"{how!r} multiplies or divides by 0. {GRAMMAR}")
    return number if sign == "x" else 1 / number


@cache
def _other_names() -> dict[str, str]:
    table = pl.read_csv((RESOURCES / "units.csv").read_bytes(), infer_schema=False).fill_null("")
    return dict(table.iter_rows())


@lru_cache(10_000)
def plain_unit(written: str) -> str:
    """Return the one spelling of a unit that is used to compare: ``mm Hg`` and ``MMHG`` are both ``mmhg``."""
    plain = written.strip().lower().replace(" ", "").replace("hour", "h").replace("hr", "h")
    return _other_names().get(plain, plain)


def rules_for(conversions: tuple[Conversion, ...], item: int, unit: str, own: str) -> list[Conversion]:
    """Return the rules for values of an item in a unit, in order; the last has no condition, or values may have none.

    No unit is the concept's ``own``; none of the rules: values in this unit cannot be converted.
    """
    plain = plain_unit(unit)
    rules = []
    for rule in conversions:
        if rule.item in (None, item) and rule.unit in (None, ANY_UNIT, plain):
            rules.append(rule)
            if not rule.conditional:
                return rules
    return [*rules, Conversion()] if plain in ("", plain_unit(own)) else rules


def rule_text(rule: Conversion) -> str:
    """Return a rule as one would write it."""
    bounds = ["" if bound is None else f"{bound:g}" for bound in (rule.low, rule.high)]
    conditions = [
        str(rule.item) if rule.item is not None else "",
        rule.unit or "",
        "..".join(bounds) if any(bounds) else "",
        f"patientweight {rule.patient_weight:g}" if rule.patient_weight is not None else "",
    ]
    steps = [f"x {rule.scale:g}"] if rule.scale != 1 else []
    steps += [f"{'x' if rule.power > 0 else '/'} {WEIGHT}"] * abs(rule.power)
    steps += [f"{'+' if rule.offset > 0 else '-'} {abs(rule.offset):g}"] if rule.offset else []
    return f"{' & '.join(filter(None, conditions))}: {' '.join(steps) or AS_IS}"
