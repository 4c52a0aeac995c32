"""Rows of a table of events -> values of concepts in their units, or why a row has none."""

import polars as pl

from ....series.times import seconds
from .conversion import convert
from .definitions import MISSING, Concept
from .event_tables import STOPPED, EventTable
from .pairs import conditions, paired
from .result_times import end_of_day, until_result
from .units import plain_unit

SECONDS_PER_HOUR = 3600
LIMIT = r"(?i)^\s*(<|>|less than|greater than)\s*=?\s*(\d*\.?\d+)"
"""A value below or above what an assay can measure."""
FEWEST_KG, MOST_KG = 20.0, 500.0

NOT_GIVEN = "not given: held, stopped, refused or only checked"
MARKED = "marked as an error, or rewritten"
NO_TIME = "the time cannot be read"
REVERSED = "it ends before it begins"
NO_VALUE = "no value"
NO_RATE = "no rate: a push, or an amount alone"
NO_LEVEL = "none of its levels"
SAID_MISSING = "the text says that there is no value"
OUTSIDE = "outside its limits"
"""Why a row is left out."""

HALF = "assay_limit_low: half of the limit where the value is below it, such as <0.01"
WHOLE = "assay_limit_high: the limit where the value is above it, such as >150"
DEFAULT_KG = "default_weight: 80 kg where no weight is known"
MENDED = frozenset(reason.partition(":")[0] for reason in (HALF, WHOLE, DEFAULT_KG))
"""What was done to values that are kept."""


def within_limits(value: pl.Expr) -> pl.Expr:
    """Return whether values lie between ``low`` and ``high``, both included; null is no limit."""
    return (value >= pl.col("low")).fill_null(True) & (value <= pl.col("high")).fill_null(True)


class RowReader:
    """Reads the rows of one file of events.

    ``concepts`` are those with items in it, by number; ``pairs`` as :func:`pairs_of` gives them; ``storetime``: a value
    is known when it was stored.
    """

    def __init__(
        self, table: EventTable, concepts: dict[int, Concept], pairs: pl.DataFrame, *, storetime: bool
    ) -> None:
        self.table, self.concepts, self.pairs, self.storetime = table, concepts, pairs, storetime
        kinds = {concept.kind for concept in concepts.values()}
        self.numbers = bool(kinds - {"categorical"})
        self.amounts = "interval-amount" in kinds and table.end is not None
        self.texts = _texts(concepts)

    @property
    def columns(self) -> list[str]:
        """Columns that are read as text."""
        table = self.table
        names = [table.start, table.else_start, table.end, "storetime", table.number, table.stopped, *table.wrong]
        names += [table.names, *table.given, *(["storedate"] if table.asked else [])]
        for concept in self.concepts.values():
            names += [*table.columns_of(concept.kind), *concept.where, *concept.without]
        names += ["patientweight"] if table.values else []
        names += ["rate", "rateuom"] if self.amounts else []
        return list(dict.fromkeys(name for name in names if name))

    @property
    def times(self) -> list[str]:
        """Columns of dates and times that are looked at."""
        table = self.table
        names = [table.start, table.else_start, table.end, "storetime" if self.storetime or table.asked else None]
        return [name for name in names if name]

    def read(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Return for each row and concept: concept, pair, time, end, known, value, power, kg, spread, hold, problem.

        ``value`` has still to be multiplied by the weight to the ``power``; ``kg`` is the weight of the row. An amount
        that is ``spread`` accrues evenly. A rate to ``hold`` goes on until the next row. ``limit`` is -1 below and 1
        above the limit of an assay. And what the file has of stay_id, hadm_id, row, and the text of the value.
        """
        rows = paired(batch, self.table, self.pairs).filter(*conditions(self.concepts))
        rows = self._numbered(self._valued(self._timed(rows)))
        rows = convert(rows, self.concepts, self.pairs).filter(*self._fast_enough())
        beyond = pl.when((pl.col("power") == 0) & ~within_limits(pl.col("value"))).then(pl.lit(OUTSIDE))
        return rows.with_columns(problem=pl.coalesce("problem", beyond))

    def _fast_enough(self) -> list[pl.Expr]:
        hours = (pl.col("end") - pl.col("time")) / SECONDS_PER_HOUR
        speed = pl.when("spread").then(pl.col("value") / hours).otherwise("value")
        return [
            (pl.col("concept") != number) | (speed > concept.faster_than).fill_null(True)
            for number, concept in self.concepts.items()
            if concept.faster_than is not None
        ]

    def _timed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Add time, end and known in seconds, and as ``problem`` what speaks against a row."""
        table = self.table
        time = seconds(rows[table.start])
        if table.by_day:
            time = end_of_day(time)
        if table.else_start:
            time = time.zip_with(time.is_not_null(), end_of_day(seconds(rows[table.else_start])))
        if table.asked:
            of_results = [number for number, concept in self.concepts.items() if table.of_results(concept)]
            time = until_result(rows, time, of_results)
        end = seconds(rows[table.end]) if table.end else pl.Series([None] * len(rows), dtype=pl.Int64)
        known = seconds(rows["storetime"]) if self.storetime and not table.asked else time
        rows = rows.with_columns(time=time, end=end)
        unstored = known.is_null() & (rows["storetime"].cast(pl.String) != "").fill_null(False)
        rows = rows.with_columns(known=pl.max_horizontal("time", known.alias("known")), unstored=unstored)
        marked = [
            pl.col(column).cast(pl.String).str.strip_chars().str.to_lowercase().is_in(list(texts)).fill_null(False)
            for column, texts in table.wrong.items()
        ]
        problem = pl.when(pl.any_horizontal(*marked)).then(pl.lit(MARKED)) if marked else pl.lit(None, pl.String)
        for column, texts in table.given.items():
            given = pl.col(column).str.strip_chars().str.to_lowercase().is_in(list(texts)).fill_null(False)
            problem = pl.coalesce(problem, pl.when(~given).then(pl.lit(NOT_GIVEN)))
        without = pl.col("time").is_null() | pl.col("unstored") | (pl.col("end").is_null() & (table.end is not None))
        timed = rows.with_columns(
            problem=pl.coalesce(
                problem,
                pl.when(without).then(pl.lit(NO_TIME)),
                pl.when(pl.col("end") < pl.col("time")).then(pl.lit(REVERSED)),
            )
        )
        read = {table.start, table.else_start, table.end, "storetime", "unstored", *table.wrong, *table.given}
        return timed.drop([name for name in timed.columns if name in read])

    def _valued(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Add ``text`` and ``unit``, those of the value of each row's kind, and kg and hold."""
        table, kinds = self.table, dict.fromkeys(concept.kind for concept in self.concepts.values())
        chosen = {kind: table.columns_of(kind) for kind in kinds}

        def pick(which: int) -> pl.Expr:
            *others, last = chosen
            expression = pl.col(chosen[last][which])
            for kind in others:
                expression = pl.when(pl.col("kind") == kind).then(pl.col(chosen[kind][which])).otherwise(expression)
            return expression.cast(pl.String)

        kg = pl.col("patientweight").cast(pl.Float64, strict=False) if table.values else pl.lit(None, pl.Float64)
        stopped = (
            pl.col(table.stopped).str.strip_chars().str.to_lowercase().is_in(list(STOPPED)).fill_null(False)
            if table.stopped
            else pl.lit(False)
        )
        rate = pl.col("kind") == "interval-rate"
        valued = rows.with_columns(
            text=pick(0), unit=pick(1).fill_null(""), kg=kg, stopped=stopped & rate,
            hold=rate if table.stopped else pl.lit(False), spread=pl.lit(False),
        )  # fmt: skip
        read = {name for names in chosen.values() for name in names} | {"patientweight"}
        asked_later = {table.number, "text", "unit", *(("rate", "rateuom", "amountuom") if self.amounts else ())}
        return valued.drop([name for name in valued.columns if name in read - asked_later])

    def _numbered(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Add ``number``, what the text or the column of numbers says, and ``limit``."""
        table = self.table
        number = pl.col("text").cast(pl.Float64, strict=False)
        if table.number and self.numbers:
            number = pl.coalesce(pl.col(table.number).cast(pl.Float64, strict=False), number)
        rows = rows.with_columns(number=pl.when(number.is_finite()).then(number), limit=pl.lit(0, pl.Int8))
        if table.values:
            return self._given(rows)
        if table.end:  # a procedure is under way or not
            return rows.with_columns(number=pl.lit(1.0), unit=pl.lit(""))
        limited = pl.col("number").is_null() | pl.col("text").str.starts_with("<") | pl.col("text").str.starts_with(">")
        special = limited.fill_null(True) | pl.col("texted") | (pl.col("kind") == "categorical")
        return pl.concat([rows.filter(~special), self._special(rows.filter(special))])

    def _special(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Read what is no plain number: limits of assays, texts with a meaning, levels, nothing at all."""
        found = rows.with_columns(
            sign=pl.col("text").str.extract(LIMIT, 1).str.to_lowercase(),
            bound=pl.col("text").str.extract(LIMIT, 2).cast(pl.Float64, strict=False),
            said=pl.col("text").str.strip_chars().str.to_lowercase(),
        ).join(self.texts, on=["concept", "said"], how="left", maintain_order="left")
        below, above = pl.col("sign").is_in(["<", "less than"]), pl.col("sign").is_in([">", "greater than"])
        category = pl.col("kind") == "categorical"
        levelled = pl.col("concept").is_in([number for number, concept in self.concepts.items() if concept.levels])
        empty = (pl.col("said").is_null() | pl.col("said").is_in(["", "___"])) & (
            pl.col("number").is_null() | category & levelled
        )
        number = (
            pl.when(pl.col("meaning").is_not_null()).then("meaning")
            .when(category & ~levelled).then(pl.lit(1.0))
            .when(category).then(None)
            .when(below).then(pl.col("bound") / 2)
            .when(above).then("bound")
            .otherwise("number")
        )  # fmt: skip
        nothing = (
            pl.when(pl.col("absent")).then(pl.lit(SAID_MISSING))
            .when(empty & ~(category & ~levelled)).then(pl.lit(NO_VALUE))
            .when(category & levelled & pl.col("meaning").is_null()).then(pl.lit(NO_LEVEL))
        )  # fmt: skip
        limit = pl.when(~category & below).then(-1).when(~category & above).then(1).otherwise(0).cast(pl.Int8)
        found = found.with_columns(number=number, limit=limit.fill_null(0), problem=pl.coalesce("problem", nothing))
        return found.select(rows.columns)

    def _given(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Settle rates and amounts: where a rate ended, and amounts that accrue at a known rate."""
        ended = pl.when("stopped").then(0.0).otherwise("number")
        none = pl.when(pl.col("number").is_null() & ~pl.col("stopped") & (pl.col("kind") == "interval-rate"))
        rows = rows.with_columns(number=ended, problem=pl.coalesce("problem", none.then(pl.lit(NO_RATE))))
        if not self.amounts:
            return rows
        pairs = rows.select("amountuom", "rateuom").unique()
        per_hour = [_per_hour(amount or "", rate or "") for amount, rate in pairs.iter_rows()]
        rows = rows.join(
            pairs.with_columns(per_hour=pl.Series(per_hour, dtype=pl.Float64)),
            on=["amountuom", "rateuom"], how="left", nulls_equal=True, maintain_order="left",
        )  # fmt: skip
        hours = (pl.col("end") - pl.col("time")) / SECONDS_PER_HOUR
        accrued = pl.col("rate").cast(pl.Float64, strict=False) * pl.col("per_hour") * hours
        spread = (pl.col("kind") == "interval-amount") & (accrued > 0).fill_null(False)
        return rows.with_columns(number=pl.when(spread).then(accrued).otherwise("number"), spread=spread)


def _per_hour(amount: str, rate: str) -> float | None:
    """Return what a rate is multiplied by to be an amount in an hour; None where it has another unit."""
    unit = plain_unit(amount)
    return {f"{unit}/h": 1.0, f"{unit}/min": 60.0}.get(plain_unit(rate)) if unit else None


def _texts(concepts: dict[int, Concept]) -> pl.DataFrame:
    """Return concept, said (the text), meaning (a number or the code of a level) and whether that is no value."""
    rows = [
        (number, text, None if meaning == MISSING else _code(concept, meaning), meaning == MISSING)
        for number, concept in concepts.items()
        for text, meaning in concept.texts.items()
    ]
    schema = {"concept": pl.UInt16, "said": pl.String, "meaning": pl.Float64, "absent": pl.Boolean}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _code(concept: Concept, meaning: str) -> float:
    return float(concept.levels.index(meaning)) if concept.levels else float(meaning)
