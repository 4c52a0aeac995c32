"""Who the patients are and when they lie in the ICU: one row per stay, with the law's draw beside it."""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ...cache_schema.errors import InputError
from .law import MODALITIES, UNIFORMS, BoolArray, Draw, IntArray, Law, sample
from .people import describe_stays

Layout = Literal["mimic4", "mimic3"]
DROPPED = {
    "mimic4": ("short", "transfer", "first_of_two", "second_of_two"),
    "mimic3": ("short", "transfer", "first_of_two", "second_of_two", "minor"),
}
"""Kinds of stays that the cohort rules must drop (`short` from the 48 h task only); one of each per 100 stays."""
LATERAL_SHARE = 0.08
"""Lateral views per frontal image."""
FURTHER_SHARE = 0.1
"""Images of further studies per planted image, where the number of images is limited."""


@dataclass(frozen=True)
class SynthSettings:
    """What `write_cohort` writes."""

    stays: int = 500
    """ICU stays that the 48-hour cohort keeps; a few more are written to be dropped."""
    seed: int = 0
    layout: Layout = "mimic4"
    """``mimic4``: EHR, images and reports; ``mimic3``: EHR and notes, which show what the law calls ``rep``."""
    events_per_stay: int = 300
    """Mean rows of CHARTEVENTS per stay."""
    images: int | None = None
    """At most this many JPEG files; which stays keep their planted image is then drawn at random, and the law says how
    many do."""
    law: Law = field(default_factory=Law)
    ecg: bool = False
    """Whether electrocardiograms are written too, 120 kB each; for ``mimic4``."""
    release: Literal["2.2", "3.1"] = "2.2"
    """Of ``mimic4``: in 3.1 the table of stays does not tell in which unit a stay ended, but ``transfers`` does."""

    def __post_init__(self) -> None:
        if self.layout not in DROPPED:
            raise InputError(f"layout {self.layout!r} is unknown; choose one of {', '.join(DROPPED)}")
        if self.release != "2.2" and self.layout != "mimic4":
            raise InputError("--release is of MIMIC-IV: leave it out, or choose the layout mimic4.")
        if self.ecg and self.layout != "mimic4":
            raise InputError("Electrocardiograms are of MIMIC-IV: they are written with the layout mimic4 alone.")
        for name, least in (("stays", 10), ("events_per_stay", 20), ("images", 0), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"{name} is {value}; give at least {least}")


@dataclass(frozen=True)
class Cohort:
    """All stays of the raw tables, dropped ones included, sorted by subject and time of admission."""

    stays: pl.DataFrame
    """One row per ICU stay: ids, times, the patient, and whether events were charted."""
    draw: Draw
    """The law's draw of every row of `stays`."""
    law: Law
    """The settings' law with the share of images that a limit left."""


def plan_cohort(settings: SynthSettings, rng: np.random.Generator) -> Cohort:
    """Draw patients, stays, labels and planted statistics; nothing is written."""
    kinds = np.array(["cohort"] * settings.stays + list(DROPPED[settings.layout]) * max(1, round(settings.stays / 100)))
    law = settings.law if settings.layout == "mimic4" else settings.law.with_kept(cxr=0.0)
    draw = sample(law, rng.random((len(kinds), UNIFORMS)))
    # An own stream: a limit on the images changes nothing else.
    law, draw = _limit_images(law, draw, settings.images, rng.spawn(1)[0])
    died = draw.label & np.isin(kinds, ["cohort", "short"])
    stays = describe_stays(settings.layout, kinds, died, _patients(kinds, died, rng), rng)
    stays = stays.with_columns(has_events=draw.available[:, MODALITIES.index("ehr")])
    stays = stays.with_row_index("row").sort("subject_id", "intime")
    return Cohort(stays.drop("row"), draw.rows(stays["row"].to_numpy().astype(np.int64)), law)


def _limit_images(law: Law, draw: Draw, images: int | None, rng: np.random.Generator) -> tuple[Law, Draw]:
    """Keep the planted image of a uniformly drawn part of the stays: the limit is one more missing at random."""
    column = MODALITIES.index("cxr")
    having = np.flatnonzero(draw.available[:, column])
    room = len(having) if images is None else int(images / (1 + LATERAL_SHARE) / (1 + FURTHER_SHARE))
    if room >= len(having):
        return law, draw
    available = draw.available.copy()
    available[:, column] = False
    available[rng.choice(having, room, replace=False), column] = True
    return law.with_kept(cxr=room / len(having)), replace(draw, available=available)


def _patients(kinds: NDArray[np.str_], died: BoolArray, rng: np.random.Generator) -> IntArray:
    """Return the patient of each stay, [n].

    Some 15 % of the stays become earlier stays of the patient of another stay. Nobody is admitted after death, so
    earlier stays are survivors'; labels are never changed to make the story fit. A patient's number is the row of
    their last stay.
    """
    patient = np.arange(len(kinds))
    patient[kinds == "first_of_two"] = patient[kinds == "second_of_two"]
    own = np.flatnonzero(kinds == "cohort")
    earlier = rng.permutation(own[~died[own]])[: round(0.15 * len(own))]
    patient[earlier] = rng.choice(np.setdiff1d(own, earlier), len(earlier))
    return patient
