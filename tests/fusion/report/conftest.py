"""Run folders as ``omnifuse train`` leaves them, small and made up, with known structure."""

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from omnifuse.fusion.scores.agreement import reliability
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
from sklearn.metrics import average_precision_score, roc_auc_score

MODALITIES = ("cxr", "ehr", "rep")
COMBINATIONS = ["+".join(c) for n in (1, 2, 3) for c in itertools.combinations(MODALITIES, n)]
EPOCHS = 24


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def area(score: Callable[..., float], y: np.ndarray, p: np.ndarray) -> float | None:
    return float(score(y, p)) if 0 < y.sum() < len(y) else None


def summary(values: list[float | None]) -> dict[str, Any]:
    defined = [value for value in values if value is not None]
    mean = float(np.mean(defined))
    return {"mean": mean, "sd": float(np.std(defined, ddof=1)), "ci": [mean - 0.03, min(1.0, mean + 0.03)]}


def alert_of(y: np.ndarray, p: np.ndarray) -> dict[str, Any]:
    """The highest tenth raises an alert; no two probabilities are equal here."""
    alerts = len(y) // 10
    highest = np.argsort(-p)[:alerts]
    found = int(y[highest].sum())
    shares = {"sensitivity": found / max(1, int(y.sum())), "positive_predictive_value": found / alerts}
    return {
        "rate": 0.1, "samples": len(y), "alerts": alerts, "threshold": float(p[highest].min()), **shares,
        **{f"{name}_ci": [share - 0.05, share + 0.05] for name, share in shares.items()},
    }  # fmt: skip


def presence_of(present: dict[str, np.ndarray]) -> dict[str, int]:
    rows = np.stack([present[m] for m in MODALITIES], axis=1)
    patterns, counts = np.unique(rows, axis=0, return_counts=True)
    return {"+".join(np.array(MODALITIES)[p]): int(n) for p, n in zip(patterns, counts, strict=True)}


def write_history(run: Path, folds: int, rng: np.random.Generator, terms: tuple[str, ...]) -> None:
    for fold in range(folds):
        epochs = EPOCHS - fold % 2
        rows = [
            (
                epoch,
                part,
                term,
                (1 + i) * (0.35 + np.exp(-epoch / 6)) + 0.02 * rng.normal() + 0.05 * (part == "validation"),
            )
            for epoch in range(epochs)
            for part in ("train", "validation")
            for i, term in enumerate(terms)
            if not (term == "tla" and part == "validation")
        ]
        folder = run / "folds" / str(fold)
        folder.mkdir(parents=True)
        schema = ["epoch", "part", "term", "value"]
        pl.DataFrame(rows, schema=schema, orient="row").write_parquet(folder / "history.parquet")


def write_laziness(run: Path, folds: int, rng: np.random.Generator, lazy_epochs: int = 20) -> None:
    """``cxr`` is chosen in the first ``lazy_epochs`` epochs of every fold, ``cxr+rep`` afterwards."""
    rows = []
    for fold, epoch in itertools.product(range(folds), range(EPOCHS)):
        chosen = "cxr" if epoch < lazy_epochs else "cxr+rep"
        for combination in COMBINATIONS:
            size = combination.count("+") + 1
            distance = 0.55 - 0.06 * size - 0.05 * ("ehr" in combination) - 0.003 * epoch + 0.006 * rng.normal()
            distance += 0.08 * (combination == chosen)
            excess = None if size == 1 else 0.02 * rng.normal() - 0.015 + 0.05 * (combination == chosen)
            rows.append((fold, epoch, combination, distance, excess, 400, combination == chosen))
    schema = ["fold", "epoch", "combination", "distance", "excess", "rows", "chosen"]
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(run / "laziness.parquet")


def write_json(run: Path, metrics: dict[str, Any]) -> None:
    environment = {
        "python": "3.11.7", "platform": "Linux x86_64", "cpus": 2, "versions": {"omnifuse": "0.1.0", "torch": "2.9.1"},
    }  # fmt: skip
    options = {"alpha": 0.1, "lambda3": 0.5} if metrics["method"] == "omnifuse" else {}
    config = {"method": metrics["method"], "options": options, "fit": {"epochs": EPOCHS}}
    for name, content in (("metrics", metrics), ("environment", environment), ("config", config)):
        (run / f"{name}.json").write_text(json.dumps(content))


def base_metrics(run: Path, kind: str, samples: int, present: dict[str, np.ndarray]) -> dict[str, Any]:
    return {
        "run": run.name, "kind": kind, "modalities": list(MODALITIES), "seed": 0, "seconds": 41.2, "samples": samples,
        "cohort": [["ICU stays in the tables", 2 * samples], ["adults", 2 * samples - 9],
                   ["first stay of the patient", samples + samples // 3], ["at least 48 h", samples]],
        "presence": presence_of(present),
        "cache": {"path": "cache", "digest": "5f" * 32, "dataset": "mimic", "versions": {"omnifuse": "0.0.9"}},
        "recipes": {"cxr": {"encoder": {"name": "resnet34", "weights": "sha256:ab12"}, "pixels": 224},
                    "ehr": {"bin_hours": 2.0, "profile": "clean"},
                    "rep": {"encoder": {"name": "bert-base-uncased"}, "sections": "findings"}},
        "notes": [], "method_details": {"folds": [{"epochs": 24}]},
    }  # fmt: skip


def binary_run(run: Path, samples: int = 1200, base_rate: float = -2.3, seed: int = 0) -> Path:
    """OmniFuse on a binary task, 5 folds; ``ehr`` is always there, ``cxr`` and ``rep`` sometimes."""
    run.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    risk = rng.normal(size=(samples, 3)) * [0.6, 1.2, 0.4]
    y = (rng.random(samples) < sigmoid(base_rate + risk.sum(axis=1))).astype(float)
    fold = np.arange(samples) % 5
    share = {"cxr": 0.7, "ehr": 1.0, "rep": 0.5}
    present = {m: rng.random(samples) < share[m] for m in MODALITIES}
    columns: dict[str, Any] = {"sample_id": [f"stay-{10_000_000 + i}" for i in range(samples)], "fold": fold, "y": y}
    own = {
        m: sigmoid(base_rate + 0.3 * rng.normal(size=samples) + present[m] * risk[:, i])
        for i, m in enumerate(MODALITIES)
    }
    p = sigmoid(
        base_rate + 0.2 * rng.normal(size=samples) + sum(present[m] * risk[:, i] for i, m in enumerate(MODALITIES))
    )
    columns["p"] = p
    for m in MODALITIES:
        others = np.prod([1 - np.maximum(own[n], 1 - own[n]) for n in MODALITIES if n != m], axis=0)
        columns |= {
            f"{m}.present": present[m],
            f"{m}.imputed": ~present[m],
            f"{m}.p": own[m],
            f"{m}.weight": others**0.25,
        }
    pl.DataFrame(columns).write_parquet(run / "predictions.parquet")
    folds = [
        {"fold": k, "rows": int((fold == k).sum()), "positives": int(y[fold == k].sum()), "epochs": EPOCHS,
         "seconds": 8.1, "auroc": area(roc_auc_score, y[fold == k], p[fold == k]),
         "auprc": area(average_precision_score, y[fold == k], p[fold == k])}
        for k in range(5)
    ]  # fmt: skip
    metrics = base_metrics(run, "binary", samples, present) | {
        "task": "mortality", "method": "omnifuse", "labels": ["mortality"], "positives": int(y.sum()), "folds": folds,
        "auroc": summary([f["auroc"] for f in folds]),
        "auprc": summary([f["auprc"] for f in folds]), "per_label": [],
        "reliability": reliability(y, p, np.arange(samples)),
        "alert": alert_of(y, p), "finished": "2026-11-30T17:53:05+00:00",
    }  # fmt: skip
    write_json(run, metrics)
    write_history(run, 5, rng, ("total", "forward", "backward", "enc", "joint", "tla"))
    write_laziness(run, 5, rng)
    return run


def multilabel_run(run: Path, samples: int = 600, labels: int = 25) -> Path:
    """Concatenation on 25 labels, 3 folds: no weights, no trace."""
    run.mkdir(parents=True)
    rng = np.random.default_rng(1)
    names = [f"phenotype {i:02d}" for i in range(labels)]
    logit = np.linspace(-3, -0.5, labels) + rng.normal(size=(samples, labels))
    y, p = (rng.random(logit.shape) < sigmoid(logit)).astype(float), sigmoid(0.8 * logit)
    fold = np.arange(samples) % 3
    present = {m: np.ones(samples, dtype=bool) for m in MODALITIES}
    columns: dict[str, Any] = {"sample_id": np.arange(samples), "fold": fold}
    columns |= {f"y_{n}": y[:, i] for i, n in enumerate(names)} | {f"p_{n}": p[:, i] for i, n in enumerate(names)}
    columns |= {f"{m}.present": present[m] for m in MODALITIES}
    pl.DataFrame(columns).write_parquet(run / "predictions.parquet")
    folds = [
        {"fold": k, "rows": int((fold == k).sum()), "positives": None, "epochs": EPOCHS, "seconds": 5.5,
         "auroc": float(roc_auc_score(y[fold == k], p[fold == k])), "auprc": 0.4}
        for k in range(3)
    ]  # fmt: skip
    per_label = [
        {"label": n, "auroc": roc_auc_score(y[:, i], p[:, i]), "auprc": average_precision_score(y[:, i], p[:, i]),
         "positives": int(y[:, i].sum())}
        for i, n in enumerate(names)
    ]  # fmt: skip
    metrics = base_metrics(run, "multilabel", samples, present) | {
        "task": "phenotyping", "method": "concat", "labels": names, "positives": None, "folds": folds,
        "auroc": summary([f["auroc"] for f in folds]), "auprc": summary([0.4, 0.41, 0.42]),
        "per_label": per_label,
    }  # fmt: skip
    write_json(run, metrics)
    write_history(run, 3, rng, ("total", "ce"))
    return run


def tiny_run(run: Path) -> Path:
    """60 stays, few deaths, none in fold 3: its scores are not defined."""
    binary_run(run, samples=60, base_rate=-1.0, seed=3)
    table = pl.read_parquet(run / "predictions.parquet")
    table = table.with_columns(y=pl.when(pl.col("fold") == 3).then(0.0).otherwise("y"))
    table.write_parquet(run / "predictions.parquet")
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["folds"][3] |= {"auroc": None, "auprc": None, "positives": 0}
    metrics["positives"] = int(table["y"].sum())
    metrics["auprc"]["ci"] = None
    metrics["auroc"]["ci"], metrics["cache"]["dataset"] = [0.46, 0.83], "synthetic"
    metrics["recipes"]["cxr"]["encoder"] = metrics["recipes"]["rep"]["encoder"] = "random"
    metrics["notes"] = [
        f"Only {metrics['positives']} of 60 test samples are positive: too few to conclude anything.",
        "Fold 3 has one class in its test part: AUROC and AUPRC are not defined there.",
    ]
    (run / "metrics.json").write_text(json.dumps(metrics))
    return run


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return binary_run(tmp_path_factory.mktemp("runs") / "binary")


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory, binary: Path) -> Path:
    """The same run from a method that leaves no history and no trace: quick to draw."""
    skip = shutil.ignore_patterns("folds", "laziness.parquet", "report.html")
    return shutil.copytree(binary, tmp_path_factory.mktemp("runs") / "plain", ignore=skip)


@pytest.fixture
def run(plain: Path, tmp_path: Path) -> Path:
    """A copy of ``plain`` to spoil."""
    return shutil.copytree(plain, tmp_path / "run")


@pytest.fixture(scope="session")
def multilabel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return multilabel_run(tmp_path_factory.mktemp("runs") / "multilabel")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_run(tmp_path_factory.mktemp("runs") / "tiny")


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
