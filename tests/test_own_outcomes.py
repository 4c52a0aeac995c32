"""A table of one's own with a decimal outcome, and with a time and an event: typed as a new user would type it."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result
from omnifuse.cli import main

QUICK = ("--folds", 2, "--set", "options.rounds=20", "--workers", 1)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def printed(*arguments: object) -> dict[str, object]:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, object] = json.loads(result.stdout)
    return found


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("own"), np.random.default_rng(0)
    age, lactate = rng.normal(60, 10, 120), rng.exponential(2, 120)
    time, lost = rng.exponential(20 / lactate), rng.uniform(5, 40, 120)
    pl.DataFrame(
        {
            "sample_id": np.arange(120),
            "subject_id": np.arange(120) // 2,
            "los": np.round(2 + lactate + rng.normal(0, 0.5, 120), 2),
            "death_time": np.round(np.minimum(time, lost), 1),
            "death_event": (time <= lost).astype(int),
            "num:age": age,
            "num.labs:lactate": lactate,
        }
    ).write_csv(folder / "samples.csv")
    labels = ("--label", "los", "--label", "death")
    made = call(
        "extract", "--dataset", "files", "--samples", folder / "samples.csv", *labels, "--cache", folder / "cache"
    )
    assert made.exit_code == 0, made.stderr
    assert "task los (regression" in made.stdout
    assert "task death (survival" in made.stdout
    assert f"Next: omnifuse train --cache {folder / 'cache'} --task death" in made.stdout
    return folder / "cache"


@pytest.mark.parametrize(("task", "measure", "column"), [("los", "mae", "predicted"), ("death", "concordance", "risk")])
def test_it_goes_from_the_table_to_the_report(
    cache: Path, task: str, measure: str, column: str, tmp_path: Path
) -> None:
    run = tmp_path / task
    found = printed("train", "--cache", cache, "--task", task, "--method", "boosting", *QUICK, "--run", run)
    score = found[measure]
    assert isinstance(score, dict)
    assert set(score) == {"mean", "sd", "ci"}
    assert score["ci"][0] < score["mean"] < score["ci"][1]
    page = (run / "report.html").read_text()
    assert task in page
    assert call("report", run).exit_code == 0
    said = tmp_path / "said.csv"
    assert call("predict", "--run", run, "--cache", cache, "--out", said).exit_code == 0
    table = pl.read_csv(said)
    assert table[column].null_count() == 0
    assert table.height == 120


def test_a_method_says_what_it_predicts_and_refuses_the_rest(cache: Path, tmp_path: Path) -> None:
    (method,) = printed("methods", "omnifuse")["methods"]  # type: ignore[misc]
    assert method["kinds"] == ["binary", "multilabel", "multiclass", "survival"]
    assert "predicts: binary, multilabel, multiclass, survival, regression" in call("methods", "concat").stdout
    refused = call("train", "--cache", cache, "--task", "los", "--run", tmp_path / "run")
    assert refused.exit_code == 2
    assert "predicts binary, multilabel, multiclass, survival targets and no regression" in refused.stderr
    assert "Traceback" not in refused.stderr
