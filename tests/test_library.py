"""The library does what the commands do, is typed, and is quick to import."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import omnifuse
import pytest
from omnifuse import FeatureCache, InputError, OmniFuseError
from omnifuse.fusion.methods import METHODS
from omnifuse.fusion.methods.concat import Concat
from torch import Tensor

from tests.fusion.conftest import Signal, write_cache

SEVERAL = {"fit.epochs": 2}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("library") / "cache", Signal(samples=80), None, 1)


@pytest.fixture(scope="module")
def run(cache: Path) -> omnifuse.Run:
    return omnifuse.train(cache, "concat", run=cache.parent / "run", folds=2, seed=1, progress=False, **SEVERAL)


def in_a_new_process(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_importing_it_imports_nothing_heavy() -> None:
    code = "import sys, omnifuse; print(sorted({'torch', 'polars', 'numpy', 'sklearn', 'zarr'} & set(sys.modules)))"
    assert in_a_new_process(code) == "[]"


def test_an_extraction_does_without_torch_until_it_encodes() -> None:
    assert in_a_new_process("import sys; from omnifuse import extract; print('torch' in sys.modules)") == "False"


def test_every_name_is_typed_as_well_as_found() -> None:
    source = Path(omnifuse.__file__).read_text(encoding="utf-8").partition("_HOMES")[0]
    assert [name for name in omnifuse.__all__ if name not in source] == []


def test_completion_offers_the_names_before_they_are_used() -> None:
    code = (
        "import omnifuse, omnifuse.testing; print([{*of.__all__} <= {*dir(of)} for of in (omnifuse, omnifuse.testing)])"
    )
    assert in_a_new_process(code) == "[True, True]"


def test_a_raw_folder_becomes_a_cache(synthetic_raw: Path, tmp_path: Path) -> None:
    asked = {"modalities": ["ehr"], "limit": 20, "progress": False}
    planned = omnifuse.extract("synthetic", synthetic_raw, tmp_path / "cache", dry_run=True, **asked)
    assert not planned.done
    assert not (tmp_path / "cache").exists()
    assert omnifuse.extract("synthetic", str(synthetic_raw), tmp_path / "cache", **asked).done
    assert FeatureCache.open(tmp_path / "cache").samples.height == 20


def test_an_option_that_a_data_set_has_not_got_is_named(synthetic_raw: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="limits"):
        omnifuse.extract("synthetic", synthetic_raw, tmp_path / "cache", limits=20)


def test_paths_in_options_may_be_texts(tmp_path: Path) -> None:
    table = tmp_path / "samples.csv"
    table.write_text("sample_id,subject_id,ill,num:age\n1,1,0,40\n2,2,1,50\n")
    omnifuse.extract("files", cache=tmp_path / "cache", samples=str(table), label=["ill"], progress=False)
    assert FeatureCache.open(tmp_path / "cache").tasks == ("ill",)


def test_what_takes_several_takes_one_without_a_list(tmp_path: Path) -> None:
    table, part = tmp_path / "samples.csv", tmp_path / "part.csv"
    table.write_text("sample_id,subject_id,ill,num:age,text:note\n1,1,0,40,a\n2,2,1,50,b\n")
    part.write_text("subject_id,split\n1,train\n2,test\n")
    asked = {"samples": table, "label": "ill", "modalities": "num", "splits": part, "progress": False}
    omnifuse.extract("files", cache=tmp_path / "cache", **asked)
    cache = FeatureCache.open(tmp_path / "cache")
    assert (cache.tasks, cache.modalities, len(cache.splits)) == (("ill",), ("num",), 1)


def test_a_training_leaves_a_run_with_typed_metrics(run: omnifuse.Run) -> None:
    assert [fold.epochs for fold in run.metrics.folds] == [2, 2]
    assert run.metrics.seed == 1
    said = repr(run.metrics)
    assert said.startswith("<RunMetrics of run: concat on outcome, 80 samples, 2 folds; auroc 0.") and len(said) < 150
    assert run.predictions.height == run.metrics.samples == 80
    assert not (run.path / "report.html").exists()


def test_a_run_predicts_is_found_again_and_writes_its_report(cache: Path, run: omnifuse.Run) -> None:
    again = omnifuse.load_run(run.path)
    columns = ["sample_id", "y", "p"]
    predicted = again.predict(cache).sort("sample_id")
    assert predicted.select(columns).equals(run.predictions.sort("sample_id").select(columns))
    assert again.report().is_file()


def test_of_the_cache_that_it_was_trained_on_it_repeats_its_measures(cache: Path, run: omnifuse.Run) -> None:
    found = run.evaluate(FeatureCache.open(cache))
    assert found.samples == 80
    for name in ("auroc", "auprc", "log_loss", "brier"):
        measure, score = found.measures[name], run.metrics.measures[name]
        assert measure.value == pytest.approx(score.mean)
        assert measure.ci == pytest.approx(score.ci)


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_other_kinds_of_tasks_are_evaluated_alike(kind: str, tmp_path: Path) -> None:
    cache = write_cache(tmp_path / "cache", Signal(kind=kind), None, 1)
    run = omnifuse.train(cache, "logistic", run=tmp_path / "run", folds=2, progress=False)
    found = run.evaluate(cache)
    for name, score in run.metrics.measures.items():
        assert found.measures[name].value == pytest.approx(score.mean)


def test_other_patients_are_measured_with_one_interval(run: omnifuse.Run, tmp_path: Path) -> None:
    other = write_cache(tmp_path / "other", Signal(samples=50, seed=5, first_id=1000), None, 1)
    found = run.evaluate(other, drop=["ehr"])
    assert set(found.answer.table["models"]) == {"mean"}
    low, high = found.measures["auroc"].ci
    assert low < found.measures["auroc"].value < high
    assert found.measures["log_loss"].ci is None


def test_settings_that_are_none_are_named(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Unknown setting 'epochs'"):
        omnifuse.train(cache, "concat", run=tmp_path / "run", epochs=3)


def test_a_text_is_no_list_of_modalities_to_hide(cache: Path, run: omnifuse.Run) -> None:
    with pytest.raises(InputError, match=r"drop = 'ehr'; expected a list, such as \['ehr'\]"):
        run.predict(cache, drop="ehr")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"workers": 0}, "workers = 0; it takes one at least"),
        ({"memory_limit": "8GB"}, "memory_limit = '8GB'; give a number of bytes"),
        ({"memory_limit": -1}, "memory_limit = -1; give a number of bytes"),
    ],
)
def test_bounds_that_are_none_are_refused_before_anything_is_written(
    cache: Path, tmp_path: Path, wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        omnifuse.train(cache, "prior", run=tmp_path / "run", progress=False, **wrong)
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_that_of_the_package() -> None:
    assert omnifuse.__version__ == version("omnifuse")


def test_a_method_that_predicts_no_numbers_ends_in_a_sentence(cache: Path, tmp_path: Path) -> None:
    class Undefined(Concat):
        name = "undefined"

        def fuse(self, embeddings: Tensor, shown: Tensor) -> Tensor:
            return super().fuse(embeddings, shown) * float("nan")

    METHODS.register("undefined", Undefined)
    try:
        with pytest.raises(
            OmniFuseError, match="method 'undefined' gives probabilities that are no numbers: its training diverged"
        ):
            omnifuse.train(cache, "undefined", run=tmp_path / "run", folds=2, progress=False, **SEVERAL)
    finally:
        METHODS._given.pop("undefined", None)


def test_a_run_without_a_name_gets_a_free_one(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = [omnifuse.train(cache, "prior", "outcome", folds=2, progress=False).path for _ in range(2)]
    assert names == [Path("runs/outcome-prior"), Path("runs/outcome-prior-2")]


def test_a_study_is_a_call(cache: Path, tmp_path: Path) -> None:
    grid = tmp_path / "two.yaml"
    grid.write_text(
        "folds: 2\nsettings: [fit.epochs=1]\nexperiments:\n"
        "  - {kind: methods, methods: [concat, prior], modalities: all}\n"
    )
    told: list[tuple[str, int, int | None]] = []
    done = omnifuse.study(cache, grid, tmp_path / "study", progress=lambda *step: told.append(step))
    assert done.failed == {}
    assert done.report is not None and done.report.is_file()
    assert sorted(run.metrics.method for run in done.runs) == ["concat", "prior"]
    assert done.results.ranking.rows
    assert ("study", 2, 2) in told


@pytest.mark.parametrize(
    ("scope", "message"), [({"task": "outcom"}, "task 'outcom'"), ({"modalities": "eh"}, "modality 'eh'")]
)
def test_a_study_of_what_the_cache_has_not_got_trains_nothing(
    cache: Path, tmp_path: Path, scope: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=f"Unknown {message}. Did you mean"):
        omnifuse.study(cache, "quick", tmp_path / "study", progress=False, **scope)
    assert not (tmp_path / "study").exists()


def test_whoever_asks_is_told_how_far_it_is(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[tuple[str, int, int | None]] = []
    omnifuse.train(cache, "concat", run=tmp_path / "run", folds=2, progress=lambda *step: told.append(step), **SEVERAL)
    assert told == [(f"concat, fold {fold}", epoch, 2) for fold in (0, 1) for epoch in (1, 2)]
    assert capsys.readouterr().err == ""


def test_a_method_can_be_registered_for_this_process(cache: Path, tmp_path: Path) -> None:
    @omnifuse.register_method
    class Doubled(Concat):
        name = "doubled"

    try:
        run = omnifuse.train(cache, "doubled", run=tmp_path / "run", folds=2, progress=False, **SEVERAL)
        assert np.isfinite(run.predictions["p"].to_numpy()).all()
        with pytest.raises(InputError, match="already"):
            omnifuse.register_method(Concat)
    finally:
        METHODS._given.pop("doubled", None)
