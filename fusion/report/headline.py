"""The top of the page: what was trained on what, how good it is, and what a reader must know before believing it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..runs.folder import Run
from ..scores.curves import known_rates
from ..scores.measures import GUESSING, MEASURES, PRIMARY, Measure, in_brief
from ..scores.notes import decisive_notes
from ..words import (
    MISSING,
    SPACE,
    cache_facts,
    count,
    day,
    interval,
    listing,
    modality_words,
    number,
    percent,
    plural,
    task_words,
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
    caveats = decisive_notes(run.metrics)
    measures = in_brief(run.metrics["kind"], run.metrics)
    return Headline(
        title=f"Predicting {task_words(run.metrics['task'])}",
        lead=" ".join(_lead(run)),
        facts=tuple(_facts(run)),
        caveats=caveats,
        answer=_answer(run),
        numbers=(*(_number(run, *named) for named in measures.items()), *_alert(run), *_sizes(run)),
        reading=_reading(run),
        notes=tuple(note for note in dict.fromkeys(run.metrics.get("notes", [])) if note not in caveats),
    )


def _facts(run: Run) -> Iterator[str]:
    """Yield when and by what the run and its cache were made, as far as the run knows."""
    if finished := run.metrics.get("finished"):
        yield day(finished)
    if made := (run.environment.get("versions") or {}).get("omnifuse"):
        yield f"OmniFuse {made}"
    yield f"method {run.metrics['method']}"
    yield from cache_facts(run.metrics.get("cache") or {})


def _answer(run: Run) -> str:
    """Return what the run shows, in a sentence or two."""
    metrics, primary = run.metrics, PRIMARY[run.metrics["kind"]]
    score, title = metrics[primary], MEASURES.get(primary).title
    what, bounds = task_words(metrics["task"]), score.get("ci")
    mean = score.get("pooled", score.get("mean"))  # a run of the first format has the interval of the pooled area
    if mean is None:
        return f"The {title} is not defined here: no fold has both outcomes."
    area = f"{'' if metrics['kind'] == 'binary' else 'mean '}{title} {number(mean)}"
    if not bounds or None in bounds:
        return f"{metrics['method']} predicts {what} with {area}; guessing has {GUESSING}. There is no interval."
    low, high = (number(bound) for bound in bounds)
    known = f"{area} (95{SPACE}% interval {low} to {high}) against {GUESSING} of guessing"
    if bounds[0] > GUESSING:
        return f"{metrics['method']} predicts {what} better than guessing: {known}."
    if bounds[1] < GUESSING:
        return f"{metrics['method']} predicts {what} worse than guessing: {known}."
    return (
        f"These data do not show that {metrics['method']} predicts {what} better than guessing: {known}. The interval "
        f"includes {GUESSING}."
    )


def _lead(run: Run) -> Iterator[str]:
    metrics = run.metrics
    dataset = (metrics.get("cache") or {}).get("dataset")
    named = f" of the data set {dataset}" if dataset else ""
    inputs = listing([modality_words(name) for name in run.modalities])
    folds = len(metrics["folds"])
    done = "trained and tested on" if folds > 1 else "trained, and then tested on"
    yield f"The method {metrics['method']} was {done} {plural(metrics['samples'], 'sample')}{named}. Inputs: {inputs}."
    if folds > 1:
        yield (
            f"Every prediction was made by a model that had not seen that patient: {folds} folds by patient, each "
            "predicted by a model trained on the others."
        )
    else:
        yield "Every prediction is of the test part of one fixed split, which the model had not seen in training."


def _number(run: Run, name: str, measure: Measure) -> KeyNumber:
    score: Mapping[str, Any] = run.metrics[name]
    folds = sum(fold.get(name) is not None for fold in run.metrics["folds"])
    of = "" if folds == len(run.metrics["folds"]) else f" out of {len(run.metrics['folds'])}"
    parts = []
    if score.get("ci") and score.get("pooled") is not None:  # a run of the first format
        parts.append(f"all predictions together {number(score['pooled'])}, their 95{SPACE}% interval")
        parts[-1] += f" {interval(score['ci'])}"
    elif score.get("ci"):
        parts.append(f"95{SPACE}% interval {interval(score['ci'])}")
    if (guessing := measure.guessing(run.predictions.y)) is not None:
        parts.append(f"guessing {number(guessing)}")
    parts.append(f"mean of {plural(folds, 'fold')}{of}" if folds > 1 else f"one fold{of}")
    if score.get("sd") is not None:
        parts[-1] += f", sd {number(score['sd'])}"
    macro = "" if run.metrics["kind"] == "binary" else "Mean "
    return KeyNumber(macro + measure.title, number(score.get("mean")), "; ".join(parts))


def _alert(run: Run) -> Iterator[KeyNumber]:
    found: Mapping[str, Any] | None = run.metrics.get("alert")
    if not found or found.get("sensitivity") is None:
        return
    right = found.get("positive_predictive_value")
    yield KeyNumber(
        f"Found by alerts for the highest {percent(found['rate'], 1, 0)}",
        percent(found["sensitivity"], 1, 0),
        f"of the positives; {MISSING if right is None else percent(right, 1, 0)} of the {count(found['alerts'])} "
        f"alerts are right; guessing finds {percent(found['rate'], 1, 0)}",
    )


def _sizes(run: Run) -> Iterator[KeyNumber]:
    metrics = run.metrics
    samples, positives = metrics["samples"], metrics.get("positives")
    share = f"{count(positives)} positive ({percent(positives, samples)}); " if positives is not None else ""
    yield KeyNumber("Samples", count(samples), f"{share}in {plural(len(metrics['folds']), 'fold')}")
    if metrics["kind"] != "binary":
        rates = known_rates(run.predictions.y)
        noun = "Labels" if metrics["kind"] == "multilabel" else "Classes"
        spread = (
            f"rarest in {percent(rates.min(), 1)}, commonest in {percent(rates.max(), 1)} of the samples"
            if len(rates)
            else ""
        )
        yield KeyNumber(noun, count(len(run.predictions.labels)), spread)


def _reading(run: Run) -> str:
    auroc = run.metrics.get("auroc") or {}
    if auroc.get("mean") is None:
        return ""
    average = "" if run.metrics["kind"] == "binary" else " on average over labels,"
    return (
        f"How to read it:{average} shown one positive and one negative sample, the model gives the positive one the "
        f"higher probability in {percent(auroc['mean'], 1)} of such pairs; guessing reaches 50{SPACE}%. The sd is the "
        "spread between folds, not an error bar; the interval is that of the same mean for other patients and these "
        "models."
    )
