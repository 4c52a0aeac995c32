"""A study trains every cell once, goes on where it stopped, and survives a cell that fails."""

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import distributed
import polars as pl
import pytest
from omnifuse.cache_schema import CacheChangedError, InputError, LockedError, folder_lock
from omnifuse.cluster import cluster
from omnifuse.fusion.inputs.batches import Batch
from omnifuse.fusion.methods import METHODS
from omnifuse.fusion.methods.base import Prediction
from omnifuse.fusion.methods.concat import Concat
from omnifuse.fusion.study.expected import expected_seconds
from omnifuse.fusion.study.finished import compare
from omnifuse.fusion.study.overview import study_results
from omnifuse.fusion.study.run import Plan, plan_study, run_study
from omnifuse.progress import telling

from tests.fusion.study.grids import grid

ToyCache = Callable[..., Path]

TWO = {"kind": "methods", "methods": ["concat", "late"], "modalities": "all"}


def run(plan: Plan) -> dict[str, str]:
    return run_study(plan, 1)


@pytest.fixture(scope="module")
def cache(toy_cache: ToyCache, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_cache(tmp_path_factory.mktemp("study") / "cache")


def test_every_cell_becomes_a_run_folder_with_what_was_measured(cache: Path, tmp_path: Path) -> None:
    plan = plan_study(cache, grid({"kind": "laziness", "explained": ["concat"]}), tmp_path / "study")
    assert (len(plan.cells), plan.trainings) == (7, 14)
    assert run(plan) == {}
    for cell, asked in plan.cells.items():
        folder = tmp_path / "study" / "cells" / cell.id
        assert (folder / "metrics.json").is_file()
        assert {path.name for path in folder.glob("combinations*")} == {measurement.file for measurement in asked}
    again = plan_study(cache, plan.grid, tmp_path / "study")
    assert (again.trainings, len(again.cells)) == (0, 7)


def test_methods_that_do_not_predict_its_kind_of_task_are_left_out_and_named(
    toy_cache: ToyCache, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = toy_cache(tmp_path / "cache", kind="regression")
    mixed = grid({"kind": "methods", "methods": ["concat", "omnifuse", "omnifuse:table4-c"], "modalities": "all"})
    assert {cell.method for cell in plan_study(cache, mixed, tmp_path / "study").cells} == {"concat"}
    assert "Left out, since they predict no regression: omnifuse, omnifuse:table4-c." in caplog.text
    with pytest.raises(InputError, match=r"'omnifuse' predicts .* and no regression"):
        plan_study(cache, grid({"kind": "ablation"}), tmp_path / "study")


def test_a_study_goes_on_where_it_stopped(cache: Path, tmp_path: Path) -> None:
    plan = plan_study(cache, grid(TWO), tmp_path / "study")
    with telling(stop), pytest.raises(KeyboardInterrupt):
        run(plan)
    (finished,) = (tmp_path / "study" / "cells").glob("*/metrics.json")
    written = finished.stat().st_mtime_ns
    again = plan_study(cache, grid(TWO), tmp_path / "study")
    assert again.trainings == 2
    assert run(again) == {}
    assert finished.parent.name.startswith("concat") and finished.stat().st_mtime_ns == written
    assert [path.name.partition("-")[0] for path in sorted(finished.parent.parent.iterdir())] == ["concat", "late"]


def stop(*_: object) -> None:
    """Interrupt the study when it tells of its first cell."""
    raise KeyboardInterrupt


def test_more_experiments_train_only_what_is_new(cache: Path, tmp_path: Path) -> None:
    run(plan_study(cache, grid(TWO), tmp_path / "study"))
    more = plan_study(cache, grid({**TWO, "methods": ["concat", "late", "sum"]}), tmp_path / "study")
    assert [cell.method for cell in more.open] == ["sum"]


def test_a_measurement_that_is_missing_does_not_train_again(cache: Path, tmp_path: Path) -> None:
    run(plan_study(cache, grid({"kind": "laziness"}), tmp_path / "study"))
    (measured,) = (tmp_path / "study" / "cells").glob("omnifuse*/combinations*")
    before = (measured.parent / "metrics.json").stat().st_mtime_ns
    measured.unlink()
    again = plan_study(cache, grid({"kind": "laziness"}), tmp_path / "study")
    assert (len(again.open), again.trainings) == (1, 0)
    run(again)
    assert measured.is_file() and (measured.parent / "metrics.json").stat().st_mtime_ns == before


def test_a_cell_that_fails_is_named_and_the_others_go_on(cache: Path, tmp_path: Path) -> None:
    plan = plan_study(cache, grid({**TWO, "settings": ["options.imputation=mean", "missing.rate=0.5"]}), tmp_path / "s")
    (bad, asked), *others = plan.cells.items()
    wrong = replace(bad, modalities=("ehr", "ehr", "rep"))
    failed = run(replace(plan, open={wrong: asked, **dict(others)}))
    assert list(failed) == [wrong.id] and "name each once" in failed[wrong.id]
    stored = json.loads((tmp_path / "s" / "failed" / f"{wrong.id}.json").read_text())
    assert stored["error"] == failed[wrong.id]
    assert plan.study.find(others[0][0]) is not None and plan.study.find(wrong) is None
    assert run(plan_study(cache, plan.grid, tmp_path / "s")) == {} and not (tmp_path / "s" / "failed").exists()


class Unmeasurable(Concat):
    """A method that says nothing where a modality is hidden from all."""

    def predict(self, batch: Batch) -> Prediction:
        if not batch.presence.any(0).all():
            raise InputError("too few for a map")
        return super().predict(batch)


def test_what_cannot_be_measured_is_a_failed_cell_and_not_an_unfinished_one(cache: Path, tmp_path: Path) -> None:
    METHODS.register("unmeasurable", Unmeasurable)
    try:
        plan = plan_study(cache, grid({"kind": "laziness", "explained": ["unmeasurable"]}), tmp_path / "study")
        failed = run(plan)
        assert list(failed.values()) == ["too few for a map"]
        notes = study_results(tmp_path / "study").notes
    finally:
        METHODS.forget("unmeasurable")
    assert any("1 cell failed" in note and "too few for a map" in note for note in notes)
    assert not any("not finished yet" in note for note in notes)


def test_a_split_that_came_with_the_cache_takes_the_place_of_folds(toy_cache: ToyCache, tmp_path: Path) -> None:
    parts = ["train" if sample < 40 else "test" for sample in range(60)]
    split = pl.DataFrame({"sample_id": range(60), "part": parts})
    plan = plan_study(toy_cache(tmp_path / "cache", split=split), grid(TWO, seeds=[0, 1]), tmp_path / "study")
    assert (plan.scope.folds, plan.trainings) == (1, 4)
    assert run(plan) == {}
    results = study_results(tmp_path / "study")
    assert "4 trainings in the split that came with the data" in results.lead
    late, concat = ([c for c in plan.cells if c.method == name] for name in ("late", "concat"))
    found = compare(plan.study.find_all(late), plan.study.find_all(concat), plan.study)
    assert found is not None and found.delong is not None
    assert (found.paired_t, found.trainings) == (None, 2)


def test_the_command_to_repeat_a_study_names_the_grid_as_it_was_named(cache: Path, tmp_path: Path) -> None:
    run(plan_study(cache, replace(grid(TWO), source="grids/mine.yaml"), tmp_path / "study"))
    assert "--preset grids/mine.yaml" in study_results(tmp_path / "study").repeat


def test_the_expected_time_is_none_when_nothing_is_left_and_some_otherwise(cache: Path, tmp_path: Path) -> None:
    plan = plan_study(cache, grid(TWO), tmp_path / "study")
    assert expected_seconds(plan, 1) > 0
    assert not (tmp_path / "study").exists()
    run(plan)
    assert expected_seconds(plan_study(cache, grid(TWO), tmp_path / "study"), 1) == 0


def test_a_folder_of_another_cache_or_of_something_else_is_refused(
    cache: Path, toy_cache: ToyCache, tmp_path: Path
) -> None:
    run(plan_study(cache, grid(TWO), tmp_path / "study"))
    other = toy_cache(tmp_path / "other", seed=1)
    with pytest.raises(InputError, match=r"is a study of .*Name another folder with --out"):
        plan_study(other, grid(TWO), tmp_path / "study")
    with pytest.raises(InputError, match="holds something else than a study"):
        plan_study(cache, grid(TWO), other)


def test_one_study_at_a_time_works_in_a_folder(cache: Path, tmp_path: Path) -> None:
    plan = plan_study(cache, grid(TWO), tmp_path / "study")
    with (
        folder_lock(tmp_path / "study", "a study"),
        pytest.raises(LockedError, match=rf"study is in use by a study on .* \(process {os.getpid()} of "),
    ):
        run(plan)
    assert list(tmp_path.iterdir()) == []
    assert run(plan) == {}


def test_a_folder_that_became_the_study_of_another_cache_meanwhile_is_refused(
    cache: Path, toy_cache: ToyCache, tmp_path: Path
) -> None:
    plan = plan_study(cache, grid(TWO), tmp_path / "study")
    run(plan_study(toy_cache(tmp_path / "other", seed=1), grid(TWO), tmp_path / "study"))
    with pytest.raises(InputError, match=r"is a study of .*other with the digest"):
        run(plan)


def test_a_cache_that_is_replaced_ends_the_study_and_finished_cells_stay(toy_cache: ToyCache, tmp_path: Path) -> None:
    path = toy_cache(tmp_path / "cache")
    plan = plan_study(path, grid(TWO), tmp_path / "study")
    with (
        telling(lambda *_: toy_cache(path, seed=1)),
        pytest.raises(CacheChangedError, match=r"was replaced while the study ran: its digest is .* and was "),
    ):
        run(plan)
    (cell,) = (tmp_path / "study" / "cells").glob("*")
    assert json.loads((cell / "metrics.json").read_text())["cache"]["digest"] == plan.cache.digest
    with pytest.raises(InputError, match="is a study of"):
        plan_study(path, grid(TWO), tmp_path / "study")


def test_cells_of_another_cache_are_refused_and_the_report_says_so(
    cache: Path, toy_cache: ToyCache, tmp_path: Path
) -> None:
    run(plan_study(cache, grid(TWO), tmp_path / "study"))
    run(plan_study(toy_cache(tmp_path / "other", seed=1), grid(TWO), tmp_path / "foreign"))
    cell = next((tmp_path / "foreign" / "cells").glob("late-*"))
    shutil.rmtree(tmp_path / "study" / "cells" / cell.name)
    shutil.copytree(cell, tmp_path / "study" / "cells" / cell.name)
    with pytest.raises(InputError, match=rf"another cache: 1, such as .*{re.escape(cell.name)}"):
        plan_study(cache, grid(TWO), tmp_path / "study")
    (note,) = (note for note in study_results(tmp_path / "study").notes if "another cache" in note)
    assert note.startswith("1 cell of 2 came from another cache than that of the study") and cell.name in note


def test_a_damaged_cell_is_no_part_of_a_report(cache: Path, tmp_path: Path) -> None:
    plan = plan_study(cache, grid(TWO), tmp_path / "study")
    run(plan)
    file = next((tmp_path / "study" / "cells").glob("concat*/predictions.parquet"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"predictions\.parquet is damaged"):
        study_results(tmp_path / "study")


@pytest.mark.parametrize(("modalities", "message"), [(("ehr",), "two modalities or more"), (("pet", "ehr"), "'pet'")])
def test_too_few_and_unknown_modalities_are_refused(
    modalities: tuple[str, ...], message: str, cache: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        plan_study(cache, grid({**TWO, "modalities": "several"}), tmp_path / "study", modalities=modalities)


def test_methods_can_be_compared_on_one_modality(cache: Path, tmp_path: Path) -> None:
    assert len(plan_study(cache, grid(TWO), tmp_path / "study", modalities=("ehr",)).cells) == 2


def test_who_is_the_same_patient_is_stored_without_the_ids_of_patients(cache: Path, tmp_path: Path) -> None:
    run(plan_study(cache, grid(TWO), tmp_path / "study"))
    table = pl.read_parquet(tmp_path / "study" / "subjects.parquet")
    assert table.columns == ["sample_id", "subject"]
    assert table["subject"].to_list() == [1 + i // 2 for i in range(60)]


def test_a_study_alone_tells_how_far_it_is_and_not_what_it_trains(cache: Path, tmp_path: Path) -> None:
    told = []
    with telling(lambda *done: told.append(done)):
        run(plan_study(cache, grid(TWO), tmp_path / "study"))
    assert told == [("study", 1, 2), ("study", 2, 2)]


def test_off_a_terminal_a_study_says_now_and_then_how_far_it_is(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("omnifuse.progress.LINE_SECONDS", 0.01)
    run(plan_study(cache, grid(TWO), tmp_path / "study"))
    said = capsys.readouterr().err.splitlines()
    assert said and all(line.startswith("study: ") for line in said)


def test_processes_do_the_same(cache: Path, tmp_path: Path) -> None:
    one, several = (plan_study(cache, grid(TWO), tmp_path / name) for name in ("one", "several"))
    run(one)
    assert run_study(several, 2) == {}
    for cell in one.cells:
        predictions = [pl.read_parquet(p.folder / "cells" / cell.id / "predictions.parquet") for p in (one, several)]
        assert predictions[0].equals(predictions[1])


@pytest.mark.filterwarnings("ignore")  # of Dask's own, which differ from version to version
def test_workers_of_a_dask_cluster_do_the_same(cache: Path, tmp_path: Path) -> None:
    one, elsewhere = (plan_study(cache, grid(TWO), tmp_path / name) for name in ("one", "elsewhere"))
    run(one)
    local = distributed.LocalCluster(1, threads_per_worker=1, processes=False, dashboard_address=None)
    with local as workers, cluster(workers.scheduler_address) as executor:
        assert run_study(elsewhere, 1, executor) == {}
    for cell in one.cells:
        tables = [pl.read_parquet(p.folder / "cells" / cell.id / "predictions.parquet") for p in (one, elsewhere)]
        assert tables[0].equals(tables[1])


def test_a_scheduler_that_does_not_answer_is_said() -> None:
    with pytest.raises(InputError, match="No Dask scheduler answers at nonsense"), cluster("nonsense://1"):
        pass
