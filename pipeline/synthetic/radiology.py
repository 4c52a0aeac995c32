"""Which radiology studies are made of a stay, when, and what they show.

A stay has up to five studies, each with one frontal image, sometimes a lateral one, and a report. What the law plants
is shown by the last study of the first 48 hours alone: the one that the mortality task may use. The others are

- ``earlier`` in the 48 hours, only where the planted image or report is there: noise;
- ``later`` in the stay: the causes, and plainly who will die, as the end of a stay does; a method that sees them
  in the mortality task is better than the best possible;
- ``before`` admission to the unit, or ``after`` a survivor has left it: noise.
"""

import numpy as np
import polars as pl

from .cohort import LATERAL_SHARE, Cohort
from .law import MODALITIES, BoolArray, FloatArray
from .people import DAY, HOUR

FURTHER = (0.45, 0.25, 0.15, 0.1, 0.05)
"""Probability of 0, 1, 2, 3, 4 further studies."""
PERIODS = {"earlier": 0.35, "later": 0.45, "before": 0.1, "after": 0.1}
"""Probability of the period of a further study; where that cannot be, the study is not made."""
WINDOW = 48 * HOUR
OUTCOME = 2.0
"""How far a death moves both numbers of a later study up, and survival down."""
PA_SHARE = 0.25


def plan_studies(cohort: Cohort, images: int | None, rng: np.random.Generator) -> pl.DataFrame:
    """Return one row per study, in order of stay and time.

    Columns: row (of ``cohort.stays``), subject_id, study_id, period (``planted`` or one of `PERIODS`), taken (seconds
    since 1970), view, has_image, has_lateral, has_report (whether the file is there), and for ``cxr`` and ``rep``
    ``{name}_shared``, ``{name}_own``, ``{name}_sign``: what the image or report shows.

    Parameters
    ----------
    images: at most this many image files, of which those of the planted studies, which `cohort` has limited, come
        first.
    """
    studies = _when(cohort, rng)
    studies = studies.with_columns(
        study_id=50_000_000 + rng.choice(10_000_000, len(studies), replace=False),
        view=pl.Series(["AP", "PA"])[(rng.random(len(studies)) < PA_SHARE).astype(np.int64)],
        has_image=_has_file(cohort, studies, "cxr"),
        has_report=_has_file(cohort, studies, "rep"),
    )
    studies = studies.with_columns(
        pl.Series(f"{name}_{part}", values)
        for name in ("cxr", "rep")
        for part, values in zip(("shared", "own", "sign"), _shown(cohort, studies, name, rng).T, strict=True)
    )
    return _limit_images(studies, images, rng).sort("row", "taken", "study_id")


def _when(cohort: Cohort, rng: np.random.Generator) -> pl.DataFrame:
    """Return row, subject_id, period and taken of every study."""
    stays = cohort.stays.with_row_index("row").select(
        pl.col("row").cast(pl.Int64), "subject_id", "intime", "died", length=pl.col("outtime") - pl.col("intime"),
        planted_after=pl.Series(rng.integers(HOUR, WINDOW - HOUR, len(cohort.stays))),
        is_planted=pl.Series(cohort.draw.available[:, [MODALITIES.index("cxr"), MODALITIES.index("rep")]].any(axis=1)),
    )  # fmt: skip
    number = rng.choice(len(FURTHER), len(stays), p=FURTHER)
    further = stays[np.repeat(np.arange(len(stays)), number)]
    drawn = rng.choice(list(PERIODS), len(further), p=list(PERIODS.values()))
    studies = pl.concat(
        [
            stays.filter("is_planted").with_columns(period=pl.lit("planted")),
            further.with_columns(period=pl.Series(drawn)).filter(_is_possible()),
        ]
    )
    begin, end = (
        pl.coalesce(pl.when(pl.col("period") == period).then(limits[side]) for period, limits in _limits().items())
        for side in (0, 1)
    )
    place = pl.Series(rng.random(len(studies)))
    after = (begin + place * (end - begin)).floor().cast(pl.Int64)
    return studies.select("row", "subject_id", "period", taken=pl.col("intime") + after)


def _is_possible() -> pl.Expr:
    """Whether a further study can have been made in its period; nobody is examined after death."""
    period = pl.col("period")
    earlier = (period == "earlier") & pl.col("is_planted")
    later = (period == "later") & (pl.col("length") > WINDOW)
    return earlier | later | (period == "before") | ((period == "after") & ~pl.col("died"))


def _limits() -> dict[str, tuple[pl.Expr, pl.Expr]]:
    """Return the first second and the end of each period, counted from admission to the unit."""
    planted, length = pl.col("planted_after"), pl.col("length")
    return {
        "planted": (planted, planted),
        "earlier": (pl.lit(0), planted),
        "later": (pl.lit(WINDOW + 1), length),
        "before": (pl.lit(-3 * DAY), pl.lit(-HOUR)),
        "after": (length + HOUR, length + 5 * DAY),
    }


def _has_file(cohort: Cohort, studies: pl.DataFrame, name: str) -> BoolArray:
    """Whether the image or report of each study is there: in the 48 hours as the law says, otherwise always."""
    available = cohort.draw.available[studies["row"].to_numpy(), MODALITIES.index(name)]
    in_window = studies["period"].is_in(["planted", "earlier"]).to_numpy()
    return np.asarray(available | ~in_window)


def _shown(cohort: Cohort, studies: pl.DataFrame, name: str, rng: np.random.Generator) -> FloatArray:
    """Return the two numbers and the sign that image or report shows, [studies, 3]."""
    rows, column = studies["row"].to_numpy(), MODALITIES.index(name)
    signal, period = cohort.law.signals()[column], studies["period"].to_numpy()
    noise = rng.standard_normal((len(studies), 2))
    sign = np.where(signal.signed & (rng.random(len(studies)) < 0.5), -1.0, 1.0)
    planted, later = (period == "planted")[:, None], (period == "later")[:, None]
    causes = cohort.draw.latent[rows][:, [0, column + 1]]
    outcome = np.where(cohort.stays["died"].to_numpy()[rows], OUTCOME, -OUTCOME)[:, None]
    other = np.where(later, sign[:, None] * (causes + outcome + signal.noise * noise), noise)
    return np.column_stack(
        [
            np.where(planted, cohort.draw.statistic[rows, column], other),
            np.where(planted[:, 0], cohort.draw.sign[rows, column], sign),
        ]
    )


def _limit_images(studies: pl.DataFrame, images: int | None, rng: np.random.Generator) -> pl.DataFrame:
    """Choose the further studies that have an image file, then those with a lateral view, within the limit."""
    has_image, planted = studies["has_image"].to_numpy(), (studies["period"] == "planted").to_numpy()
    further = np.flatnonzero(has_image & ~planted)
    frontal = has_image & planted
    room = len(further) if images is None else int(images / (1 + LATERAL_SHARE)) - frontal.sum()
    frontal[rng.choice(further, int(np.clip(room, 0, len(further))), replace=False)] = True
    laterals = int(LATERAL_SHARE * frontal.sum())
    if images is not None:
        laterals = min(laterals, images - int(frontal.sum()))
    lateral = np.zeros_like(frontal)
    lateral[rng.choice(np.flatnonzero(frontal), laterals, replace=False)] = True
    return studies.with_columns(has_image=frontal, has_lateral=lateral)
