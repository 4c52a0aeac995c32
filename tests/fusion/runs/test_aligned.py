"""A cache that calls columns otherwise gives the same predictions once it is said what they are called."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import Column, FeatureCache, InputError, ModalitySpec, StagedCache, Task
from omnifuse.fusion.runs.aligned import aligned
from omnifuse.fusion.runs.run import Run
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.training.config import make_config

OWN = ("glucose", "lactate")


def series(path: Path, variables: tuple[str, ...], seed: int = 0, unit: str = "mmol/L", bins: int = 1) -> Path:
    """Write 60 patients with a row of values and masks; ``variables`` in the order in which they are stored."""
    rng = np.random.default_rng(seed)
    x = {name: rng.normal(size=60).astype(np.float32) for name in (*OWN, "extra")}
    x |= {"Glukose": x["glucose"], "Laktat": x["lactate"]}
    y = (x["glucose"] + x["lactate"] > 0).astype(np.float32)[:, None]
    columns = [Column(name, unit, name) for name in variables]
    columns += [Column(f"mask of {name}", "", name, "mask") for name in variables]
    rows = np.stack([*(x[name] for name in variables), *(np.ones(60, np.float32) for _ in variables)], axis=1)
    staged = StagedCache(path, "toy", {}).add_samples(
        pl.DataFrame({"sample_id": np.arange(60) + 100 * seed, "subject_id": np.arange(60) + 100 * seed})
    )
    spec = ModalitySpec("labs", "timeseries", "hour", {"bins": bins, "variables": list(variables)}, tuple(columns))
    staged.add_modality(spec, np.ones(60, int), len(columns), [rows], np.zeros(60, np.float32))
    staged.add_task(Task("death", "binary", ("death",), y, 48.0)).commit({})
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    home = tmp_path_factory.mktemp("home")
    return train(series(home / "cache", OWN), make_config("logistic", folds=2), home / "run")


def test_columns_under_other_names_and_in_another_order_predict_the_same(run: Run, tmp_path: Path) -> None:
    expected = run.predict(series(tmp_path / "same", OWN, 1))
    there = series(tmp_path / "there", ("Laktat", "extra", "Glukose"), 1)
    with pytest.raises(InputError, match="not made as the model demands"):
        run.predict(there)
    names = tmp_path / "names.yaml"
    names.write_text("labs: {glucose: Glukose, lactate: Laktat}\n")
    seen = aligned(run, there, names)
    assert run.predict(seen).equals(expected)
    assert seen.modality("labs")[3].tolist() == FeatureCache.open(tmp_path / "same").modality("labs")[3].tolist()
    assert seen.words() == ["Aligned by name in labs: glucose is called Glukose, lactate is called Laktat."]


def test_what_does_not_mean_the_same_is_still_refused(run: Run, tmp_path: Path) -> None:
    names = {"labs": {"glucose": "Glukose", "lactate": "Laktat"}}
    for place, change, message in (
        ("unit", {"unit": "mg/dL"}, "mg/dL"),
        ("bins", {"bins": 2}, "bins: 1 -> 2"),
    ):
        there = series(tmp_path / place, ("Glukose", "Laktat"), 1, **change)  # type: ignore[arg-type]
        with pytest.raises(InputError, match=message):
            run.predict(aligned(run, there, names))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"labs": {"glucose": "Glucose"}}, "Glucose.*Glukose"),
        ({"labs": {"sodium": "Glukose"}}, "sodium"),
        ({"labs": {"glucose": "Glukose"}}, "no column for lactate"),
        ({"labs": {"glucose": "Glukose", "lactate": "Glukose"}}, "one column stands for two"),
        ({"rep": {"glucose": "Glukose"}}, "rep.*labs"),
        ({"labs": ["glucose"]}, "expected, for each modality"),
    ],
)
def test_names_that_cannot_be_meant(run: Run, tmp_path: Path, names: dict[str, dict[str, str]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        aligned(run, series(tmp_path / "there", ("Glukose", "Laktat"), 1), names)
