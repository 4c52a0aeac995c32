"""Sepsis by the third definition (Singer 2016): a suspected infection, and an organ that fails with it.

An infection is suspected where a culture is taken and an antibiotic ordered: the antibiotic within 72 hours of the
culture, or the culture within 24 hours of the antibiotic (Seymour 2016). The earliest culture of an antibiotic counts,
and the time is that of what came first. It is sepsis where SOFA reaches 2, from 0 before, between 48 hours before and
24 hours after that time. Where only the day of either is known, 3 days and 1 day stand for these hours.
"""

import polars as pl

from ..result_times import DAY_SECONDS, is_whole_day
from . import sofa
from .given import FRAME, HOUR, Given, Make, points
from .ingredients import named

ANTIBIOTIC, CULTURE = "antibiotic_ordered", "culture"
CULTURE_FIRST, ANTIBIOTIC_FIRST = 72 * HOUR, 24 * HOUR
"""How long after the one the other may come."""
DAYS_AFTER_CULTURE, DAYS_AFTER_ANTIBIOTIC = 3, 1
SOFA_BEFORE, SOFA_AFTER = 48 * HOUR, 24 * HOUR
ORGAN_FAILURE = 2
ONSETS = {
    "sofa": pl.col("failing"),
    "suspicion": pl.col("suspected"),
    "earlier": pl.min_horizontal("failing", "suspected"),
    "later": pl.max_horizontal("failing", "suspected"),
}
"""What the onset is: when SOFA reached 2, when the infection was suspected, or which of them came earlier or later."""

of_suspicion = named(ANTIBIOTIC, CULTURE)
of_sepsis = named(ANTIBIOTIC, CULTURE, *sofa.INGREDIENTS)


def _suspicions(given: Given) -> pl.DataFrame:
    """Return each suspected infection of a stay, up to its end: key, suspected, and known, when both were there."""
    antibiotics, cultures = (
        given.with_stay(given[name])
        .select("key", "stop", moment="known")
        .filter(pl.col("moment") <= pl.col("stop"))
        .select("key", "moment", day=pl.col("moment") // DAY_SECONDS, whole=is_whole_day(pl.col("moment")))
        .unique()
        for name in (ANTIBIOTIC, CULTURE)
    )
    exact, dated = (cultures.filter(pl.col("whole") == whole) for whole in (False, True))
    days = DAYS_AFTER_CULTURE, DAYS_AFTER_ANTIBIOTIC
    pairs = pl.concat([
        _pairs(antibiotics.filter(~pl.col("whole")), exact, "moment", CULTURE_FIRST, ANTIBIOTIC_FIRST),
        _pairs(antibiotics.filter(~pl.col("whole")), dated, "day", *days),
        _pairs(antibiotics.filter("whole"), cultures, "day", *days),
    ])  # fmt: skip
    known, suspected = pl.max_horizontal("antibiotic", "culture"), pl.min_horizontal("antibiotic", "culture")
    pairs = pairs.with_columns(known=known, suspected=suspected)
    earliest = pairs.sort("known", "culture").unique(["key", "antibiotic"], keep="first")
    return earliest.select("key", "suspected", "known").unique()


def _pairs(antibiotics: pl.DataFrame, cultures: pl.DataFrame, by: str, before: int, after: int) -> pl.DataFrame:
    """Return antibiotics with their earliest culture before and after: key, antibiotic, culture.

    Times are compared in the column ``by``: a culture up to ``before`` earlier, or up to ``after`` later.
    """
    taken = cultures.select("key", at=by, taken=by, culture="moment").sort("at", "culture")
    sooner = antibiotics.with_columns(at=pl.col(by) - before, latest=pl.col(by))
    later = antibiotics.with_columns(at=pl.col(by) + 1, latest=pl.col(by) + after)
    found = [
        wanted.sort("at").join_asof(taken, on="at", by="key", strategy="forward", check_sortedness=False)
        for wanted in (sooner, later)
    ]
    return pl.concat(found).filter(pl.col("taken") <= pl.col("latest")).select("key", "culture", antibiotic="moment")


def suspected_infection(given: Given) -> pl.DataFrame:
    """Return when infections were suspected, known when both an antibiotic and a culture were."""
    return _events(given.once(_suspicions), pl.col("suspected"))


def _sepsis(given: Given) -> pl.DataFrame:
    """Return each suspicion with the first hour of SOFA >= 2 around it: key, suspected, failing, known."""
    failing = given.once(sofa.sofa).filter(pl.col("value") >= ORGAN_FAILURE).select("key", at="time", failing="time")
    around = given.once(_suspicions).with_columns(at=pl.col("suspected") - SOFA_BEFORE).sort("at")
    first = around.join_asof(failing.sort("at"), on="at", by="key", strategy="forward", check_sortedness=False)
    first = first.filter(pl.col("failing") <= pl.col("suspected") + SOFA_AFTER)
    return first.select("key", "suspected", "failing", known=pl.max_horizontal("known", "failing"))


def sepsis_onset(onset: str) -> Make:
    """Return what makes the onsets of sepsis by one of :data:`ONSETS`.

    A stay has one for each suspicion; the first of them is its onset. It may be known only later.
    """

    def make(given: Given) -> pl.DataFrame:
        return _events(given.once(_sepsis), ONSETS[onset])

    return make


def _events(pairs: pl.DataFrame, time: pl.Expr) -> pl.DataFrame:
    """Return the times of pairs, each once, as the events of a score, known when the first that says so is."""
    known = pairs.select("key", "known", time=time).group_by("key", "time").agg(pl.col("known").min())
    once = points(known.with_columns(value=pl.lit(1.0))).drop("known")
    return once.join(known, on=["key", "time"], maintain_order="left").select(*FRAME)
