"""Charted values: what the EHR modality shows of its planted statistic.

The shared number of the statistic moves the level of heart rate, respiratory rate and oxygen saturation; the own
number makes blood pressure and temperature rise or fall over the first 48 hours. Everything else – the person's own
baseline, measurement noise, when and how often something is measured – is independent of the label. Which items are
charted how often is decided in `charting`.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from .charting import Charting, OtherItem, plan_charting
from .cohort import Cohort
from .law import MODALITIES, FloatArray, IntArray
from .people import HOUR
from .variables import TEXTS, VARIABLES, Item, Variable

ROWS_AT_ONCE = 400_000
"""Chart rows made in one block; bounds memory whatever the size of the cohort."""
WINDOW = 48 * HOUR
LONGEST_DELAY = 40 * 60
"""Seconds between a value being charted and stored, at most."""
UNUSABLE = 1e-4
"""Share of chart rows that hold text instead of the number, or an impossible number."""


def chart_events(cohort: Cohort, layout: str, per_stay: int, rng: np.random.Generator) -> Iterator[pl.DataFrame]:
    """Yield CHARTEVENTS in blocks of stays, about `per_stay` rows per stay; see `_events` for the columns."""
    for frame in _events(cohort, plan_charting(layout, "chart", per_stay), per_stay, rng):
        yield _spoil(frame, rng)


def lab_events(cohort: Cohort, layout: str, per_stay: int, rng: np.random.Generator) -> Iterator[pl.DataFrame]:
    """Yield LABEVENTS in blocks of stays; some have no admission, some a masked value."""
    for frame in _events(cohort, plan_charting(layout, "lab", per_stay), per_stay, rng):
        outpatient, masked = (pl.Series(rng.random(len(frame)) < share) for share in (0.05, 0.01))
        yield frame.with_columns(
            hadm_id=pl.when(~outpatient).then("hadm_id"),
            value=pl.when(masked).then(pl.lit("___")).otherwise("value"),
            comments=pl.when(masked).then(pl.lit("___")),
        )


def output_events(cohort: Cohort, layout: str, per_stay: int, rng: np.random.Generator) -> Iterator[pl.DataFrame]:
    """Yield OUTPUTEVENTS in blocks of stays."""
    return _events(cohort, plan_charting(layout, "output", per_stay), per_stay, rng)


def _events(cohort: Cohort, charting: Charting, per_stay: int, rng: np.random.Generator) -> Iterator[pl.DataFrame]:
    """Yield the events of some stays at a time, sorted by stay and time; `per_stay` decides how many stays.

    Columns: subject_id, hadm_id, stay_id, charttime and storetime (seconds since 1970), itemid, value (text),
    valuenum (text of a number), valueuom.
    """
    rows = np.flatnonzero(cohort.stays["has_events"].to_numpy())
    size = max(1, ROWS_AT_ONCE // per_stay)
    for start in range(0, len(rows), size):
        yield _events_of(cohort, rows[start : start + size], charting, rng)


def _events_of(cohort: Cohort, block: IntArray, charting: Charting, rng: np.random.Generator) -> pl.DataFrame:
    """Return the events of the stays in some rows of the cohort."""
    stays = cohort.stays[block]
    length = (stays["outtime"] - stays["intime"]).to_numpy()
    after = round_times(length, charting.rounds, rng)  # [stays, rounds]
    statistic = cohort.draw.statistic[block, MODALITIES.index("ehr")]
    parts = [*_rows_of_variables(charting, after, statistic, rng), *_rows_of_others(charting, after, rng)]
    frame = pl.concat(parts).sort("stay", "seconds", "itemid", maintain_order=True)
    ids = stays.select("subject_id", "hadm_id", "stay_id", "intime")[frame["stay"]]
    charted = -(-(ids["intime"] + frame["seconds"]) // 60) * 60  # the next whole minute
    delay = pl.Series(rng.integers(0, LONGEST_DELAY // 60, len(frame)) * 60)
    shown = frame.drop("stay", "seconds").get_columns()
    return ids.drop("intime").with_columns(*shown, charttime=charted, storetime=charted + delay)


def _rows_of_variables(
    charting: Charting, after: IntArray, statistic: FloatArray, rng: np.random.Generator
) -> Iterator[pl.DataFrame]:
    """Yield the rows of each item, for rounds at seconds `after` [stays, rounds] and planted statistics [stays, 2]."""
    device = rng.random(after.shape)  # one choice per round, so that e.g. the three arterial pressures go together
    persons: dict[str, FloatArray] = {}
    for name, rate in charting.rates.items():
        variable = VARIABLES[name]
        person = persons.setdefault(variable.trait or name, rng.standard_normal(len(after)))
        stay, turn = when_measured(rate, after.shape, rng)
        seconds = after[stay, turn]
        value = values_of(variable, person[stay], statistic[stay], seconds, rng)
        ways = [item for item in charting.items if item.variable == name]
        way = np.searchsorted(np.cumsum([item.share for item in ways[:-1]]), device[stay, turn])
        for number, item in enumerate(ways):
            chosen = way == number
            shown = value[chosen] * item.scale + item.offset
            texts = TEXTS.get(name, {}).get(item.layout)
            yield _rows(item, stay[chosen], seconds[chosen], *as_texts(shown, item.decimals, texts))


def _rows_of_others(charting: Charting, after: IntArray, rng: np.random.Generator) -> Iterator[pl.DataFrame]:
    """Yield the rows of each other item; nothing tells its values, and of its texts the first are the most frequent."""
    for item in charting.others if charting.frequency else ():
        stay, turn = when_measured(charting.frequency * item.rate, after.shape, rng)
        if item.texts:
            which = (rng.random(len(stay)) ** 2 * len(item.texts)).astype(np.uint32)
            value, number = pl.Series(item.texts)[which], pl.repeat(None, len(stay), dtype=pl.String, eager=True)
        else:
            value, number = as_texts(
                np.abs(item.mean + item.noise * rng.standard_normal(len(stay))), item.decimals, None
            )
        yield _rows(item, stay, after[stay, turn], value, number)


def round_times(length: IntArray, rounds: int, rng: np.random.Generator) -> IntArray:
    """Return seconds since ICU admission of every round, [stays, rounds], ascending.

    At least half of the rounds lie in the first 48 hours, however long the stay.
    """
    early_end = np.minimum(length, WINDOW)[:, None]
    early_share = np.maximum(early_end / length[:, None], 0.5)
    place = (np.arange(rounds) + rng.random((len(length), rounds))) / rounds  # in (0, 1)
    early = place / early_share * early_end
    speed = (length[:, None] - early_end) / np.maximum(1 - early_share, 1e-9)
    return np.where(place < early_share, early, early_end + (place - early_share) * speed).astype(np.int64)


def when_measured(rate: float, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Return (stay, round) of every measurement."""
    if rate == 0:
        return np.arange(shape[0]), np.zeros(shape[0], dtype=np.int64)
    stay, turn = np.nonzero(rng.random(shape, dtype=np.float32) < rate)
    return stay, turn


def values_of(
    variable: Variable, person: FloatArray, statistic: FloatArray, seconds: IntArray, rng: np.random.Generator
) -> FloatArray:
    """Return the values of one variable, one per measurement; see `Variable` for the formula."""
    ramp = np.clip(seconds / (WINDOW / 2) - 1, -1, 1)
    value = variable.mean + variable.person * person + variable.noise * rng.standard_normal(len(seconds))
    value += variable.level * statistic[:, 0] + variable.drift * statistic[:, 1] * ramp
    return np.clip(value, variable.low, variable.high)


def as_texts(value: FloatArray, decimals: int, texts: tuple[str, ...] | None) -> tuple[pl.Series, pl.Series]:
    """Return values as texts, as the raw tables have them: of the value, or its category, and of the number."""
    rounded = pl.Series(value).round(decimals)
    number = (rounded if decimals else rounded.cast(pl.Int64)).cast(pl.String)
    return (number if texts is None else pl.Series(texts)[(rounded - 1).cast(pl.UInt32)]), number


def _rows(
    item: Item | OtherItem, stay: IntArray, seconds: IntArray, value: pl.Series, number: pl.Series
) -> pl.DataFrame:
    """Return the rows of one item."""
    return pl.DataFrame(
        {
            "stay": stay,
            "seconds": seconds,
            "itemid": pl.repeat(item.itemid, len(stay), dtype=pl.Int32, eager=True),
            "value": value,
            "valuenum": number,
            "valueuom": pl.repeat(item.unit or None, len(stay), dtype=pl.String, eager=True),
        }
    )


def _spoil(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Replace a few values by what real tables hold: text in place of a number, or an impossible number."""
    spoiled = pl.Series(rng.random(len(frame)) < UNUSABLE)
    is_text = pl.Series(rng.random(len(frame)) < 0.5)
    number = pl.when(is_text).then(None).otherwise(pl.lit("9999"))
    return frame.with_columns(
        value=pl.when(spoiled).then(number.fill_null("ERROR")).otherwise("value"),
        valuenum=pl.when(spoiled).then(number).otherwise("valuenum"),
    )
