"""Concepts that are made of others: one file a score, and the table of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..definitions import Concept, Version
from . import (
    anion_gap,
    charlson,
    gcs,
    kdigo,
    oxygenation,
    sepsis,
    shock_index,
    sirs,
    sofa,
    vasopressors,
    ventilation,
    weight,
)
from .given import BEFORE, Given, Make
from .ingredients import named

VERSION = 1
"""To be raised whenever the same ingredients would give other scores."""


@dataclass(frozen=True)
class Derived:
    """A concept made of the events of others.

    ``ingredients`` are those for a release. ``make`` returns key, time, end, known and value of what is
    :class:`.given.Given`, in order of key and time; the time is that at which the last ingredient was known. ``key`` is
    whose events they are: a stay's from ``before`` seconds before its t0 on, or all of a patient where that is None.
    ``coded``: it needs coded diagnoses. ``as_charted``: in tasks its intervals are as they were charted, and not as
    they were known.
    """

    name: str
    ingredients: Callable[[Version], tuple[Concept, ...]]
    make: Make
    before: int | None = None
    coded: bool = False
    as_charted: bool = False


_nothing = named()

DERIVED = {
    one.name: one
    for one in (
        *(Derived(f"sofa_{part}", sofa.of_sofa, sofa.sofa_part(part), BEFORE) for part in sofa.PARTS),
        Derived("sofa", sofa.of_sofa, sofa.sofa, BEFORE),
        Derived("sofa_known", sofa.of_sofa, sofa.sofa_known, BEFORE),
        Derived("sofa_nee", sofa.of_sofa_nee, sofa.sofa_nee, BEFORE),
        Derived("sirs", sirs.of_sirs, sirs.sirs, BEFORE),
        Derived("sirs_known", sirs.of_sirs, sirs.sirs_known, BEFORE),
        Derived("kdigo_creatinine_stage", kdigo.of_creatinine, kdigo.creatinine_stage, BEFORE),
        Derived("kdigo_urine_stage", kdigo.of_urine, kdigo.urine_stage, BEFORE),
        Derived("kdigo_stage", kdigo.of_all, kdigo.stage, BEFORE),
        Derived("charlson", _nothing, charlson.charlson, BEFORE, coded=True),
        Derived("charlson_admissions", _nothing, charlson.charlson_admissions, BEFORE, coded=True),
        Derived("pf_ratio", oxygenation.of_pf, oxygenation.pf_ratio),
        Derived("sf_ratio", oxygenation.of_sf, oxygenation.sf_ratio),
        Derived("shock_index", shock_index.of_shock_index, shock_index.shock_index),
        Derived("anion_gap_no_k", anion_gap.of_gap, anion_gap.without_potassium),
        Derived("anion_gap_corrected", anion_gap.of_corrected, anion_gap.corrected),
        Derived("norepinephrine_equivalent", vasopressors.of_equivalent, vasopressors.norepinephrine_equivalent),
        Derived("any_vasopressor", vasopressors.of_any, vasopressors.running, as_charted=True),
        Derived("ventilated", ventilation.of_ventilation, ventilation.ventilated),
        *(Derived(one.__name__, gcs.of_gcs, one) for one in (
            gcs.gcs, gcs.gcs_unable, gcs.gcs_eye_motor, gcs.gcs_normal, gcs.gcs_one,
        )),
        Derived("suspected_infection", sepsis.of_suspicion, sepsis.suspected_infection, BEFORE),
        Derived("sepsis3_onset", sepsis.of_sepsis, sepsis.sepsis_onset("sofa"), BEFORE),
        *(Derived(f"sepsis3_onset_{onset}", sepsis.of_sepsis, sepsis.sepsis_onset(onset), BEFORE)
          for onset in sepsis.ONSETS if onset != "sofa"),
        Derived("weight", weight.of_weight, weight.weight, BEFORE),
        Derived("weight_known", weight.of_weight, weight.weight_known, BEFORE),
    )
}  # fmt: skip


def derived_of(concepts: Iterable[Concept]) -> tuple[Derived, ...]:
    """Return how the scores among some concepts are made."""
    return tuple(DERIVED[concept.derived] for concept in concepts if concept.derived)


def ingredients_of(concepts: Iterable[Concept], version: Version) -> tuple[Concept, ...]:
    """Return the ingredients of the scores among some concepts, each once."""
    found = {one.name: one for score in derived_of(concepts) for one in score.ingredients(version)}
    return tuple(found.values())


__all__ = ["BEFORE", "DERIVED", "VERSION", "Derived", "Given", "Make", "derived_of", "ingredients_of"]
