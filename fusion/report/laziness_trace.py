"""What TLA did: which combination of modalities was chosen after each epoch, and how far it stood out."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from ..runs.run import Run
from ..scores.curves import Floats
from ..study.kinds.laziness import LAZINESS
from ..words import count, listing, number, percent, plural
from .blocks import Block, Figure, Figures, Section, Table, Text
from .figures import heat_figure

COLUMNS = {"fold", "epoch", "combination", "distance", "excess", "chosen"}
"""What the table of a method needs to be shown here."""

ONLY_WATCHED = "only_watched"
"""What a fold says in ``method_details`` if the trace changed nothing in its training."""

NEARLY_CONSTANT = 0.8
"""Share of choices above which one combination is called nearly constant."""

PURPOSE = (
    "After every epoch the method measures, on training samples, how wrong its prediction is from every combination of "
    "modalities alone, chooses one combination, and in the next epoch trains more on samples seen with it (traceable "
    "laziness activation, TLA)."
)

READING = (
    "Distance is the mean cross-entropy of the prediction from that combination, over the samples that have all of it. "
    "A combination with fewer modalities holds less information, so a large distance by itself marks a weak modality "
    "as easily as a neglected one. Excess is the distance minus that of the best part of the combination, on the same "
    "samples: above zero, adding a modality made the prediction worse, which is the sign of laziness."
)

ONLY_WATCHED = "The weight of TLA was zero in this run: the trace only watched, and changed nothing."


def laziness_section(run: Run) -> Section | None:
    """Return the chapter on the laziness trace; None for a method without one."""
    trace = run.tables.get(LAZINESS)
    if trace is None or not set(trace.columns) >= COLUMNS:
        return None
    acted = not any(fold.get(ONLY_WATCHED) for fold in run.metrics.method_details.folds)
    title = "What training stressed: the laziness trace"
    return Section("laziness", title, tuple(_blocks(trace, acted)), gist(trace, acted), folded=True)


def gist(trace: pl.DataFrame, acted: bool) -> str:
    """Return what the trace amounts to, in a sentence."""
    return verdict(trace) if acted else ONLY_WATCHED


def _blocks(trace: pl.DataFrame, acted: bool) -> Iterator[Block]:
    yield Text(PURPOSE)
    yield Text(choices_in_words(trace))
    effect = " ".join(filter(None, [effect_in_words(trace) if acted else "", validation_in_words(trace)]))
    if effect:
        yield Text(effect)
    figures = tuple(_figures(trace))
    if figures:
        yield Figures(figures)
    yield Text(READING, tone="aside")
    yield _table(trace)


def choices_in_words(trace: pl.DataFrame) -> str:
    """Return which combination was chosen how often, and its distance beside that of the others."""
    chosen = trace.filter("chosen")
    if chosen.is_empty():
        return "No combination was ever chosen, so TLA had no effect."
    top, often = _ranking(trace)[0]
    folds, epochs = chosen["fold"].n_unique(), chosen["epoch"].n_unique()
    where = (
        plural(epochs, "epoch")
        if folds == 1
        else f"{count(len(chosen))} choices ({folds} folds, up to {epochs} epochs)"
    )
    return (
        f"In {often} of {where} the chosen combination was {_name(top)}. The mean distance of the chosen combination "
        f"was {_mean_distance(chosen)}, of the others {_mean_distance(trace.filter(~pl.col('chosen')))}."
    )


def verdict(trace: pl.DataFrame) -> str:
    """Return what the choices amount to, in one sentence; empty if nothing was chosen."""
    ranking = _ranking(trace)
    if not ranking:
        return ""
    top, often = ranking[0]
    share = often / sum(times for _, times in ranking)
    if share < NEARLY_CONSTANT:
        most = [f"{_name(name)} ({times})" for name, times in ranking[:4]]
        return f"The choice moved between combinations: {listing(most)}."
    acted = "acted as" if share == 1 else "acted almost as"
    target = _name(top) if "+" not in top else f"samples seen with {_name(top)}"
    return (
        f"TLA {acted} a constant extra weight on {target}: compare with exactly that constant before crediting the "
        "mining of combinations with any gain."
    )


def effect_in_words(trace: pl.DataFrame) -> str:
    """Return on how many samples activation acted and what became of the distance; empty if it never acted."""
    if "active" not in trace.columns or not trace["active"].any():
        return ""
    active, others = trace.filter("active"), trace.filter(~pl.col("active"))
    return (
        f"TLA acted on {percent(_mean(active, 'share'), 1)} of the training samples. The distance of the combination "
        f"it acted on changed by {number(_mean(active, 'change'), 4)} an epoch, that of the others by "
        f"{number(_mean(others, 'change'), 4)}; what was chosen for a large distance tends to fall by itself."
    )


def validation_in_words(trace: pl.DataFrame) -> str:
    """Return how often validation samples show the largest distance where training samples do; empty without them."""
    if "validation_distance" not in trace.columns:
        return ""
    largest = trace.group_by("fold", "epoch").agg(
        same=pl.col("distance").fill_null(-1).arg_max() == pl.col("validation_distance").fill_null(-1).arg_max()
    )
    return (
        f"In {largest['same'].sum()} of {len(largest)} cases the combination with the largest distance is also that of "
        "the validation samples; elsewhere it may be overfitted rather than neglected."
    )


def _mean_distance(trace: pl.DataFrame) -> str:
    return number(_mean(trace, "distance"))


def _mean(trace: pl.DataFrame, column: str) -> float:
    """Mean of the values that are there; NaN if there are none."""
    values = trace[column].drop_nulls().to_numpy()
    return float(values.mean()) if len(values) else float("nan")


def _ranking(trace: pl.DataFrame) -> list[tuple[str, int]]:
    """Return the combinations with the number of times each was chosen, most frequent first."""
    times = trace.filter("chosen").group_by("combination").len().sort(["len", "combination"], descending=[True, False])
    return times.rows()


def _figures(trace: pl.DataFrame) -> Iterator[Figure]:
    circles = "Circles: chosen after that epoch; the larger, the more folds chose it."
    yield from _heat(trace, "distance", f"Darker: more wrong. {circles}", signed=False)
    yield from _heat(trace, "excess", f"Orange: adding a modality hurts; purple: it helps. {circles}", signed=True)


def _heat(trace: pl.DataFrame, column: str, caption: str, signed: bool) -> Iterator[Figure]:
    """Heat map of a column over the combinations that have it; none where no combination does."""
    values = trace.filter(pl.col(column).is_finite()).with_columns(pl.col("chosen").cast(pl.Float64))
    if values.is_empty():
        return
    combinations = sorted(values["combination"].unique(), key=lambda name: (name.count("+"), name))
    epochs = sorted(trace["epoch"].unique())
    chosen = np.nan_to_num(_grid(values, "chosen", combinations, epochs))
    names = [_name(combination) for combination in combinations]
    title = f"{column.capitalize()} of each combination"
    yield heat_figure(title, caption, names, epochs, _grid(values, column, combinations, epochs), chosen, signed)


def _grid(trace: pl.DataFrame, column: str, combinations: list[str], epochs: list[int]) -> Floats:
    """Mean over folds, [combinations, epochs]; NaN where no fold has a value."""
    means = trace.group_by("combination", "epoch").agg(pl.mean(column))
    row = [combinations.index(name) for name in means["combination"]]
    at = [epochs.index(epoch) for epoch in means["epoch"]]
    grid = np.full((len(combinations), len(epochs)), np.nan)
    grid[row, at] = means[column].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return grid


def _table(trace: pl.DataFrame) -> Table:
    summary = trace.group_by("combination").agg(pl.sum("chosen"), pl.mean("distance"), pl.mean("excess"))
    total = float(summary["chosen"].sum())
    rows = tuple(
        (_name(row["combination"]), count(row["chosen"]), percent(row["chosen"], total), number(row["distance"]),
         number(row["excess"]))
        for row in summary.sort(["chosen", "distance"], descending=True).iter_rows(named=True)
    )  # fmt: skip
    columns = ("combination", "times chosen", "share", "mean distance", "mean excess")
    return Table("All epochs and folds together", columns, rows, sortable=True)


def _name(combination: str) -> str:
    return combination.replace("+", " + ")
