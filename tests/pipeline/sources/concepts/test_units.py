"""Rules of conversion: what is written, and what becomes of a value."""

import pytest
from omnifuse.pipeline.sources.mimic.concepts.units import Conversion, parse_conversion, plain_unit, rules_for


@pytest.mark.parametrize(
    ("when", "how", "rule"),
    [
        ("mg/dL", "x 10", Conversion(unit="mg/dl", scale=10)),
        ("226531", "as is", Conversion(item=226531)),
        ("0.2..1", "x 100", Conversion(low=0.2, high=1, scale=100)),
        ("..0.2", "x 60", Conversion(high=0.2, scale=60)),
        ("30051 & ..0.2", "x 60", Conversion(item=30051, high=0.2, scale=60)),
        ("mg/kg/min & patientweight 1", "as is", Conversion(unit="mg/kg/min", patient_weight=1)),
        ("mcg/min", "/ weight", Conversion(unit="mcg/min", power=-1)),
        ("mg/h", "/ weight x 1000 / 50", Conversion(unit="mg/h", scale=20, power=-1)),
        ("F", "- 32 / 2", Conversion(unit="f", scale=0.5, offset=-16)),
        ("*", "as is", Conversion(unit="*")),
    ],
)
def test_a_rule(when: str, how: str, rule: Conversion) -> None:
    assert parse_conversion(when, how) == rule


@pytest.mark.parametrize(
    ("when", "how"),
    [("mg", "10"), ("mg", "x"), ("mg", ""), ("mg", "x 0"), ("mg", "/ 0"), ("mg", "+ weight"), ("mg", "+ 1 x weight"),
     ("mg", "x weight + 1"), ("mg & g", "x 1"), ("mg &", "x 1"), ("1 & 2", "as is"), ("mg", "x 10; rm"), ("", "x 1")],
)  # fmt: skip
def test_what_is_no_rule_is_refused_with_the_grammar(when: str, how: str) -> None:
    with pytest.raises(ValueError, match=r"not understood|by 0|a weight multiplies") as refused:
        parse_conversion(when, how)
    assert "WHEN: HOW" in str(refused.value)


@pytest.mark.parametrize(
    ("written", "plain"),
    [("mm Hg", "mmhg"), ("MMHG", "mmhg"), ("mcgkgmin", "mcg/kg/min"), ("mL/hour", "ml/h"), ("cc/hr", "ml/h"),
     ("SECONDS", "s"), ("Uhr", "units/h"), ("mEq/L", "meq/l"), ("", "")],
)  # fmt: skip
def test_units_have_one_spelling(written: str, plain: str) -> None:
    assert plain_unit(written) == plain


def test_the_first_rule_that_holds_is_taken_and_the_own_unit_needs_none() -> None:
    item, unit = parse_conversion("7", "x 2"), parse_conversion("mg", "x 3")
    assert rules_for((item, unit), 7, "mg", "g") == [item]
    assert rules_for((item, unit), 8, "mg", "g") == [unit]
    assert rules_for((item, unit), 8, "G", "g") == [Conversion()]
    assert rules_for((item, unit), 8, "", "g") == [Conversion()]
    assert rules_for((item, unit), 8, "mol", "g") == []


def test_a_range_leaves_other_values_to_the_next_rule() -> None:
    fraction = parse_conversion("0..1", "x 100")
    assert rules_for((fraction,), 7, "%", "%") == [fraction, Conversion()]
    assert rules_for((fraction,), 7, "torr", "%") == [fraction]
