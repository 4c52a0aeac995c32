"""The top of the page: what was trained on what, how good it is, and what a reader must know before believing it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..notes import data_notes
from .run import Run
from .scores import known_rates
from .words import SPACE, count, interval, listing, modality_words, number, percent, plural, task_words


@dataclass(frozen=True)
class KeyNumber:
    """One large number with what it is and what stands behind it."""

    name: str
    value: str
    detail: str


@dataclass(frozen=True)
class Headline:
    """Title, a paragraph of what was done, the key numbers, and the warnings in order of appearance."""

    title: str
    lead: str
    numbers: tuple[KeyNumber, ...]
    reading: str
    notes: tuple[str, ...]


def headline(run: Run) -> Headline:
    """Return the top of the page for a run."""
    return Headline(
        title=f"Predicting {task_words(run.metrics['task'])}",
        lead=" ".join(_lead(run)),
        numbers=(_area(run, "auroc"), _area(run, "auprc"), *_sizes(run)),
        reading=_reading(run.metrics["auroc"], run.metrics["kind"]),
        notes=tuple(dict.fromkeys([*data_notes(run.metrics), *run.metrics.get("notes", [])])),
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
            f"Every prediction below was made by a model that had not seen that patient: the samples were cut into "
            f"{folds} folds, all samples of a patient in the same fold, and each fold was predicted by a model trained "
            f"on the others."
        )
    else:
        yield "Every prediction below is of the test part of one fixed split, which the model had not seen in training."


def _area(run: Run, name: str) -> KeyNumber:
    score: Mapping[str, Any] = run.metrics[name]
    folds = sum(fold.get(name) is not None for fold in run.metrics["folds"])
    of = "" if folds == len(run.metrics["folds"]) else f" out of {len(run.metrics['folds'])}"
    parts = [f"mean of {plural(folds, 'fold')}{of}" if folds > 1 else f"one fold{of}"]
    if score.get("sd") is not None:
        parts[0] += f", sd {number(score['sd'])}"
    if score.get("ci") and score.get("pooled") is not None:  # a run of the first format
        parts.append(f"all predictions together {number(score['pooled'])}, their 95{SPACE}% interval")
        parts[-1] += f" {interval(score['ci'])}"
    elif score.get("ci"):
        parts.append(f"95{SPACE}% interval {interval(score['ci'])}")
    macro = "" if run.metrics["kind"] == "binary" else "Mean "
    return KeyNumber(macro + name.upper(), number(score.get("mean")), "; ".join(parts))


def _sizes(run: Run) -> Iterator[KeyNumber]:
    metrics = run.metrics
    samples = metrics["samples"]
    yield KeyNumber("Samples", count(samples), f"in {plural(len(metrics['folds']), 'fold')}")
    if metrics["kind"] == "binary":
        positives = metrics.get("positives")
        yield KeyNumber(
            "Positive", count(positives), f"{percent(positives, samples)} of the samples" if positives else ""
        )
    else:
        rates = known_rates(run.predictions.y)
        noun = "Labels" if metrics["kind"] == "multilabel" else "Classes"
        spread = (
            f"rarest in {percent(rates.min(), 1)}, commonest in {percent(rates.max(), 1)} of the samples"
            if len(rates)
            else ""
        )
        yield KeyNumber(noun, count(len(run.predictions.labels)), spread)


def _reading(auroc: Mapping[str, Any], kind: str) -> str:
    if auroc.get("mean") is None:
        return "The AUROC is not defined here: no fold has both outcomes."
    average = "" if kind == "binary" else " on average over labels,"
    text = (
        f"How to read it:{average} shown one positive and one negative sample, the model gives the positive one the "
        f"higher probability in {percent(auroc['mean'], 1)} of such pairs; guessing reaches 50 %. The sd is the spread "
        f"between folds, not an error bar; the interval is that of the same mean for other patients and these models."
    )
    bounds = auroc.get("ci")
    if bounds and None not in bounds and bounds[0] <= 0.5 <= bounds[1]:
        text += " The interval includes 0.5, so these data do not show that the model is better than guessing."
    return text
