"""metrics.json as typed values: what a run found, read strictly and written as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...cache_schema import InputError
from ...registry import Package
from ..scores.measures import KINDS, PRIMARY
from ..scores.notes import decisive_notes
from ..scores.subgroups import TOGETHER
from ..scores.thresholds import SIDES, THIRDS, Calibrated
from ..words import AVAILABLE, combination_words
from .typed_json import OPEN, read, write

FORMAT = 3
"""Of metrics.json; to be raised with every change of its entries, and `UPGRADES` with it.

In format 1, which has no such entry, intervals were of the predictions of all folds together; 2 had no ``titles``,
``method_words`` and ``package``.
"""

OF_CLASSES = dict.fromkeys(KINDS, ("auroc", "auprc"))
"""Measures that every run of classes has, by the kind of its task."""

DIGEST_DIGITS = 12
"""Digits of a digest that are shown where it need not be compared."""

MEND = "Restore the file, or train again."

Interval = tuple[float, float]
Rows = tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Measured:
    """A number with its 95 % interval; None where it is not defined, or has none."""

    value: float | None
    ci: Interval | None


class Row:
    """An object of metrics.json in which a number ``name`` may have its interval beside it as ``name_ci``."""

    def measured(self, name: str) -> Measured:
        """Return a number and its interval by name."""
        entries = vars(self) | vars(self).get("entries", {})
        return Measured(entries.get(name), entries.get(f"{name}_ci"))


@dataclass(frozen=True)
class Score:
    """A measure: mean and standard deviation over folds, and the interval of the mean for other patients.

    None where it is not defined, the interval also of a measure that has none.
    """

    mean: float | None
    sd: float | None
    ci: Interval | None = None


@dataclass(frozen=True)
class Trial:
    """Settings that a search tried in a fold, and the loss of the validation part."""

    overrides: tuple[str, ...]
    loss: float | None


@dataclass(frozen=True)
class FoldScores:
    """The test part of one fold; ``measures`` by name, None where one is not defined.

    ``events`` are those of a time to an event.
    """

    fold: int
    rows: int
    positives: int | None
    measures: Mapping[str, float | None] = field(metadata=OPEN)
    epochs: int
    seconds: float
    search: tuple[Trial, ...] = ()
    events: int | None = None


@dataclass(frozen=True)
class Calibration(Row):
    """How far probabilities agree with what happened, see `scores.agreement`."""

    slope: float | None
    intercept: float | None
    observed_expected: float | None
    observed_expected_ci: Interval | None
    ece: float | None


@dataclass(frozen=True)
class Bin:
    """A point of the reliability curve: mean prediction and observed share or mean of a group with its interval."""

    predicted: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True)
class Alert(Row):
    """What alerting for the highest probabilities finds, see `scores.decisions`."""

    rate: float
    samples: int
    alerts: int
    threshold: float | None
    sensitivity: float | None
    sensitivity_ci: Interval | None
    specificity: float | None
    specificity_ci: Interval | None
    positive_predictive_value: float | None
    positive_predictive_value_ci: Interval | None


@dataclass(frozen=True)
class Subgroup(Row):
    """How good the predictions are for who has ``value`` of ``group``.

    ``positives`` are of a binary task, ``events`` of a time to an event; ``entries`` are measures, gaps to the group
    called ``reference`` and their intervals, see `scores.fairness`. ``too_few`` says in words why it is not compared.
    """

    group: str
    value: str
    samples: int
    patients: int
    positives: int | None
    entries: Mapping[str, float | Interval | None] = field(metadata=OPEN)
    events: int | None = None
    reference: str = ""
    too_few: str = ""


@dataclass(frozen=True)
class Threshold:
    """What an answer called ``name`` has to keep to be in a set, see `scores.conformal`; None if it is in every one.

    Of quantities half the width of an interval, for predictions ``up_to`` a value in the lower two thirds.
    """

    name: str
    threshold: float | None
    patients: int
    up_to: float | None = None


@dataclass(frozen=True)
class Covered(Row):
    """How often sets held the truth among the samples of which ``by`` is ``name``; shares of sets by their size.

    ``width`` is that of intervals of quantities, None where some have no end.
    """

    by: str
    name: str
    samples: int
    covered: float
    covered_ci: Interval
    empty: float | None = None
    single: float | None = None
    several: float | None = None
    width: float | None = None

    @property
    def part(self) -> str:
        """Which samples these are: ``all samples``, ``class positive``, or ``samples with cxr + ehr``."""
        if self.by == AVAILABLE and self.name == TOGETHER:
            return f"rare combinations: {self.name}"
        if self.by == AVAILABLE:
            return f"samples with {combination_words(self.name)}"
        return f"{self.by} {self.name}" if self.by else "all samples"


@dataclass(frozen=True)
class Conformal:
    """Sets of classes, or intervals of quantities, that hold the truth with a chance of ``level``.

    ``thresholds`` are for samples of other patients; ``coverage`` is measured, that of all samples first.
    """

    level: float
    thresholds: tuple[Threshold, ...]
    coverage: tuple[Covered, ...]

    def calibrated(self, kind: str) -> Calibrated:
        """Return the thresholds as arrays, for a task of this kind."""
        shape = -1, {"multiclass": len(self.thresholds), "regression": len(THIRDS)}.get(kind, len(SIDES))
        values = [np.inf if one.threshold is None else one.threshold for one in self.thresholds]
        patients = [one.patients for one in self.thresholds]
        cuts = [one.up_to for one in self.thresholds if one.up_to is not None]
        return Calibrated(
            self.level,
            np.reshape(values, shape),
            np.reshape(patients, shape),
            np.reshape(cuts, (-1, len(THIRDS) - 1)) if kind == "regression" else None,
        )


@dataclass(frozen=True)
class Answered(Row):
    """The most certain ``share`` of the samples: how many err, and of binary tasks the AUROC among them."""

    share: float
    samples: int
    error: float
    error_ci: Interval
    auroc: float | None = None
    auroc_ci: Interval | None = None


@dataclass(frozen=True)
class Abstention:
    """What staying silent where it is least certain would gain, see `scores.abstention`."""

    points: tuple[Answered, ...]
    area: float
    random: float
    best: float


@dataclass(frozen=True)
class LabelScores(Row):
    """One label or class against the rest, or one of several quantities; ``entries`` are measures, with intervals.

    ``positives`` and ``calibration`` are of labels, ``reliability`` of quantities.
    """

    label: str
    positives: int | None
    entries: Mapping[str, float | Interval | None] = field(metadata=OPEN)
    calibration: Calibration | None
    reliability: tuple[Bin, ...] = ()


@dataclass(frozen=True)
class Horizon(Row):
    """Predicted survival at a time, see `scores.outcome_agreement`: who is how well known, ranked, and how many.

    ``at_risk`` are observed at least so long, ``events`` came by then. ``observed`` is the chance of the event by then
    as Kaplan and Meier estimate it, ``expected`` the mean of those predicted, ``groups`` both by predicted chance.
    ``events_expected`` are the events that were predicted for as long as each was observed; earlier runs have none.
    """

    time: float
    at_risk: int
    events: int
    auroc: float | None
    auroc_ci: Interval | None
    observed: float | None
    observed_ci: Interval | None
    expected: float
    groups: tuple[Bin, ...]
    events_expected: float | None = None
    observed_expected: float | None = None
    observed_expected_ci: Interval | None = None


@dataclass(frozen=True)
class PatternScores(Row):
    """Who has exactly some ``modalities``, such as ``cxr+ehr``; ``entries`` are measures, and their intervals."""

    modalities: str
    rows: int
    positives: int | None
    entries: Mapping[str, float | Interval | None] = field(metadata=OPEN)
    calibration: Calibration | None


@dataclass(frozen=True)
class Hidden:
    """What was hidden on purpose, see `MissingConfig`; ``lost`` is how many samples lost each modality.

    If in the test alone, the measures of the ``complete`` test, over all draws, and of each draw.
    """

    rate: float
    protocol: str
    modality: str | None
    seed: int
    draws: int
    lost: Mapping[str, int]
    complete: Mapping[str, Score] | None = None
    over_draws: Mapping[str, Score] | None = None
    each_draw: tuple[Mapping[str, Score], ...] = ()


@dataclass(frozen=True)
class Alone:
    """The fold-mean AUROC of one modality alone."""

    modality: str
    auroc_where_present: float | None
    auroc_on_all: float | None


@dataclass(frozen=True)
class MethodDetails:
    """What the model of each fold says of itself, in the method's own words, and how good each modality is alone."""

    folds: Rows = ()
    modalities: tuple[Alone, ...] = ()


@dataclass(frozen=True)
class CacheFacts:
    """The cache that was trained on."""

    path: str
    digest: str
    dataset: str
    versions: Mapping[str, str]

    def words(self) -> Iterator[str]:
        """Yield of which data it is, by what it was made, and the beginning of its digest."""
        author = self.versions.get("omnifuse")
        yield f"data set {self.dataset}" + (f", cache made by OmniFuse {author}" if author else "")
        yield f"cache digest {self.digest[:DIGEST_DIGITS]}"


@dataclass(frozen=True)
class Titles:
    """What the cache calls its task and its modalities for people; without a title they go by their names."""

    task: str | None
    modalities: Mapping[str, str]


@dataclass(frozen=True)
class MethodWords:
    """What the method's class says for a report: title and meaning of its loss terms, and what its weights mean."""

    terms: Mapping[str, tuple[str, str]]
    weight: str | None


@dataclass(frozen=True, repr=False)
class RunMetrics:
    """Everything of metrics.json. Measures are means over folds, see `runs.summary`.

    ``positives``, ``calibration`` and ``alert`` are of binary tasks, ``reliability`` of those and of quantities,
    ``horizons`` of times to an event; ``per_label`` is of several labels or outcomes. ``conformal`` is of all but times
    to an event, ``abstention`` of one label and of classes; runs of earlier versions have neither. ``cohort`` counts
    the samples after each filter, ``presence`` those with exactly each combination of modalities. ``unit`` is that of
    quantities and times; of a time to an event ``events`` counts who had it, and ``times`` are those at which survival
    is predicted. ``package`` brought the method, None if it is one of OmniFuse; ``encoder_packages`` the trainable
    encoders that are none of OmniFuse, None if the script that trained registered one. ``sites`` are what the folds
    tested, where each is a site.
    """

    run: str
    format: int
    task: str
    method: str
    kind: str
    labels: tuple[str, ...]
    modalities: tuple[str, ...]
    seed: int
    samples: int
    positives: int | None
    folds: tuple[FoldScores, ...]
    measures: Mapping[str, Score] = field(metadata=OPEN)
    calibration: Calibration | None
    reliability: tuple[Bin, ...] | None
    alert: Alert | None
    per_subgroup: tuple[Subgroup, ...]
    per_label: tuple[LabelScores, ...]
    per_pattern: tuple[PatternScores, ...]
    cohort: tuple[tuple[str, int], ...]
    presence: Mapping[str, int]
    missing: Hidden | None
    notes: tuple[str, ...]
    method_details: MethodDetails
    method_words: MethodWords
    titles: Titles
    package: Package | None
    cache: CacheFacts
    recipes: Mapping[str, Any]
    finished: str
    seconds: float
    encoder_packages: Mapping[str, Package | None] = field(default_factory=dict)
    events: int | None = None
    times: tuple[float, ...] = ()
    unit: str = ""
    horizons: tuple[Horizon, ...] = ()
    patients: int | None = None
    sites: tuple[str, ...] = ()
    conformal: Conformal | None = None
    abstention: Abstention | None = None

    @classmethod
    def from_json(cls, content: Mapping[str, Any], where: str = "metrics.json") -> RunMetrics:
        """Read the content of metrics.json, that of an earlier format too; ``where`` is named in messages.

        Raises
        ------
        InputError
            If it is of another format than can be read, or an entry is missing, unknown or of another type.
        """
        found = content.get("format")
        if not isinstance(found, int) or found > FORMAT or not (found == FORMAT or found in UPGRADES):
            raise InputError(f"{where} {_refusal(found)}")
        while found < FORMAT:
            content = UPGRADES[found](content)
            found += 1
        try:
            metrics = read(cls, content, where)
            expected = dict.fromkeys((PRIMARY.get(metrics.kind, "auroc"), *OF_CLASSES.get(metrics.kind, ())))
            if absent := [name for name in expected if name not in metrics.measures]:
                raise InputError(f"{where} lacks {', '.join(absent)}.")
        except InputError as error:
            raise InputError(f"{error} {MEND}") from None
        return metrics

    def __repr__(self) -> str:
        """Return it in one line; `to_json` has everything."""
        means = (f"{name} {score.mean:.3f}" for name, score in self.measures.items() if score.mean is not None)
        what = f"{self.method} on {self.task}, {self.samples} samples, {len(self.folds)} folds"
        return f"<{type(self).__name__} of {self.run}: {'; '.join([what, *means])}>"

    def to_json(self) -> dict[str, Any]:
        """Return the content of metrics.json."""
        content: dict[str, Any] = write(self)
        for name, score in self.measures.items():
            if score.mean is None:  # then a measure that has intervals has none either
                content[name].setdefault("ci", None)
        return content

    @property
    def auroc(self) -> Score:
        """The area under the ROC curve, of classes."""
        return self.measures["auroc"]

    @property
    def auprc(self) -> Score:
        """The average precision, of classes."""
        return self.measures["auprc"]

    @property
    def caveats(self) -> tuple[str, ...]:
        """What decides whether any number means something."""
        return decisive_notes(self.cache.dataset, self.recipes, self.notes)

    @property
    def counted(self) -> str:
        """What ``samples`` counts: samples, or predictions of some patients."""
        return "samples" if self.patients is None else f"predictions of {self.patients:,} patients"

    @property
    def task_title(self) -> str:
        """What the task predicts, in words where the cache has some."""
        return self.titles.task or self.task

    def modality_title(self, name: str) -> str:
        """Return ``cxr (chest X-rays)``, or the bare name of a modality without a title."""
        title = self.titles.modalities.get(name)
        return f"{name} ({title})" if title else name


def _refusal(found: Any) -> str:
    if isinstance(found, int) and found > FORMAT:
        return f"is of format {found}; this OmniFuse reads up to {FORMAT}. Install a newer OmniFuse."
    return f"is no file of a run of this or the last version of OmniFuse (format {found!r}). Train again."


def _with_words_and_package(content: Mapping[str, Any]) -> Mapping[str, Any]:
    words, titles = write(MethodWords({}, None)), write(Titles(None, {}))
    return {**content, "format": 3, "method_words": words, "titles": titles, "package": None}


UPGRADES: dict[int, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {2: _with_words_and_package}
"""How the content of each earlier format becomes that of the next."""
