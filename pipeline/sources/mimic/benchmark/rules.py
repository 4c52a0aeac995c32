"""What is done to a charted value, variable by variable: both profiles side by side.

A rule takes the number made so far (an expression over the events of one variable) and returns a better one; null means
that there is no usable value. The events have the columns ``value`` (text as charted), ``valuenum``, ``unit``, ``item``
(row of ``items()``) and ``text_subject``. Every rule is counted: how many values it changed.

``benchmark`` does what the published benchmark does, odd as it is: parity is its only purpose. ``clean`` says what
a clinician would mean; each of its rules can be switched off by name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import polars as pl

from ....source import LARGEST
from .variables import Variable, items

Profile = Literal["benchmark", "clean"]
Rule = Callable[[pl.Expr, Variable], pl.Expr]
TieOrder = Literal["number", "text", "score"]

KG_PER_LB = 0.453592
CM_PER_INCH = 2.54
OUNCES_PER_LB = 16
FAHRENHEIT_FROM = 79
"""No living patient is this warm in Celsius, and hardly any this cold in Fahrenheit."""
CELSIUS_BELOW = 50
"""A value below this in a Fahrenheit item was entered in Celsius."""

TEXT = pl.col("value")
UNIT = pl.col("unit").fill_null("").str.to_lowercase()
LABEL = pl.lit(items()["label"]).gather(pl.col("item"))
ITEM_UNIT = pl.lit(items()["item_unit"]).gather(pl.col("item"))


# ---- reading the text ----------------------------------------------------------------------------------------------


def number(_: pl.Expr, __: Variable) -> pl.Expr:
    """Read the text as a finite number; blanks around it do not matter."""
    return finite(TEXT.str.strip_chars().cast(pl.Float64, strict=False))


def plain_number(x: pl.Expr, variable: Variable) -> pl.Expr:
    """Read a number; where the subject's values are text, only digits with at most one point, without blanks."""
    plain = TEXT.str.contains(r"^(\d+\.?\d*|\.\d+)$")
    return pl.when(~pl.col("text_subject") | plain).then(number(x, variable))


def first_of_pair(x: pl.Expr, variable: Variable) -> pl.Expr:
    """Read the systolic of ``systolic/diastolic``, or a single number."""
    return pl.coalesce(_of_pair(1), number(x, variable))


def second_of_pair(x: pl.Expr, variable: Variable) -> pl.Expr:
    """Read the diastolic of ``systolic/diastolic``, or a single number."""
    return pl.coalesce(_of_pair(2), number(x, variable))


def _of_pair(group: int) -> pl.Expr:
    return TEXT.str.extract(r"^(\d+)/(\d+)$", group).cast(pl.Float64, strict=False)


def refill(_: pl.Expr, __: Variable) -> pl.Expr:
    """Read capillary refill: 0 normal, 1 delayed; any other text has no meaning."""
    slow = {"Normal <3 secs": 0.0, "Brisk": 0.0, "Abnormal >3 secs": 1.0, "Delayed": 1.0}
    return TEXT.replace_strict(slow, default=None, return_dtype=pl.Float64)


def exact_category(_: pl.Expr, variable: Variable) -> pl.Expr:
    """Find the category with exactly this spelling."""
    index = {name: float(i) for i, name in enumerate(variable.categories)}
    return TEXT.replace_strict(index, default=None, return_dtype=pl.Float64)


def one_spelling(_: pl.Expr, variable: Variable) -> pl.Expr:
    """Find the one category that stands for all spellings of the same finding, case and blanks aside."""
    kept = {
        name.lower(): float(variable.categories.index(meaning))
        for name, meaning in zip(variable.categories, variable.meanings, strict=True)
    }
    return TEXT.str.strip_chars().str.to_lowercase().replace_strict(kept, default=None, return_dtype=pl.Float64)


def finite(x: pl.Expr) -> pl.Expr:
    """Turn a number that is not finite, or too large for a cache, into null."""
    return pl.when(x.abs() <= LARGEST).then(x)


# ---- benchmark -----------------------------------------------------------------------------------------------------


def percent_unless_torr(x: pl.Expr, _: Variable) -> pl.Expr:
    """Divide by 100 unless the unit is torr, however small the value: 0.5 becomes 0.005."""
    return pl.when(UNIT.str.contains("torr", literal=True)).then(x).otherwise(x / 100)


def to_percent(x: pl.Expr, _: Variable) -> pl.Expr:
    """Take a saturation up to 1 as a fraction: to percent."""
    return pl.when(x <= 1).then(x * 100).otherwise(x)


def fahrenheit_by_size(x: pl.Expr, _: Variable) -> pl.Expr:
    """Take 79 and more as Fahrenheit, whatever item and unit say."""
    return pl.when(x >= FAHRENHEIT_FROM).then(_celsius(x)).otherwise(x)


def pounds_by_name(x: pl.Expr, _: Variable) -> pl.Expr:
    """Convert ounces and pounds to kilograms where unit or label name them."""
    ounces, pounds = _named("oz"), _named("lb")
    x = pl.when(ounces).then(x / OUNCES_PER_LB).otherwise(x)
    return pl.when(ounces | pounds).then(x * KG_PER_LB).otherwise(x)


def inches_by_name(x: pl.Expr, _: Variable) -> pl.Expr:
    """Convert inches to whole centimetres (half to even) where unit or label contain ``in``."""
    return pl.when(_named("in")).then((x * CM_PER_INCH).round(mode="half_to_even")).otherwise(x)


def _named(part: str) -> pl.Expr:
    return UNIT.str.contains(part, literal=True) | LABEL.str.contains(part, literal=True)


def _celsius(x: pl.Expr) -> pl.Expr:
    return (x - 32) * 5 / 9


# ---- clean ---------------------------------------------------------------------------------------------------------


def valuenum_for_text(x: pl.Expr, _: Variable) -> pl.Expr:
    """Take the number beside the text (VALUENUM) where the text is none (``___``, ``>500``)."""
    return pl.coalesce(x, finite(pl.col("valuenum")))


def percent_above_one(x: pl.Expr, _: Variable) -> pl.Expr:
    """Take an inspired oxygen above 1 as percent; torr is a mislabel."""
    return pl.when(x > 1).then(x / 100).otherwise(x)


def fahrenheit(x: pl.Expr, _: Variable) -> pl.Expr:
    """Convert Fahrenheit items and units, unless the value can only be Celsius, and any value of 79 and more."""
    named = (ITEM_UNIT == "F") | UNIT.str.contains(r"f$|fahrenheit")
    return pl.when((named & (x >= CELSIUS_BELOW)) | (x >= FAHRENHEIT_FROM)).then(_celsius(x)).otherwise(x)


def pounds(x: pl.Expr, _: Variable) -> pl.Expr:
    """Convert ounces and pounds to kilograms by item or unit."""
    ounces = (ITEM_UNIT == "oz") | UNIT.str.contains(r"\boz")
    pounds = (ITEM_UNIT == "lb") | UNIT.str.contains(r"\blb")
    return pl.when(ounces).then(x / OUNCES_PER_LB * KG_PER_LB).when(pounds).then(x * KG_PER_LB).otherwise(x)


def inches(x: pl.Expr, _: Variable) -> pl.Expr:
    """Convert inches to centimetres by item or unit."""
    return pl.when((ITEM_UNIT == "in") | UNIT.str.contains(r"\bin(ch|$)")).then(x * CM_PER_INCH).otherwise(x)


def remove_outliers(x: pl.Expr, variable: Variable) -> pl.Expr:
    """Remove values outside the outlier limits of the variable."""
    assert variable.limits is not None
    return pl.when(x.is_between(variable.limits.outlier_low, variable.limits.outlier_high)).then(x)


def cut_to_valid(x: pl.Expr, variable: Variable) -> pl.Expr:
    """Cut what remains to the valid limits of the variable."""
    assert variable.limits is not None
    return x.clip(variable.limits.valid_low, variable.limits.valid_high)


# ---- the table -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Treatment:
    """The rules of one variable, in order, and which of several values at one time is kept: the largest by ``ties``.

    ``text`` orders by text in a subject whose values are text (``98`` beats ``101``), by number in another.
    """

    rules: tuple[Rule, ...]
    ties: TieOrder = "number"


def does(*rules: Rule, ties: TieOrder = "number") -> Treatment:
    """Return a treatment of these rules."""
    return Treatment(rules, ties)


def keeps(read: Rule, *mend: Rule) -> Treatment:
    """Return the clean treatment of a quantity: read it, mend it, keep it within its limits."""
    return Treatment((read, valuenum_for_text, *mend, remove_outliers, cut_to_valid))


TREATMENTS: dict[str, tuple[Treatment, Treatment]] = {
    # variable                            benchmark                            clean
    "Capillary refill rate":              (does(refill),                       does(refill)),
    "Diastolic blood pressure":           (does(second_of_pair),               keeps(second_of_pair)),
    "Fraction inspired oxygen":           (does(number, percent_unless_torr),  keeps(number, percent_above_one)),
    "Glascow coma scale eye opening":     (does(exact_category, ties="text"),  does(one_spelling, ties="score")),
    "Glascow coma scale motor response":  (does(exact_category, ties="text"),  does(one_spelling, ties="score")),
    "Glascow coma scale total":           (does(exact_category, ties="text"),  does(one_spelling, ties="score")),
    "Glascow coma scale verbal response": (does(exact_category, ties="text"),  does(one_spelling, ties="score")),
    "Glucose":                            (does(plain_number),                 keeps(number)),
    "Heart Rate":                         (does(number, ties="text"),          keeps(number)),
    "Height":                             (does(number, inches_by_name),       keeps(number, inches)),
    "Mean blood pressure":                (does(number, ties="text"),          keeps(number)),
    "Oxygen saturation":                  (does(plain_number, to_percent),     keeps(number, to_percent)),
    "Respiratory rate":                   (does(number, ties="text"),          keeps(number)),
    "Systolic blood pressure":            (does(first_of_pair),                keeps(first_of_pair)),
    "Temperature":                        (does(number, fahrenheit_by_size),   keeps(number, fahrenheit)),
    "Weight":                             (does(number, pounds_by_name),       keeps(number, pounds)),
    "pH":                                 (does(plain_number),                 keeps(number)),
}  # fmt: skip

EVENT_RULES: dict[str, str] = {
    "drop_charted_errors": "Events that the table marks as charted in error are left out.",
    "blood_only": "Urine and other body fluids are not mixed into glucose and pH of blood.",
    "new_items": "Laboratory items that newer MIMIC-IV releases use are read too.",
    "stay_without_admission": "An event without HADM_ID that names its stay is kept.",
    "time_within_stay": "An event that names neither admission nor stay belongs to the stay in which it lies.",
    "own_stay_only": "An event counts for its own stay, not for every stay that shares its time.",
    "order_ties_by_number": "Of several values at one time the largest number or score is kept, not the largest text.",
    "units_from_transfers": "Where icustays says of no stay that it changed the unit, transfers does (MIMIC-IV 3.1).",
    "age_at_admission": "The age in MIMIC-IV is that at admission, not that in the anchor year.",
    "implausible_age": "The age of patients over 89 is 90, not 300.",
    "death_in_hospital": "Who died in hospital is what the admission says by time of death, flag and place of "
    "discharge; a date of death counts only where it says nothing.",
    "no_prediction_after_death": "Nothing is predicted for a patient who is dead by then.",
    "known_time_of_death": "A patient who died in hospital at an unknown time is not in the decompensation cohort.",
    "length_from_times": "An empty length of stay is taken from the times of the stay.",
    "code_with_version": "A diagnosis code is looked up in the ICD version that it is written in.",
    "all_icd10_codes": "Conditions have all their ICD-10 codes, not only those of the port to MIMIC-IV.",
}
"""Rules of the clean profile that act on whole events, stays or codes."""


def _value_rules() -> dict[str, str]:
    """Return the switchable rules of the table above, with the first line of their documentation."""
    used = {rule for _, clean in TREATMENTS.values() for rule in clean.rules[1:]} | {one_spelling}
    return {rule.__name__: _first_line(rule) for rule in sorted(used, key=lambda rule: rule.__name__)}


def _first_line(rule: Rule) -> str:
    """Return the first line of a rule's documentation, without the marks of code."""
    return (rule.__doc__ or "").split("\n")[0].replace("``", "")


CLEAN_RULES: dict[str, str] = {**_value_rules(), **EVENT_RULES}
"""Every rule of the clean profile that can be switched off, and what it does."""


CORRECTIONS: frozenset[str] = frozenset(
    {
        rule.__name__
        for treatments in TREATMENTS.values()
        for treatment in treatments
        for rule in treatment.rules[1:]
        if rule is not remove_outliers
    }
    | {"stay_without_admission", "time_within_stay", "length_from_times"}
    | {"units_from_transfers", "age_at_admission", "implausible_age", "death_in_hospital"}
)
"""Rules of both profiles that change a value or find what it belongs to: what they count was kept."""


def described(rule: Rule) -> str:
    """Return the name of a rule and what it does, for the quarantine."""
    return f"{rule.__name__}: {_first_line(rule).rstrip('.')}"


def described_by_name(rule: str) -> str:
    """Return the name of a rule on events, stays or codes and what it does, for the quarantine."""
    return f"{rule}: {EVENT_RULES[rule].rstrip('.')}"
