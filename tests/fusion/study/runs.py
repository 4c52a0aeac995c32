"""Run folders with given predictions, as a training would leave them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from omnifuse.fusion.scores import agreement
from omnifuse.fusion.scores.intervals import mean_area
from omnifuse.fusion.scores.measures import evaluate, of_kind


def write_run(path: Path, y: np.ndarray, p: np.ndarray, folds: int = 2, **more: Any) -> None:
    """Write predictions.parquet and metrics.json of a binary task; sample i is tested in fold i % folds."""
    path.mkdir(parents=True)
    fold = np.arange(len(y)) % folds
    columns = {"sample_id": np.arange(len(y)), "fold": fold, "y": y, "p": p}
    present = {f"{name}.present": np.ones(len(y), dtype=bool) for name in ("ehr", "rep")}
    pl.DataFrame(columns | present).write_parquet(path / "predictions.parquet")
    truth, chance = y[:, None].astype(float), p[:, None]
    each = [evaluate("binary", truth[fold == k], chance[fold == k]) for k in range(folds)]
    subjects = np.arange(len(y))
    means = {
        name: {
            "mean": float(np.mean([one[name] for one in each])),
            "ci": mean_area(measure.area, truth, chance, subjects, fold).ci if measure.area else None,
        }
        for name, measure in of_kind("binary").items()
    }
    curve = {"reliability": agreement.reliability(y.astype(float), p, subjects)}
    content = {"kind": "binary", "modalities": ["ehr", "rep"], "folds": each, **means, **curve, **more}
    (path / "metrics.json").write_text(json.dumps(content))
