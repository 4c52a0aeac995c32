"""The top of the page: what was trained on what, how good it is, and what a reader must know before believing it."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..runs.metrics import RunMetrics
from ..runs.run import Run
from ..scores.curves import known_rates
from ..scores.measures import GUESSING, KINDS, MEASURES, PRIMARY, Measure, decimals, guess, in_brief
from ..words import (
    MISSING,
    SPACE,
    count,
    day,
    interval,
    listing,
    number,
    percent,
    plural,
)
from .blocks import Table

SEVERAL = ("multilabel", "multiclass")
"""Kinds of tasks whose measures are means over labels or classes."""

LACKING = {**dict.fromkeys(KINDS, "both outcomes"), "regression": "a known value", "survival": "two samples to compare"}
"""What a test part without which the primary measure is not defined lacks."""

MEAN = "always predicting the mean"
"""What guessing is, of quantities."""

SPREAD = (
    "The sd is the spread between folds, not an error bar; the interval is that of the same mean for other patients "
    "and these models."
)
READINGS = {
    "regression": (
        "the MAE is how far a prediction lies from the measured value on average, the RMSE the same with large errors "
        "counting more, both in the unit of the outcome. R² is the share of the variance that the predictions explain: "
        "0 for who always predicts the mean, 1 for perfect predictions."
    ),
    "survival": (
        "of two patients of whom one is known to have had the event first, the concordance is the share of pairs in "
        "which that one had the higher predicted risk; guessing reaches 0.5. That of Harrell counts the pairs that can "
        "be compared, that of Uno weights them so that censoring does not matter. The integrated Brier score is the "
        "mean squared error of the predicted survival over time, lower is better."
    ),
}
"""How to read the numbers of quantities and of times to an event."""


@dataclass(frozen=True)
class KeyNumber:
    """One large number with what it is and what stands behind it."""

    name: str
    value: str
    detail: str


@dataclass(frozen=True)
class Headline:
    """The top of a page: the first screen, from which the answer must be told.

    ``facts`` say when and of what it was made; ``caveats`` decide whether the numbers mean anything, and come before
    the ``answer``; ``notes`` are the other warnings. ``lead`` says what was done, ``reading`` how to read the numbers.
    """

    title: str
    lead: str
    facts: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
    answer: str = ""
    table: Table | None = None
    numbers: tuple[KeyNumber, ...] = ()
    reading: str = ""
    notes: tuple[str, ...] = ()


def headline(run: Run) -> Headline:
    """Return the top of the page for a run."""
    metrics = run.metrics
    measures = in_brief(metrics.kind, metrics.measures)
    return Headline(
        title=f"Predicting {metrics.task_title}",
        lead=" ".join(_lead(run)),
        facts=tuple(_facts(run)),
        caveats=metrics.caveats,
        answer=_answer(run),
        numbers=(*(_number(run, *named) for named in measures.items()), *_alert(run), *_sizes(run)),
        reading=_reading(run),
        notes=tuple(note for note in dict.fromkeys(metrics.notes) if note not in metrics.caveats),
    )


def _facts(run: Run) -> Iterator[str]:
    """Yield when and by what the run and its cache were made."""
    metrics = run.metrics
    yield day(metrics.finished)
    yield f"OmniFuse {run.version}"
    yield f"method {metrics.method}" + (f" of the package {metrics.package}" if metrics.package else "")
    yield from metrics.cache.words()


def _answer(run: Run) -> str:
    """Return what the run shows, in a sentence or two."""
    metrics = run.metrics
    primary, what = PRIMARY[metrics.kind], metrics.task_title
    score, measure = metrics.measures[primary], MEASURES.get(primary)
    title = measure.title
    if score.mean is None:
        return f"The {title} is not defined here: no fold has {LACKING[metrics.kind]}."
    places = decimals(measure, score.mean)
    reached = guess(primary, measure, run.tested.y)
    guessing, who = (GUESSING, "guessing") if not measure.in_units else (reached, MEAN)
    least = f"{guessing}" if not measure.in_units else f"{number(guessing, places)}{_unit(metrics)}"
    area = f"{'mean ' if metrics.kind in SEVERAL else ''}{title} {number(score.mean, places)}{_unit(metrics, measure)}"
    if score.ci is None or guessing is None:
        return f"{metrics.method} predicts {what} with {area}; {who} has {least}. There is no interval."
    low, high = score.ci
    bounds = f"{number(low, places)} to {number(high, places)}"
    known = f"{area} (95{SPACE}% interval {bounds}) against {least} of {who}"
    if low > guessing or high < guessing:
        better = (low > guessing) == measure.higher_is_better
        return f"{metrics.method} predicts {what} {'better' if better else 'worse'} than {who}: {known}."
    return (
        f"These data do not show that {metrics.method} predicts {what} better than {who}: {known}. The interval "
        f"includes {least}."
    )


def _unit(metrics: RunMetrics, measure: Measure | None = None) -> str:
    """Return the unit of quantities behind a space that does not break; nothing for a measure without."""
    return f"{SPACE}{metrics.unit}" if metrics.unit and (measure is None or measure.in_units) else ""


def _lead(run: Run) -> Iterator[str]:
    metrics = run.metrics
    inputs = listing([metrics.modality_title(name) for name in metrics.modalities])
    folds = len(metrics.folds)
    done = "trained and tested on" if folds > 1 else "trained, and then tested on"
    named = f"{_counted(metrics)} of the data set {metrics.cache.dataset}"
    yield f"The method {metrics.method} was {done} {named}. Inputs: {inputs}."
    if metrics.patients is not None:
        yield "Where this page counts samples, these are predictions: one patient has several, at different times."
    if folds > 1:
        yield (
            f"Every prediction was made by a model that had not seen that patient: {folds} folds by patient, each "
            "predicted by a model trained on the others."
        )
    else:
        yield "Every prediction is of the test part of one fixed split, which the model had not seen in training."


def _counted(metrics: RunMetrics) -> str:
    """Return how many samples were tested, or how many predictions of how many patients."""
    if metrics.patients is None:
        return plural(metrics.samples, "sample")
    return f"{plural(metrics.samples, 'prediction')} of {plural(metrics.patients, 'patient')}"


def _number(run: Run, name: str, measure: Measure) -> KeyNumber:
    metrics = run.metrics
    score, every = metrics.measures[name], len(metrics.folds)
    folds = sum(fold.measures[name] is not None for fold in metrics.folds)
    of = "" if folds == every else f" out of {every}"
    places = decimals(measure, score.mean)
    parts = [f"95{SPACE}% interval {interval(score.ci, places)}"] if score.ci else []
    if (guessing := guess(name, measure, run.tested.y)) is not None:
        parts.append(f"{'guessing' if metrics.kind != 'regression' else MEAN} {number(guessing, places)}")
    parts.append(f"mean of {plural(folds, 'fold')}{of}" if folds > 1 else f"one fold{of}")
    if score.sd is not None:
        parts[-1] += f", sd {number(score.sd, places)}"
    macro = "Mean " if metrics.kind in SEVERAL else ""
    name = macro + measure.title
    return KeyNumber(
        name[0].upper() + name[1:], f"{number(score.mean, places)}{_unit(metrics, measure)}", "; ".join(parts)
    )


def _alert(run: Run) -> Iterator[KeyNumber]:
    found = run.metrics.alert
    if found is None or found.sensitivity is None:
        return
    right = found.positive_predictive_value
    yield KeyNumber(
        f"Found by alerts for the highest {percent(found.rate, 1, 0)}",
        percent(found.sensitivity, 1, 0),
        f"of the positives; {MISSING if right is None else percent(right, 1, 0)} of the {count(found.alerts)} "
        f"alerts are right; guessing finds {percent(found.rate, 1, 0)}",
    )


def _sizes(run: Run) -> Iterator[KeyNumber]:
    metrics = run.metrics
    samples, positives = metrics.samples, metrics.positives
    share = f"{count(positives)} positive ({percent(positives, samples)}); " if positives is not None else ""
    if metrics.events is not None:
        share = f"{plural(metrics.events, 'event')} ({percent(metrics.events, samples)}), the others censored; "
    name = "Samples" if metrics.patients is None else "Predictions"
    share += "" if metrics.patients is None else f"of {plural(metrics.patients, 'patient')}; "
    yield KeyNumber(name, count(samples), f"{share}in {plural(len(metrics.folds), 'fold')}")
    if metrics.kind in SEVERAL:
        rates = known_rates(run.tested.y)
        noun = "Labels" if metrics.kind == "multilabel" else "Classes"
        spread = (
            f"rarest in {percent(rates.min(), 1)}, commonest in {percent(rates.max(), 1)} of the samples"
            if len(rates)
            else ""
        )
        yield KeyNumber(noun, count(len(run.tested.labels)), spread)


def _reading(run: Run) -> str:
    if run.metrics.kind in READINGS:
        return f"How to read it: {READINGS[run.metrics.kind]} {SPREAD}"
    mean = run.metrics.auroc.mean
    if mean is None:
        return ""
    binary = run.metrics.kind == "binary"
    average, what = ("", f" ({run.metrics.task_title})") if binary else (" on average over labels,", "")
    return (
        f"How to read it:{average} shown one positive{what} and one negative sample, the model gives the "
        f"positive one the higher probability in {percent(mean, 1)} of such pairs; guessing reaches 50{SPACE}%. "
        f"{SPREAD}"
    )
