"""Every method on ROSMAP (245 patients to train on, 106 to test, three omics views): imported, trained, compared.

    python benchmarks/rosmap.py FOLDER [--methods mogonet,logistic] [--seeds 5]

FOLDER holds the files that were published with MOGONET: ``1_tr.csv``, ``1_te.csv``, ``labels_tr.csv``, and so on;
without it nothing is done. The table has the AUROC of a 5-fold cross-validation inside the 245, by which a method may
be chosen, beside accuracy, F1 and AUROC of the 106: means over seeds, the standard deviation over seeds, and the
interval of the mean AUROC for other patients and trainings. With 106 patients the standard error of an AUROC is about
0.03: the table shows what to expect, and ranks nothing.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from omnifuse.fusion.methods import METHODS
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.scores.areas import AUROC
from omnifuse.fusion.scores.paired import over_trainings
from omnifuse.fusion.scores.resampling import mean_over_folds, patient_weights
from omnifuse.fusion.training.config import make_config
from omnifuse.pipeline.core.plan import Encoders
from omnifuse.pipeline.core.stages import extract
from omnifuse.pipeline.sources.imported.data_set import ImportedDataSet
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

VIEWS = {"rna": 1, "methylation": 2, "mirna": 3}
LABEL = "alzheimer"


def write_tables(folder: Path, into: Path, parts: Sequence[str]) -> ImportedDataSet:
    """Write the published matrices as tables with ids, and return them as a data set with a split."""
    into.mkdir()
    labels = [np.loadtxt(folder / f"labels_{part}.csv").astype(int) for part in parts]
    part = np.repeat(["train", "test"][: len(parts)], [len(y) for y in labels])
    ids = np.arange(len(part))
    pl.DataFrame({"sample_id": ids, LABEL: np.concatenate(labels), "split": part}).write_csv(into / "samples.csv")
    files = {}
    for name, number in VIEWS.items():
        values = np.concatenate([np.loadtxt(folder / f"{number}_{part}.csv", delimiter=",") for part in parts])
        columns = (folder / f"{number}_featname.csv").read_text().split()
        files[name] = into / f"{name}.csv"
        pl.DataFrame({"sample_id": ids, **dict(zip(columns, values.T, strict=True))}).write_csv(files[name])
    return ImportedDataSet(into / "samples.csv", files, [LABEL], "split" if len(parts) > 1 else None)


def interval(y: np.ndarray, chances: Sequence[np.ndarray]) -> list[float]:
    """Return the 95 % interval of the mean AUROC over seeds, for other patients and trainings."""
    weights = patient_weights(len(y))
    scores = [p[None, :, None].astype(float) for p in chances]
    fold, patients = np.zeros(len(y)), np.arange(len(y))
    drawn = [mean_over_folds(AUROC.over_labels, y[:, None], p, fold, patients, weights) for p in scores]
    found = over_trainings(np.stack(drawn))
    assert found is not None
    return [round(max(0.0, found.low), 3), round(min(1.0, found.high), 3)]


def measured(name: str, preset: str, everyone: Path, training: Path, seeds: int, work: Path) -> dict[str, Any]:
    """Return the scores of one method."""
    tests, inner = [], []
    label = f"{name}-{preset}"
    for seed in range(seeds):
        run = work / f"{label}-{seed}"
        train(everyone, make_config(name, preset, seed=seed), run)
        tests.append(pl.read_parquet(run / "predictions.parquet").sort("sample_id"))
        inner.append(train(training, make_config(name, preset, seed=seed), work / f"{label}-inner-{seed}", 1))
    y = tests[0]["y"].to_numpy().astype(int)
    chances = [test["p"].to_numpy() for test in tests]
    auroc = [roc_auc_score(y, p) for p in chances]
    return {
        "method": name if preset == "default" else f"{name} {preset}",
        "cv_auroc": round(float(np.mean([run.metrics.auroc.mean for run in inner])), 3),
        "accuracy": round(float(np.mean([accuracy_score(y, p > 0.5) for p in chances])), 3),
        "f1": round(float(np.mean([f1_score(y, p > 0.5) for p in chances])), 3),
        "auroc": round(float(np.mean(auroc)), 3),
        "sd_over_seeds": round(float(np.std(auroc, ddof=1)), 3) if seeds > 1 else None,
        "ci": interval(y.astype(float), chances),
    }


def main() -> None:
    """Print one JSON line per method, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--methods", default=",".join(METHODS.names()), help="NAME or NAME:PRESET, by commas.")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    if options.folder is None:
        print("Skipped: give the folder of the published files.")
        return
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        for name, parts in (("everyone", ("tr", "te")), ("training", ("tr",))):
            extract(write_tables(options.folder, work / f"{name}-tables", parts), work / name, Encoders())
        for wanted in options.methods.split(","):
            name, _, preset = wanted.partition(":")
            rows.append(measured(name, preset or "default", work / "everyone", work / "training", options.seeds, work))
            print(json.dumps(rows[-1]), flush=True)
    print("| method | AUROC inside the 245 | accuracy | F1 | AUROC | sd over seeds | interval |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        low, high = row.pop("ci")
        print("| " + " | ".join(map(str, row.values())) + f" | {low}-{high} |")


if __name__ == "__main__":
    main()
