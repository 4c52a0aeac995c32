"""Glasgow coma scale: the sum of the latest eyes, words and movement of 6 hours, by three rules for who has a tube.

``exclude`` (the usual one here): no sum, as words cannot be tried; ``normal``: 15, what is not known is well (MIMIC
code; what is missing counts as normal too); ``one``: words count 1, as the benchmark's 17 variables have it.
"""

import polars as pl

from .given import HOUR, Given, points
from .ingredients import UNABLE, named
from .latest import side_by_side

EYES, WORDS, MOVEMENT = "gcs_eye", "gcs_verbal_or_tube", "gcs_motor"
NORMAL = {EYES: 4, WORDS: 5, MOVEMENT: 6}
LOOK_BACK = 6 * HOUR
of_gcs = named(EYES, WORDS, MOVEMENT)


def _parts(given: Given) -> pl.DataFrame:
    return side_by_side({name: given[name] for name in NORMAL}, LOOK_BACK)


_TUBE = (pl.col(WORDS) == UNABLE).fill_null(False)
_SUM = pl.col(EYES) + pl.col(WORDS) + pl.col(MOVEMENT)


def gcs(given: Given) -> pl.DataFrame:
    """Return the sum of all three, 3 to 15; none for who has a tube."""
    return points(given.once(_parts).filter(~_TUBE).with_columns(value=_SUM).drop_nulls("value"))


def gcs_unable(given: Given) -> pl.DataFrame:
    """Return whether words cannot be tried for a tube: 1 or 0."""
    return points(given.once(_parts).drop_nulls(WORDS), _TUBE)


def gcs_eye_motor(given: Given) -> pl.DataFrame:
    """Return the sum of eyes and movement, 2 to 10, whatever can be said of words."""
    both = given.once(_parts).with_columns(value=pl.col(EYES) + pl.col(MOVEMENT))
    return points(both.drop_nulls("value"))


def gcs_normal(given: Given) -> pl.DataFrame:
    """Return the sum with 15 for who has a tube, and the best of what was not charted for 6 hours."""
    filled = given.once(_parts).with_columns(
        tube=_TUBE, **{name: pl.col(name).fill_null(best) for name, best in NORMAL.items()}
    )
    return points(filled, pl.when("tube").then(sum(NORMAL.values())).otherwise(_SUM))


def gcs_one(given: Given) -> pl.DataFrame:
    """Return the sum with 1 for the words of who has a tube."""
    told = given.once(_parts).with_columns(pl.when(_TUBE).then(1.0).otherwise(WORDS).alias(WORDS))
    return points(told.with_columns(value=_SUM).drop_nulls("value"))
