"""Runs that were trained on small caches with known structure, and what a study may find."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import Column as CacheColumn
from omnifuse.cache_schema import ModalitySpec, StagedCache, Task
from omnifuse.fusion.files import write_json, write_table
from omnifuse.fusion.runs.folder import RunFolder
from omnifuse.fusion.runs.metrics import RunMetrics
from omnifuse.fusion.runs.run import load_run
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.sealed_folder import SEAL, seal
from omnifuse.fusion.study.results import (
    Chapter,
    Column,
    Estimate,
    KeyFigure,
    Note,
    ResultFigure,
    ResultTable,
    Series,
    StudyResults,
)
from omnifuse.fusion.training.config import make_config

MODALITIES = ("cxr", "ehr", "rep")
TITLES = {"cxr": "chest X-rays", "ehr": "vital signs and laboratory values over time", "rep": "radiology reports"}
RECIPES: dict[str, dict[str, Any]] = {
    "cxr": {"encoder": {"name": "resnet34", "weights": "sha256:ab12"}, "pixels": 224},
    "ehr": {"bin_hours": 2.0, "profile": "clean"},
    "rep": {"encoder": {"name": "bert-base-uncased"}, "sections": "findings"},
}
SHARE = {"cxr": 0.7, "ehr": 1.0, "rep": 0.5}
EPOCHS = 2
KEPT = {".json", ".parquet", ".safetensors"}


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def write_cache(
    path: Path, task: Task, hints: np.ndarray, share: dict[str, float], dataset: str, recipes: dict[str, Any]
) -> Path:
    """Write a cache of three modalities: each shows one of ``hints`` [N, 3], and noise, of a share of the stays."""
    rng = np.random.default_rng(0)
    staged = StagedCache(path, dataset, {"omnifuse": "0.0.9"})
    stays = [f"stay-{10_000_000 + i}" for i in range(len(hints))]
    staged.add_samples(pl.DataFrame({"sample_id": stays, "subject_id": [f"patient-{i}" for i in range(len(hints))]}))
    for m, name in enumerate(MODALITIES):
        present = rng.random(len(hints)) < share[name]
        values = np.stack([hints[:, m], rng.normal(size=len(hints))], axis=1).astype(np.float32)[present]
        columns = (CacheColumn("hint", "", "hint"), CacheColumn("noise", "", "noise"))
        spec = ModalitySpec(name, "features", "row", recipes[name], columns, TITLES[name])
        times = np.full(len(values), 2.0, dtype=np.float32)
        staged.add_modality(spec, present.astype(np.int64), 2, [values], times)
    staged.add_task(task)
    staged.commit({})
    return path


def binary_run(folder: Path, samples: int = 1200) -> Path:
    """OmniFuse on a binary task, 5 folds; ``ehr`` is always there, ``cxr`` and ``rep`` sometimes."""
    rng = np.random.default_rng(0)
    risk = rng.normal(size=(samples, 3)) * [0.6, 1.2, 0.4]
    y = (rng.random(samples) < sigmoid(-2.3 + risk.sum(axis=1))).astype(np.float32)[:, None]
    counts = (
        ("ICU stays in the tables", 2 * samples), ("adults", 2 * samples - 9),
        ("first stay of the patient", samples + samples // 3), ("at least 48 h", samples),
    )  # fmt: skip
    task = Task("mortality", "binary", ("mortality",), y, counts=counts, title="in-hospital mortality")
    cache = write_cache(folder / "cache", task, risk, SHARE, "mimic", RECIPES)
    settings = (f"fit.epochs={EPOCHS}", "validation=0.1", "options.alpha=0.1")
    return train(cache, make_config("omnifuse", overrides=settings), folder / "binary").path


def multilabel_run(folder: Path, samples: int = 600, labels: int = 25) -> Path:
    """Concatenation on 25 labels, 3 folds: no weights, no trace."""
    rng = np.random.default_rng(1)
    hints = rng.normal(size=(samples, 3))
    logit = np.linspace(-2.5, -0.5, labels) + hints[:, np.arange(labels) % 3]
    y = (rng.random(logit.shape) < sigmoid(logit)).astype(np.float32)
    names = tuple(f"phenotype {i:02d}" for i in range(labels))
    task = Task("phenotyping", "multilabel", names, y, title="acute care phenotypes")
    cache = write_cache(folder / "cache", task, hints, dict.fromkeys(MODALITIES, 1.0), "mimic", RECIPES)
    return train(cache, make_config("concat", overrides=("fit.epochs=2", "folds=3")), folder / "multilabel").path


def tiny_run(folder: Path) -> Path:
    """60 stays, four deaths, so that one fold of five has none, made-up data and encoders that know nothing."""
    hints = np.random.default_rng(3).normal(size=(60, 3))
    y = (np.arange(60) % 15 == 0).astype(np.float32)[:, None]
    task = Task("mortality", "binary", ("mortality",), y, title="in-hospital mortality")
    recipes = {**RECIPES, "cxr": {"encoder": "random"}, "rep": {"encoder": "random"}}
    cache = write_cache(folder / "cache", task, hints, SHARE, "synthetic", recipes)
    return train(cache, make_config("omnifuse", overrides=("fit.epochs=2",)), folder / "tiny").path


def reseal(run: Path) -> None:
    """Take a run folder as it is, without its pages, for what a training left."""
    seal(run, (path for path in run.rglob("*") if path.suffix in KEPT and path.name != SEAL))


def alter_metrics(run: Path, /, **entries: Any) -> RunMetrics:
    """Let a training have found something else; measures such as ``auroc`` go by name."""
    old = load_run(run).metrics
    measures = {name: entries.pop(name) for name in old.measures if name in entries}
    new = replace(old, measures={**old.measures, **measures}, **entries)
    write_json(RunFolder(run).metrics, new.to_json())
    reseal(run)
    return new


def alter_predictions(run: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
    """Let the models of a run have predicted something else."""
    table = change(load_run(run).predictions)
    write_table(RunFolder(run).predictions, table)
    reseal(run)
    return table


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return binary_run(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory, binary: Path) -> Path:
    """The same run from a method that leaves no history and no tables: quick to draw."""
    skip = shutil.ignore_patterns("history.parquet", "laziness.parquet", "imputation.parquet", "report.html", "tables")
    run = shutil.copytree(binary, tmp_path_factory.mktemp("runs") / "plain", ignore=skip)
    reseal(run)
    return run


@pytest.fixture
def run(plain: Path, tmp_path: Path) -> Path:
    """A copy of ``plain`` to spoil."""
    return shutil.copytree(plain, tmp_path / "run")


@pytest.fixture(scope="session")
def multilabel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return multilabel_run(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_run(tmp_path_factory.mktemp("runs"))


METHODS = (
    "omnifuse", "dwfuse", "concat", "late", "late_weighted", "boosting", "logistic", "transformer", "medfuse",
    "joint, with missing modalities imputed", "stacking", "mofa",
)  # fmt: skip


def compared() -> ResultTable:
    """Twelve methods with intervals, standard deviations, counts, words, and a score that is not defined."""
    rows = tuple(
        (
            name,
            Estimate(0.8614 - 0.0053 * i, 0.8453 - 0.0053 * i, 0.8742 - 0.0053 * i),
            Estimate(0.512 - 0.011 * i, sd=0.0184) if name != "mofa" else None,
            Estimate(-0.0053 * i, -0.0053 * i - 0.012, -0.0053 * i + 0.009) if i else None,
            1000 * (i + 1),
            12.34 + i,
            "neural" if i % 2 else "gradient boosting",
        )
        for i, name in enumerate(METHODS)
    )
    columns = (
        Column("method"), Column("AUROC"), Column("AUPRC"), Column("difference to omnifuse", signed=True),
        Column("parameters"), Column("seconds", decimals=1), Column("family"),
    )  # fmt: skip
    reading = "AUROC with its 95 % interval, AUPRC with the standard deviation over seeds; 100 % of the test rows."
    return ResultTable("methods", "All methods on the same test rows", reading, columns, rows)


def robustness(count: int, name: str) -> ResultFigure:
    x = tuple(0.1 * k for k in range(10))
    series = []
    for i, method in enumerate(METHODS[:count]):
        y = tuple(0.87 - 0.008 * i - (0.05 + 0.02 * i) * rate**1.5 for rate in x)
        low, high = tuple(v - 0.012 for v in y), tuple(v + 0.012 for v in y)
        series.append(Series(method, x, y, low, high, dashed=i % 3 == 2))
    caption = "Mean over five seeds with 95 % intervals. Dashed: methods that need every modality."
    return ResultFigure(name, f"AUROC of {count} methods with missing modalities", caption,
                        "share of modalities removed at test time", "AUROC", tuple(series), reference=0.8)  # fmt: skip


def likeness() -> ResultFigure:
    rng = np.random.default_rng(0)
    families = ("neural network", "kernel or linear", "trees", "paper")
    series = tuple(
        Series(
            f"{name.split(',')[0]}{k or ''}", (float(rng.normal(i % 4)),), (float(rng.normal()),), group=families[i % 4]
        )
        for k in range(2)
        for i, name in enumerate(METHODS)
    )
    caption = "Methods that lie close together rank the patients alike. The axes have no meaning of their own."
    return ResultFigure("map", "Which methods predict alike", caption, "", "", series, kind="points")


def differences() -> ResultFigure:
    series = tuple(
        Series(
            f"omnifuse − {name}",
            (0.0,),
            (0.004 * i,),
            (0.004 * i - 0.01,),
            (0.004 * i + 0.011,),
        )
        for i, name in enumerate(METHODS[1:10])
    )
    caption = "Same test rows, patients drawn again and again. Left of the dashed line the other method is better."
    return ResultFigure("differences", "How much better omnifuse is", caption, "difference of AUROC", "", series,
                        kind="intervals", reference=0.0)  # fmt: skip


@pytest.fixture(scope="session")
def results() -> StudyResults:
    """A study with every kind of value, table, figure and note."""
    small = ResultTable(
        "patterns", "By what was available", "Few positives tell little.", (Column("available"), Column("samples")),
        (("labs", 120), ("labs + vitals", 3200)),
    )  # fmt: skip
    return StudyResults(
        name="icu-study",
        made=("30 November 2026, 17:53 UTC", "cache digest 5f5f5f5f5f5f"),
        caveats=("All encoders are random.",),
        answer="late is better than concat: +0.011.",
        ranking=ResultTable(
            "ranking", "Every method, best first", "Long ago: " * 40, (Column("method"), Column("AUROC")),
            (("late", 0.8614), ("concat", 0.8508)),
        ),
        grid="title: Twelve ways\nseeds:\n- 0\n- 1\n",
        names=(("late", "Every modality has a model of its own, and their answers are averaged."),),
        title="Twelve ways to fuse labs, vitals and constants",
        lead="Twelve methods were trained on the same 4,000 stays to predict in-hospital mortality, five seeds each.",
        notes=("The data are synthetic: no number here says anything about patients.",
               "Five seeds are few: differences below 0.01 are not told from chance."),
        numbers=(
            KeyFigure("Best AUROC", Estimate(0.8614, 0.8453, 0.8742), "omnifuse"),
            KeyFigure("Gain over concat", Estimate(0.0106, -0.003, 0.021), "same test rows", signed=True),
            KeyFigure("Trainings", Estimate(720), "12 methods, 5 seeds, 12 rates"),
            KeyFigure("Share of energy", Estimate(12.25, sd=0.5), "percent", decimals=1),
        ),
        chapters=(
            Chapter("compare", "Which method is best",
                    (Note("No choice was made on test rows."), compared(), differences(), likeness())),
            Chapter("missing", "What happens when modalities are missing",
                    (Note("The masks are random; in a hospital they are not.", warning=True),
                     robustness(10, "missing"), robustness(4, "missing-few"), small)),
        ),
        repeat="omnifuse study --cache cache --task mortality --preset baselines --out icu-study --seed 0",
        facts=(("digest of the cache", "5f" * 32), ("versions: torch", "2.9.1"), ("seeds", "0, 1, 2, 3, 4")),
    )  # fmt: skip
