"""The items of TRIPOD+AI, filled from what a run recorded; what only authors know is left open and marked.

Collins et al., TRIPOD+AI statement, BMJ 385:e078378, 2024. The items are told here in other and fewer words; the
statement itself is what a journal asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..runs.run import Run
from ..scores.measures import MEASURES, PRIMARY, decimals, in_brief
from ..words import count, interval, listing, number, percent, plural

OPEN = "**to be written by the authors**"
"""What stands where nothing was recorded."""

Filled = Callable[[Run], str]


@dataclass(frozen=True)
class Item:
    """An item: its number, what is asked, and what says it from a run; None where only authors know."""

    number: str
    asked: str
    filled: Filled | None = None


def answers(run: Run) -> Iterator[tuple[str, str, str]]:
    """Yield number, what is asked, and the answer of every item; `OPEN` where it is left to the authors."""
    for item in ITEMS:
        said = item.filled(run) if item.filled else ""
        yield item.number, item.asked, said or OPEN


def _data(run: Run) -> str:
    cache = run.metrics.cache
    return (
        f"Data set {cache.dataset}, read into a feature cache with the digest {cache.digest[:12]}. {OPEN}: why it fits."
    )


def _eligibility(run: Run) -> str:
    steps = [f"{step} ({count(left)})" for step, left in run.metrics.cohort]
    return f"Samples left after each step: {'; '.join(steps)}." if steps else ""


def _preparation(run: Run) -> str:
    rows = [f"{name}: {len(recipe)} settings of its recipe" for name, recipe in run.metrics.recipes.items()]
    return (
        "Every modality was made by a recorded recipe, in the report under 'How to repeat this' "
        f"({'; '.join(rows)}). Standardisation was fitted on training rows alone."
    )


def _outcome(run: Run) -> str:
    metrics = run.metrics
    labels = f", {len(metrics.labels)} labels" if len(metrics.labels) > 1 else ""
    unit = f" in {metrics.unit}" if metrics.unit else ""
    return f"{metrics.task_title} ({metrics.kind}{labels}{unit}), task {metrics.task!r}. {OPEN}: how it was assessed."


def _predictors(run: Run) -> str:
    return f"Modalities {listing(run.metrics.modalities)}. {OPEN}: why these."


def _definitions(run: Run) -> str:
    return f"Columns of {listing(run.metrics.modalities)} with their units: croissant.json, or the cache itself."


def _missing(run: Run) -> str:
    rows = [f"{name} {count(n)}" for name, n in run.metrics.presence.items()]
    return (
        f"Samples by what they have: {'; '.join(rows)}. A missing modality is not filled in before training; what the "
        f"method {run.metrics.method} does with it is in the methods text."
    )


def _partition(run: Run) -> str:
    folds = len(run.metrics.folds)
    if run.metrics.sites:
        return f"Each of {folds} sites was tested by models of the others, without patients of it."
    if folds == 1:
        return "The split that came with the data, by patient."
    return f"{folds}-fold cross-validation by patient; the test part of each fold was read once."


def _model(run: Run) -> str:
    return f"Method {run.metrics.method}, settings in environment.md; validated inside as item 12a says."


def _performance_measures(run: Run) -> str:
    names = [measure.title for measure in in_brief(run.metrics.kind, run.metrics.measures).values()]
    return f"{listing(names)}, each with a 95 % interval that draws patients; calibration; see the tables."


def _heterogeneity(run: Run) -> str:
    groups = sorted({group.group for group in run.metrics.per_subgroup})
    return f"Compared between groups of {listing(groups)}, corrected for all differences (Holm)." if groups else ""


def _fairness(run: Run) -> str:
    found = _heterogeneity(run)
    return f"{found} {OPEN}: what was done about differences." if found else ""


def _output(run: Run) -> str:
    said = {"regression": "A quantity with an interval", "survival": "Survival at several times"}
    words = said.get(run.metrics.kind, "A probability, and the set of classes that holds the truth for 90 %")
    alert = run.metrics.alert
    threshold = (
        f"; alerts from {number(alert.threshold)} on" if alert is not None and alert.threshold is not None else ""
    )
    return f"{words}{threshold}."


def _imbalance(run: Run) -> str:
    metrics = run.metrics
    if metrics.positives is None:
        return ""
    weighed = getattr(run.config.options, "class_weights", False)
    done = "classes were weighed in the loss" if weighed else "no class was weighed or drawn more often"
    return f"{percent(metrics.positives, metrics.samples)} positive; {done}."


def _participants(run: Run) -> str:
    metrics = run.metrics
    people = "" if metrics.patients is None else f" of {plural(metrics.patients, 'patient')}"
    events = f", {count(metrics.positives)} positive" if metrics.positives is not None else ""
    events = f", {count(metrics.events)} with the event" if metrics.events is not None else events
    return f"{plural(metrics.samples, 'sample')}{people}{events}, tested out of fold. {_eligibility(run)}"


def _specification(run: Run) -> str:
    return (
        "The models are files of the run (folds/*/model.safetensors) with settings in config.json; `omnifuse predict "
        f"--run {run.name} --cache CACHE` asks them about other patients."
    )


def _performance(run: Run) -> str:
    found = []
    for name, measure in in_brief(run.metrics.kind, run.metrics.measures).items():
        score = run.metrics.measures[name]
        if score.mean is not None:
            places = decimals(measure, score.mean)
            bounds = f" ({interval(score.ci, places)})" if score.ci else ""
            found.append(f"{measure.title} {number(score.mean, places)}{bounds}")
    return f"{listing(found)}; groups in the tables."


def _limitations(run: Run) -> str:
    return f"{' '.join(run.metrics.notes)} {OPEN}: the others.".strip() if run.metrics.notes else ""


def _primary(run: Run) -> str:
    return f"The primary measure was {MEASURES.get(PRIMARY[run.metrics.kind]).title}. {OPEN}: the aim."


def _code(run: Run) -> str:
    return f"OmniFuse {run.version}; commands in environment.md. {OPEN}: own code."


ITEMS = (
    Item("1", "Title: a prediction model is developed or evaluated, for whom and of what"),
    Item("2", "Abstract, by the list for abstracts"),
    Item("3a", "Background: the setting of care and why a prediction is wanted, with earlier models"),
    Item("3b", "For whom it is and who is to use it, and at which point of care"),
    Item("3c", "Known inequalities of health between groups of these patients"),
    Item("4", "Objectives: development, evaluation or both", _primary),
    Item("5a", "Where the data are from, and why they stand for the patients meant", _data),
    Item("5b", "From when to when patients were included and followed"),
    Item("6a", "Setting: which kind of care, how many centres and where"),
    Item("6b", "Who was eligible", _eligibility),
    Item("6c", "Treatments that patients got, and how they were handled"),
    Item("7", "How the data were prepared and checked, alike for all groups", _preparation),
    Item("8a", "The outcome, its time, how and why it was assessed", _outcome),
    Item("8b", "Who judged an outcome that needs judgement"),
    Item("8c", "Whether who assessed it knew the predictors"),
    Item("9a", "How predictors were chosen before the model was built", _predictors),
    Item("9b", "How and when predictors were measured, with units", _definitions),
    Item("9c", "Who judged predictors that need judgement"),
    Item("10", "How the number of patients was decided, and whether it is enough"),
    Item("11", "Missing data: how much, and what was done", _missing),
    Item("12a", "How the data were used: parts for development and evaluation", _partition),
    Item("12b", "How predictors were transformed", _preparation),
    Item("12c", "Kind of model, all steps of building it, and internal validation", _model),
    Item("12d", "Differences between groups of centres or countries"),
    Item("12e", "Measures and pictures by which it is judged, and how models are compared", _performance_measures),
    Item("12f", "Whether and how the model was updated, such as recalibrated"),
    Item("12g", "Of an evaluation, how predictions were made", _specification),
    Item("13", "Class imbalance: what was done, and whether probabilities were recalibrated", _imbalance),
    Item("14", "Fairness: what was looked at, and what was done", _fairness),
    Item("15", "What the model gives out, and how thresholds were chosen", _output),
    Item("16", "What differs between the data of training and of evaluation"),
    Item("17", "Ethics: approval, and consent or its waiver"),
    Item("18a", "Who paid, and their part in it"),
    Item("18b", "Conflicts of interest"),
    Item("18c", "Where the protocol is, or that there was none"),
    Item("18d", "Registration, or that there was none"),
    Item("18e", "Whether and how the data can be had"),
    Item("18f", "Whether and how the code can be had", _code),
    Item("19", "How patients and the public took part"),
    Item("20a", "How many took part, with and without the outcome, and how long they were followed", _participants),
    Item("20b", "Who they were: dates, predictors, missing values, by centre and group"),
    Item("20c", "Of an evaluation, how they differ from those of the development"),
    Item("21", "How many patients and outcomes each analysis had", _participants),
    Item("22", "The whole model, so that others can predict with it, and limits on its use", _specification),
    Item("23a", "How good it is, with intervals, also in groups; pictures", _performance),
    Item("23b", "How this differs between centres, if looked at"),
    Item("24", "Results of updating the model"),
    Item("25", "What the results mean, fairness and earlier studies among it"),
    Item("26", "Limitations: who is not represented, too few patients, fit to the data, missing values", _limitations),
    Item("27a", "How poor or missing input is met when it is used", _missing),
    Item("27b", "What users have to do and to know"),
    Item("27c", "What comes next, such as where it holds and for whom"),
)  # fmt: skip
"""All items in their order."""
