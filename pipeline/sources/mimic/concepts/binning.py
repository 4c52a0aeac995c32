"""Concept events -> what a set of variables is in every bin of a stay.

What happened enters the row of the bin in which it was known, so that the rows up to any time hold nothing that was not
known by then. A rate counts in the bins in which it runs, as far as they end after it was known; an amount in those in
which it accrued; where its rate is not known, whole at its end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from .....cache_schema import Column
from ....series.aggregates import Observations, Summary, summarise
from ....series.bins import Floats, bin_count, inside
from ....series.event_block import portions
from ....series.intervals import cut, overlap
from ....series.ordering import order_by, packed, running_maximum
from ....series.rows import BinRows, bin_before_or_after
from ....source import Block
from .definitions import Aggregate, Concept
from .held import ENDS, one_end_at_a_time
from .reading import Available

CARRIED = ("numeric", "categorical")
NEVER = 1e6
"""Hours; longer than any stay."""
TIMES = ("time", "end", "known", "since", "open_end", "end_known", "gone")
OF_POINTS = ("subject_id", "concept", "time", "known", "value", "row", "only")
OF_INTERVALS = ("end", "spread", "open_end", "end_known", "ends")
"""Columns of events that are looked at."""


@dataclass(frozen=True)
class SetColumns:
    """Columns of a set: the values, then their masks.

    ``summaries`` ``[C]`` make the values; ``masks`` ``[M]`` are the values that have a mask of their own: of several
    levels the first.
    """

    columns: tuple[Column, ...]
    summaries: tuple[Summary, ...]
    masks: tuple[int, ...]

    @classmethod
    def of(cls, concepts: Sequence[Concept]) -> "SetColumns":
        """Return the columns of a set, in the order of its concepts.

        A concept with one aggregate is called by its name, one with several ``lactate:mean``; a level stands behind
        ``->``.
        """
        values: list[Column] = []
        masks: list[Column] = []
        summaries: list[Summary] = []
        masked: list[int] = []
        for series, concept in enumerate(concepts):
            for aggregate in concept.aggregates:
                name = concept.name if len(concept.aggregates) == 1 else f"{concept.name}:{aggregate}"
                masked.append(len(values))
                masks.append(Column(f"mask->{name}", "", name, "mask"))
                levels = concept.levels if aggregate in ("last", "any") else ()
                for level, word in enumerate(levels):
                    values.append(Column(f"{name}->{word}", "", name, "onehot"))
                    summaries.append(_summary(series, concept, aggregate, level))
                if not levels:
                    values.append(Column(name, _unit(concept, aggregate), name))
                    summaries.append(_summary(series, concept, aggregate, None))
        return cls((*values, *masks), tuple(summaries), tuple(masked))


def _summary(series: int, concept: Concept, aggregate: Aggregate, level: int | None) -> Summary:
    interval = concept.kind.startswith("interval")
    if aggregate == "time_since_last" or (aggregate == "last" and concept.kind in CARRIED):
        return Summary(series, aggregate, level, "carried")
    name = "sum" if interval and aggregate in ("mean", "sum") else aggregate
    return Summary(series, name, level, "zero" if interval or aggregate in ("any", "count") else "unknown")


def _unit(concept: Concept, aggregate: Aggregate) -> str:
    return {"any": "", "count": "", "time_since_last": "h"}.get(aggregate, concept.unit)


class SetBins:
    """Makes the rows of one set.

    Parameters
    ----------
    concepts
        Its concepts, numbered from ``first`` on in the events.
    stays
        sample (running number), stay_id, subject_id, intime, since (the first second that counts, null: any),
        los_hours; sorted by sample.
    available
        ``charttime``: a value is known at once.
    """

    def __init__(
        self, concepts: Sequence[Concept], first: int, stays: pl.DataFrame, bin_hours: float, available: Available
    ) -> None:
        self.made = SetColumns.of(concepts)
        self.numbers = range(first, first + len(concepts))
        numbered = list(zip(self.numbers, concepts, strict=True))
        self._intervals = [number for number, concept in numbered if concept.kind.startswith("interval")]
        self._rates = [number for number, concept in numbered if concept.kind == "interval-rate"]
        self._derived = [number for number, concept in numbered if concept.derived]
        self._stays, self._sample_ids = stays.drop("stay_id"), stays["stay_id"].to_numpy()
        self._bin_hours, self._at_once = bin_hours, available == "charttime"

    def blocks(self, events: pl.DataFrame) -> Iterator[Block]:
        """Yield the rows of the stays that have any of these events, which are all of some subjects."""
        looked_at = (*OF_POINTS, *(OF_INTERVALS if self._intervals else ()))
        mine = pl.col("concept").is_between(self.numbers.start, self.numbers.stop - 1)
        seen = self._observations(events.select(name for name in looked_at if name in events.columns).filter(mine))
        if seen.is_empty():
            return
        early = pl.col("bin").filter(pl.col("bin") < 0).n_unique()
        rows = seen.group_by("sample", maintain_order=True).agg(pl.col("bins").first() + early)["bins"]
        for samples, some in portions(seen, rows.to_numpy() * len(self.made.columns)):
            yield self._block(samples, some)

    def _block(self, samples: npt.NDArray[np.int64], seen: pl.DataFrame) -> Block:
        place = np.searchsorted(samples, seen["sample"].to_numpy())
        counts = seen.unique("sample", keep="first", maintain_order=True)["bins"].to_numpy()
        rows = BinRows.of(place, seen["bin"].to_numpy(), counts, self._bin_hours)
        observations = Observations(
            place, seen["bin"].to_numpy(), seen["concept"].to_numpy().astype(np.int64) - self.numbers.start,
            seen["value"].to_numpy(), seen["hours"].to_numpy(), seen["share"].to_numpy(), seen["newest"].to_numpy(),
        )  # fmt: skip
        values, masks = summarise(observations, rows, self.made.summaries)
        matrix = np.concatenate([values, masks[:, self.made.masks]], axis=1).astype(np.float32)  # [R, C + M]
        first = (seen.group_by("sample", maintain_order=True).agg(pl.col("bin").min())["bin"] + 1) * self._bin_hours
        ends = rows.ends.astype(np.float32)
        return Block(self._sample_ids[samples], rows.lengths, matrix, ends, first.cast(pl.Float64).to_numpy())

    def _observations(self, events: pl.DataFrame) -> pl.DataFrame:
        """Return sample, concept, bin, value, hours, share, newest, and the bins of the sample from t0 on."""
        if self._at_once:
            known = pl.when(pl.col("concept").is_in(self._derived)).then("known").otherwise("time")
            events = events.with_columns(known=known)
        if not self._intervals:
            return self._ordered(self._with_bins(self._whole(self._of_stays(events), pl.col("time"))))
        if self._at_once:
            events = events.with_columns(end_known=pl.lit(None, pl.Int64), ends=pl.lit(None, ENDS))
        joined = self._of_stays(one_end_at_a_time(events))
        interval = pl.col("concept").is_in(self._intervals) & pl.col("end").is_not_null()
        cut_up = interval & (pl.col("concept").is_in(self._rates) | pl.col("spread"))
        pieces = [
            self._whole(joined.filter(~interval), pl.col("time")),
            self._whole(joined.filter(interval & ~cut_up), pl.col("end")),
            self._cut(joined.filter(cut_up)),
        ]
        return self._ordered(self._with_bins(pl.concat(pieces)))

    def _of_stays(self, events: pl.DataFrame) -> pl.DataFrame:
        """Return the events of the subject of each stay, with their times in hours since its t0."""
        joined = events.join(self._stays, on="subject_id", maintain_order="left")
        if "only" in joined.columns:
            joined = joined.filter((pl.col("only") == pl.col("sample")).fill_null(True))
        times = [name for name in TIMES if name in joined.columns]
        return joined.with_columns((pl.col(name) - pl.col("intime")) / 3600 for name in times)

    def _with_bins(self, seen: pl.DataFrame) -> pl.DataFrame:
        """Add the bins of each sample from t0 on: those of its length, or where that is not known up to the last."""
        known = bin_count(seen["los_hours"].fill_null(np.nan).to_numpy(), self._bin_hours)
        seen = seen.with_columns(bins=pl.Series(known, dtype=pl.Int64))
        if not seen["los_hours"].has_nulls():
            return seen
        last = pl.col("bin").max().over("sample")
        return seen.with_columns(bins=pl.when(pl.col("los_hours").is_null()).then(last + 1).otherwise("bins"))

    def _ordered(self, seen: pl.DataFrame) -> pl.DataFrame:
        """Return what was seen in order of sample, concept, bin, hours and row, and what of it is ``newest``."""
        sample, concept, bins, hours, row = (
            seen[name].to_numpy() for name in ("sample", "concept", "bin", "hours", "row")
        )
        order = order_by(packed(sample, concept, bins), hours, row)
        newest = hours[order] >= running_maximum(hours[order], packed(sample, concept)[order])
        return seen.select(pl.all().gather(order)).with_columns(newest=newest)

    def _whole(self, events: pl.DataFrame, moment: pl.Expr) -> pl.DataFrame:
        """Return events that count whole: in the bin in which they were known, and by ``moment`` had happened."""
        events = events.with_columns(hours=moment, seen=pl.max_horizontal(moment, "known"))
        hours = events["seen"].to_numpy()
        counts = inside_or_before(hours, events["los_hours"])
        counts &= events.select((pl.col("hours") >= pl.col("since")).fill_null(True)).to_series()
        bins = pl.Series(bin_before_or_after(hours, self._bin_hours))
        return events.with_columns(bin=bins, share=pl.lit(1.0)).select(PIECE).filter(counts)

    def _cut(self, events: pl.DataFrame) -> pl.DataFrame:
        """Return the pieces of intervals: of rates with the part of the bin, of amounts that of the interval.

        In a bin in which the end was not known yet, a rate goes on; in one in which a sooner end was, it does not.
        """
        latest, since = pl.col("los_hours").fill_null(NEVER), pl.col("since")
        events = events.with_columns(
            start=pl.max_horizontal("time", since), stop=pl.min_horizontal("end", latest),
            open=pl.min_horizontal(pl.coalesce("open_end", "end"), latest), length=pl.col("end") - pl.col("time"),
        ).filter(pl.col("open") >= pl.col("start"))  # fmt: skip
        interval, bins = cut(events["start"].to_numpy(), events["open"].to_numpy(), self._bin_hours)
        pieces = events.select(pl.all().gather(interval)).with_columns(
            bin=pl.Series(bins),
            known_bin=self._bin(events["known"]).gather(interval),
            end_bin=self._bin(events["end_known"].fill_null(-NEVER)).gather(interval),
            gone_bin=self._bin(events["gone"].fill_null(NEVER)).gather(interval),
        )
        rate, going_on = pl.col("concept").is_in(self._rates), pl.col("bin") < pl.col("end_bin")
        instant = (pl.col("length") == 0) & pl.col("open_end").is_null()  # a rate that holds no time is none
        pieces = pieces.with_columns(stop=pl.when(going_on).then("open").otherwise("stop"))
        hours = overlap(pieces["start"].to_numpy(), pieces["stop"].to_numpy(), bins, self._bin_hours)
        pieces = pieces.with_columns(
            share=(pl.Series(hours) / pl.when(rate).then(self._bin_hours).otherwise("length")).fill_nan(0.0),
            hours=pl.min_horizontal("stop", (pl.col("bin") + 1) * self._bin_hours),
        ).filter((pl.col("share") > 0) | instant, ~rate | (pl.col("bin") >= pl.col("known_bin")))
        pieces = pieces.filter(pl.col("bin") < pl.col("gone_bin"))
        pieces = pieces.with_columns(bin=pl.max_horizontal("bin", "known_bin"))
        last = pl.Series(bin_count(pieces["los_hours"].fill_null(NEVER).to_numpy(), self._bin_hours))
        return pieces.filter(pl.col("bin") < last).select(PIECE)

    def _bin(self, hours: pl.Series) -> pl.Series:
        return pl.Series(bin_before_or_after(hours.to_numpy(), self._bin_hours))


PIECE = ("sample", "concept", "bin", "value", "hours", "share", "row", "los_hours")


def inside_or_before(hours: Floats, los_hours: pl.Series) -> pl.Series:
    """Return which times ``[n]`` lie before the end of their stays; all do where that is not known."""
    return pl.Series((hours < 0) | inside(hours, los_hours.fill_null(np.inf).to_numpy()))
