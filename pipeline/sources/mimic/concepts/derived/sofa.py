"""Sequential organ failure assessment (Vincent 1996), every hour: six parts, and the worst of each of a day, summed.

A part is what became known in its hour. What is not known counts 0, and `sofa_known` says how many parts are known.
"""

from collections.abc import Mapping

import polars as pl

from . import gcs, oxygenation, urine, vasopressors, ventilation
from .given import DAY, HOUR, Given, Make, above, at_least, below, graded, points
from .hours import of_parts, running_hours, worst_of_hours
from .ingredients import named

PRESSURES = ("abp_mean", "nbp_mean")
RATES = ("dopamine", "dobutamine", "epinephrine", "norepinephrine")
INGREDIENTS = tuple(dict.fromkeys((
    *oxygenation.OF_PF, *ventilation.INGREDIENTS, "platelets", "bilirubin_total", *PRESSURES, *RATES,
    gcs.EYES, gcs.WORDS, gcs.MOVEMENT, "creatinine_lab", *urine.INGREDIENTS,
)))  # fmt: skip
DOCUMENTED = (22, 30)
"""Hours of a day's urine that are enough, and not of more than a day."""
MEAN_PRESSURE = 70

of_sofa = named(*INGREDIENTS)
of_sofa_nee = named(*dict.fromkeys((*INGREDIENTS, *vasopressors.EQUIVALENT)))


def _respiration(given: Given) -> pl.DataFrame:
    """Return hours of P/F < 400, < 300; < 200 and < 100 count while ventilated alone, else as < 300."""
    spans = given.once(ventilation.ventilated).select("key", "time", "end").sort("time")
    ratios = given.once(oxygenation.pf_ratio).drop("end").sort("time")
    ratios = ratios.join_asof(spans, on="time", by="key", check_sortedness=False)
    ventilated = (pl.col("time") < pl.col("end")).fill_null(False)
    grades = {
        1: below("value", 400), 2: below("value", 300), 3: below("value", 200) & ventilated,
        4: below("value", 100) & ventilated,
    }  # fmt: skip
    return worst_of_hours(given, ratios, graded(grades))


def _coagulation(given: Given) -> pl.DataFrame:
    grades = {grade: below("value", limit) for grade, limit in ((1, 150), (2, 100), (3, 50), (4, 20))}
    return worst_of_hours(given, given["platelets"], graded(grades))


def _liver(given: Given) -> pl.DataFrame:
    grades = {grade: at_least("value", limit) for grade, limit in ((1, 1.2), (2, 2), (3, 6), (4, 12))}
    return worst_of_hours(given, given["bilirubin_total"], graded(grades))


GRADES_OF_RATES: Mapping[str, pl.Expr] = {
    "dopamine": graded({2: above("value", 0), 3: above("value", 5), 4: above("value", 15)}),
    "dobutamine": graded({2: above("value", 0)}),
    "epinephrine": graded({3: above("value", 0), 4: above("value", 0.1)}),
    "norepinephrine": graded({3: above("value", 0), 4: above("value", 0.1)}),
}


def _cardiovascular(given: Given) -> pl.DataFrame:
    """Return hours by mean pressure and by the rates that run; vasopressin and phenylephrine do not count."""
    rates = [running_hours(given, given[name], grade) for name, grade in GRADES_OF_RATES.items()]
    return pl.concat([_pressure(given), *rates])


def _cardiovascular_nee(given: Given) -> pl.DataFrame:
    """Return hours by mean pressure and by the norepinephrine equivalent of all vasopressors."""
    equivalent = given.once(vasopressors.norepinephrine_equivalent)
    return pl.concat([_pressure(given), running_hours(given, equivalent, GRADES_OF_RATES["norepinephrine"])])


def _pressure(given: Given) -> pl.DataFrame:
    pressures = pl.concat([given[name] for name in PRESSURES]).filter(pl.col("value") > 0)  # 0 is no reading
    return worst_of_hours(given, pressures, graded({1: below("value", MEAN_PRESSURE)}))


def _cns(given: Given) -> pl.DataFrame:
    grades = {grade: below("value", limit) for grade, limit in ((1, 15), (2, 13), (3, 10), (4, 6))}
    return worst_of_hours(given, given.once(gcs.gcs), graded(grades))


def _renal(given: Given) -> pl.DataFrame:
    """Return hours by creatinine, and by a day's urine once enough of it is documented."""
    grades = {grade: at_least("value", limit) for grade, limit in ((1, 1.2), (2, 2), (3, 3.5), (4, 5))}
    creatinine = worst_of_hours(given, given["creatinine_lab"], graded(grades))
    windows = given.once(urine.urine_windows).with_columns(known="time")
    day = pl.col("urine24") / pl.col("hours24") * (DAY / HOUR)
    enough = at_least("hours24", DOCUMENTED[0]) & ~above("hours24", DOCUMENTED[1]) & at_least("urine24", 0)
    scaled = windows.filter(enough).with_columns(value=day).drop("begin")
    output = worst_of_hours(given, scaled, graded({3: below("value", 500), 4: below("value", 200)}))
    return pl.concat([creatinine, output])


PARTS: Mapping[str, Make] = {
    "respiration": _respiration, "coagulation": _coagulation, "liver": _liver, "cardiovascular": _cardiovascular,
    "cns": _cns, "renal": _renal,
}  # fmt: skip
PARTS_NEE = {**PARTS, "cardiovascular": _cardiovascular_nee}


def _rows(given: Given) -> pl.DataFrame:
    return of_parts(given, PARTS)


def _rows_nee(given: Given) -> pl.DataFrame:
    return of_parts(given, PARTS_NEE)


def sofa(given: Given) -> pl.DataFrame:
    """Return the score at the end of every hour, 0 to 24."""
    return points(given.once(_rows), "total")


def sofa_nee(given: Given) -> pl.DataFrame:
    """Return the score with the norepinephrine equivalent as its cardiovascular part."""
    return points(given.once(_rows_nee), "total")


def sofa_known(given: Given) -> pl.DataFrame:
    """Return how many parts of the last 24 hours are known, 0 to 6."""
    return points(given.once(_rows), "known")


def sofa_part(name: str) -> Make:
    """Return what gives one part in the hours in which it is known, 0 to 4."""

    def part(given: Given) -> pl.DataFrame:
        return points(given.once(_rows).drop_nulls(name), name)

    return part
