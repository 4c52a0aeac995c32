"""Laboratory values beside the 17 variables, which show the planted statistic of the EHR: no more than that tells.

So a model of these values alone knows what one of ``ehr`` can know, and the best possible prediction from ``ehr`` is
also that from both. Rows of the same items that tell nothing are left out.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl

from .cohort import Cohort
from .events import LONGEST_DELAY, as_texts, round_times, values_of, when_measured
from .law import MODALITIES, IntArray
from .variables import Variable

FEWEST_ROUNDS = 6
EVENTS_OF_A_ROUND = 100
"""Rows of CHARTEVENTS for each round of these values, where a stay has many."""

LABORATORY = {
    50813: ("mmol/L", 1, Variable(2.2, noise=0.4, low=0.4, high=20, rate=0.5, person=0.5, level=0.7, drift=0.7)),
    51006: ("mg/dL", 0, Variable(26, noise=3, low=3, high=180, rate=0.9, person=9, level=5)),
    50882: ("mEq/L", 0, Variable(24, noise=1.5, low=5, high=45, rate=0.9, person=2, level=-1.2, drift=-1.2)),
    51301: ("K/uL", 1, Variable(11, noise=1.5, low=0.1, high=80, rate=0.8, person=3, level=1.5)),
    51265: ("K/uL", 0, Variable(200, noise=12, low=5, high=900, rate=0.8, person=60, drift=-25)),
    50885: ("mg/dL", 1, Variable(1.1, noise=0.2, low=0.1, high=40, rate=0.3, person=0.4, drift=0.3)),
}
"""Item of lactate, urea nitrogen, bicarbonate, white cells, platelets and bilirubin: unit, decimals, how it varies."""


def with_laboratory(
    frames: Iterable[pl.DataFrame], cohort: Cohort, per_stay: int, rng: np.random.Generator
) -> Iterator[pl.DataFrame]:
    """Yield the blocks of LABEVENTS with the rows of these items, in order of stay and time.

    ``per_stay`` are the rows of CHARTEVENTS of a stay.
    """
    rounds = max(FEWEST_ROUNDS, per_stay // EVENTS_OF_A_ROUND)
    places = cohort.stays.select("stay_id", pl.int_range(pl.len()).alias("place"))
    for frame in frames:
        rows = places.filter(pl.col("stay_id").is_in(frame["stay_id"].unique().implode()))["place"].to_numpy()
        others = frame.filter(~pl.col("itemid").is_in(list(LABORATORY)))
        both = pl.concat([others, _rows(cohort, rows, rounds, rng)], how="diagonal_relaxed")
        yield both.join(places, on="stay_id").sort("place", "charttime", maintain_order=True).drop("place")


def _rows(cohort: Cohort, rows: IntArray, rounds: int, rng: np.random.Generator) -> pl.DataFrame:
    """Return the rows of some stays, by their places in the cohort."""
    stays = cohort.stays[rows]
    after = round_times((stays["outtime"] - stays["intime"]).to_numpy(), rounds, rng)  # [stays, rounds]
    statistic = cohort.draw.statistic[rows, MODALITIES.index("ehr")]  # [stays, 2]
    parts = []
    for item, (unit, decimals, variable) in LABORATORY.items():
        person = rng.standard_normal(len(stays))
        stay, turn = when_measured(variable.rate, after.shape, rng)
        seconds = after[stay, turn]
        values = values_of(variable, person[stay], statistic[stay], seconds, rng)
        value, number = as_texts(values, decimals, None)
        charted = -(-(stays["intime"].to_numpy()[stay] + seconds) // 60) * 60
        parts.append(
            stays.select("subject_id", "hadm_id", "stay_id")[stay].with_columns(
                itemid=pl.lit(item, pl.Int32), value=value, valuenum=number, valueuom=pl.lit(unit),
                charttime=pl.Series(charted),
                storetime=pl.Series(charted + rng.integers(10, LONGEST_DELAY // 60, len(stay)) * 60),
            )
        )  # fmt: skip
    return pl.concat(parts)
