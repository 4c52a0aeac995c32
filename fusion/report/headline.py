"""The top of the page: what was trained on what, how good it is, and what a reader must know before believing it."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..runs.metrics import RunMetrics
from ..runs.run import Run
from ..scores.curves import known_rates
from ..scores.measures import GUESSING, MEASURES, PRIMARY, Measure, guess, in_brief
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
        answer=_answer(metrics),
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


def _answer(metrics: RunMetrics) -> str:
    """Return what the run shows, in a sentence or two."""
    primary, what = PRIMARY[metrics.kind], metrics.task_title
    score, title = metrics.measures[primary], MEASURES.get(primary).title
    if score.mean is None:
        return f"The {title} is not defined here: no fold has both outcomes."
    area = f"{'' if metrics.kind == 'binary' else 'mean '}{title} {number(score.mean)}"
    if score.ci is None:
        return f"{metrics.method} predicts {what} with {area}; guessing has {GUESSING}. There is no interval."
    low, high = score.ci
    known = f"{area} (95{SPACE}% interval {number(low)} to {number(high)}) against {GUESSING} of guessing"
    if low > GUESSING:
        return f"{metrics.method} predicts {what} better than guessing: {known}."
    if high < GUESSING:
        return f"{metrics.method} predicts {what} worse than guessing: {known}."
    return (
        f"These data do not show that {metrics.method} predicts {what} better than guessing: {known}. The interval "
        f"includes {GUESSING}."
    )


def _lead(run: Run) -> Iterator[str]:
    metrics = run.metrics
    inputs = listing([metrics.modality_title(name) for name in metrics.modalities])
    folds = len(metrics.folds)
    done = "trained and tested on" if folds > 1 else "trained, and then tested on"
    named = f"{plural(metrics.samples, 'sample')} of the data set {metrics.cache.dataset}"
    yield f"The method {metrics.method} was {done} {named}. Inputs: {inputs}."
    if folds > 1:
        yield (
            f"Every prediction was made by a model that had not seen that patient: {folds} folds by patient, each "
            "predicted by a model trained on the others."
        )
    else:
        yield "Every prediction is of the test part of one fixed split, which the model had not seen in training."


def _number(run: Run, name: str, measure: Measure) -> KeyNumber:
    metrics = run.metrics
    score, every = metrics.measures[name], len(metrics.folds)
    folds = sum(fold.measures[name] is not None for fold in metrics.folds)
    of = "" if folds == every else f" out of {every}"
    parts = [f"95{SPACE}% interval {interval(score.ci)}"] if score.ci else []
    if (guessing := guess(name, measure, run.tested.y)) is not None:
        parts.append(f"guessing {number(guessing)}")
    parts.append(f"mean of {plural(folds, 'fold')}{of}" if folds > 1 else f"one fold{of}")
    if score.sd is not None:
        parts[-1] += f", sd {number(score.sd)}"
    macro = "" if metrics.kind == "binary" else "Mean "
    return KeyNumber(macro + measure.title, number(score.mean), "; ".join(parts))


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
    yield KeyNumber("Samples", count(samples), f"{share}in {plural(len(metrics.folds), 'fold')}")
    if metrics.kind != "binary":
        rates = known_rates(run.tested.y)
        noun = "Labels" if metrics.kind == "multilabel" else "Classes"
        spread = (
            f"rarest in {percent(rates.min(), 1)}, commonest in {percent(rates.max(), 1)} of the samples"
            if len(rates)
            else ""
        )
        yield KeyNumber(noun, count(len(run.tested.labels)), spread)


def _reading(run: Run) -> str:
    mean = run.metrics.auroc.mean
    if mean is None:
        return ""
    binary = run.metrics.kind == "binary"
    average, what = ("", f" ({run.metrics.task_title})") if binary else (" on average over labels,", "")
    return (
        f"How to read it:{average} shown one positive{what} and one negative sample, the model gives the "
        f"positive one the higher probability in {percent(mean, 1)} of such pairs; guessing reaches 50{SPACE}%. The sd "
        "is the spread between folds, not an error bar; the interval is that of the same mean for other patients and "
        "these models."
    )
