"""Run folders with given predictions, as a training would leave them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from omnifuse.fusion.scores import agreement, metrics
from omnifuse.fusion.scores.intervals import INFLUENCES, mean_area


def write_run(path: Path, y: np.ndarray, p: np.ndarray, folds: int = 2, **more: Any) -> None:
    """Write predictions.parquet and metrics.json of a binary task; sample i is tested in fold i % folds."""
    path.mkdir(parents=True)
    fold = np.arange(len(y)) % folds
    columns = {"sample_id": np.arange(len(y)), "fold": fold, "y": y, "p": p}
    present = {f"{name}.present": np.ones(len(y), dtype=bool) for name in ("ehr", "rep")}
    pl.DataFrame(columns | present).write_parquet(path / "predictions.parquet")
    truth, chance = y[:, None].astype(float), p[:, None]
    each = [metrics.measures("binary", truth[fold == k], chance[fold == k]) for k in range(folds)]
    subjects = np.arange(len(y))
    interval = {name: mean_area(name, truth, chance, subjects, fold).ci for name in INFLUENCES}
    means = {
        name: {"mean": float(np.mean([one[name] for one in each])), "ci": interval.get(name)}
        for name in metrics.MEASURES
    }
    curve = {"reliability": agreement.reliability(y.astype(float), p, subjects)}
    content = {"kind": "binary", "modalities": ["ehr", "rep"], "folds": each, **means, **curve, **more}
    (path / "metrics.json").write_text(json.dumps(content))
