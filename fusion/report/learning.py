"""How training went: every loss term over epochs."""

from collections.abc import Iterator

import polars as pl

from ..runs.run import Run
from ..scores.measures import MEASURES, PRIMARY
from ..words import number, plural
from .blocks import Figure, Figures, Section, Text
from .figures import Curve, epochs_figure

FIRST = {"total": ("Total loss", "The weighted sum that training lowers.")}
WORDS = {
    "mae": "Of the prediction, in standard deviations of the training part: lower is better.",
    "concordance": "Of the prediction, times counted in the model's intervals: higher is better.",
}
LAST = {
    name: (
        f"{MEASURES.get(name).title} of the validation part",
        WORDS.get(name, "Of the prediction, not a loss: higher is better."),
    )
    for name in PRIMARY.values()
}
"""Terms of the training loop, before and after those that the method has words for; any other has its own name."""

WITH_VALIDATION = (
    "Neither part holds a sample that the fold was tested on. Validation can lie below training, because only training "
    "hides inputs on purpose."
)
WITHOUT_VALIDATION = (
    "Nothing was chosen by a validation part, so all patients outside the test fold were trained on; set "
    "validation=0.1 to see how the loss does on patients who are set aside."
)


def learning_section(run: Run) -> Section | None:
    """Return the chapter on training; None without a history, or for a method that is fitted at once."""
    history = run.history
    if history is None or history["epoch"].max() == 0:
        return None
    words = {**FIRST, **run.metrics.method_words.terms, **LAST}
    terms = sorted(history["term"].unique(), key=lambda term: ([*words, term].index(term), term))
    intro = "Thick: mean over folds, as far as every fold went. Thin: each fold. "
    intro += WITH_VALIDATION if "validation" in history["part"] else WITHOUT_VALIDATION
    figures = tuple(
        _term(history.filter(term=term), term, *words.get(term, (term, "A loss term of the method."))) for term in terms
    )
    return Section("training", "How training went", (Text(intro), Figures(figures)), _gist(history), folded=True)


def _gist(history: pl.DataFrame) -> str:
    total = history.filter(term="total", part="train") if "total" in history["term"] else history
    folds, epochs = history["fold"].n_unique(), history["epoch"].n_unique()
    ends = [_mean(total)[1][place] for place in (0, -1)]
    fell = f"; the total loss went from {number(ends[0])} to {number(ends[1])}" if "total" in history["term"] else ""
    return f"{plural(folds, 'fold')}, up to {plural(epochs, 'epoch')}{fell}."


def _term(history: pl.DataFrame, term: str, title: str, meaning: str) -> Figure:
    parts = [part for part in ("train", "validation") if part in history["part"].unique()]
    means = {part: _mean(history.filter(part=part)) for part in parts}
    folds = {part: list(_folds(history.filter(part=part))) for part in parts}
    return epochs_figure(title, MEASURES.get(term).title if term in PRIMARY.values() else "loss", meaning, means, folds)


def _mean(values: pl.DataFrame) -> Curve:
    folds = values["fold"].n_unique()
    epochs = values.group_by("epoch").agg(pl.mean("value"), folds=pl.len()).filter(folds=folds).sort("epoch")
    return _curve(epochs)


def _folds(values: pl.DataFrame) -> Iterator[Curve]:
    for _, fold in values.sort("epoch").group_by("fold", maintain_order=True):
        yield _curve(fold)


def _curve(table: pl.DataFrame) -> Curve:
    return table["epoch"].cast(pl.Float64).to_numpy(), table["value"].cast(pl.Float64).to_numpy()
