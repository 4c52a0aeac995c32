"""Every kind of experiment says of its cells what follows from their run folders."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from omnifuse.fusion.study.finished import FinishedStudy, estimate
from omnifuse.fusion.study.kinds import KINDS
from omnifuse.fusion.study.kinds.base import drawn
from omnifuse.fusion.study.overview import study_results
from omnifuse.fusion.study.results import Chapter, Estimate, ResultFigure, ResultTable, StudyResults
from omnifuse.fusion.study.run import plan_study, run_study
from sklearn.metrics import roc_auc_score

from tests.fusion.study.grids import grid

ToyCache = Callable[..., Path]

GRID = grid(
    {"kind": "claims", "draws": 2},
    {"kind": "hypotheses", "seeds": [0, 1], "draws": 20},
    {"kind": "laziness"},
    {"kind": "learning"},
    {"kind": "learning-curve", "methods": ["logistic"], "shares": [0.25, 0.5, 0.75, 1.0]},
    {"kind": "methods", "methods": ["concat", "sum"]},
    {"kind": "ablation", "modalities": "all"},
    {"kind": "missing", "rates": [0, 0.5], "draws": 2},
    {"kind": "missing", "rates": [0, 0.5], "methods": ["concat"], "retrained": True},
    {"kind": "imputation"},
    {"kind": "sites", "column": "ward", "methods": ["logistic"]},
    {"kind": "trust"},
)


@pytest.fixture(scope="module")
def study(toy_cache: ToyCache, tmp_path_factory: pytest.TempPathFactory) -> FinishedStudy:
    """Return a study of every kind on a toy cache of which nothing failed; read-only for tests."""
    folder = tmp_path_factory.mktemp("kinds")
    wards = pl.DataFrame({"ward": np.array(["a", "b"])[np.arange(120) // 2 % 2]})  # two samples a patient
    plan = plan_study(toy_cache(folder / "cache", samples=120, described=wards), GRID, folder / "study")
    assert run_study(plan, 1) == {}
    return plan.study


@pytest.fixture(scope="module")
def results(study: FinishedStudy) -> StudyResults:
    return study_results(study.folder)


def chapter(results: StudyResults, anchor: str) -> Chapter:
    return next(chapter for chapter in results.chapters if chapter.anchor == anchor)


def tables(part: Chapter | StudyResults) -> dict[str, ResultTable]:
    chapters = part.chapters if isinstance(part, StudyResults) else (part,)
    return {item.name: item for one in chapters for item in one.items if isinstance(item, ResultTable)}


def figures(part: Chapter) -> dict[str, ResultFigure]:
    return {item.name: item for item in part.items if isinstance(item, ResultFigure)}


def named(table: ResultTable, row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip((column.name for column in table.columns), row, strict=True))


def value(cell: object) -> float:
    assert isinstance(cell, Estimate) and cell.value is not None
    return cell.value


def test_every_kind_has_a_chapter_and_every_table_a_name_of_its_own(results: StudyResults) -> None:
    anchors = [part.anchor for part in results.chapters]
    assert anchors == [*(experiment["kind"] for experiment in GRID.content["experiments"][:8]), "missing-2",
                       "imputation", "sites", "trust", "tests", "cohort"]  # fmt: skip
    assert set(anchors) >= set(KINDS) - {"published"}  # which needs a cache of MIMIC
    names = [item.name for part in results.chapters for item in part.items if isinstance(item, ResultTable)]
    assert len(set(names)) == len(names)
    assert all(len(row) == len(table.columns) for table in tables(results).values() for row in table.rows)


def test_the_first_table_is_sorted_and_agrees_with_that_of_all_tests(results: StudyResults) -> None:
    assert results.ranking is not None
    ranked = [named(results.ranking, row) for row in results.ranking.rows]
    areas = [value(row["AUROC"]) for row in ranked]
    assert areas == sorted(areas, reverse=True) and len(areas) > 8
    tests = tables(chapter(results, "tests"))["ranking-tests"]
    by_method = {row["method"]: row for row in (named(tests, row) for row in tests.rows)}
    assert by_method.keys() == {row["method"] for row in ranked} - {"concat"}
    for row in ranked:
        if row["method"] != "concat":
            found = by_method[row["method"]]
            assert [row["p, Holm"], row["verdict"]] == [found["p, Holm"], found["verdict"]]
            assert value(row["difference to concat"]) == value(found["difference"])
    assert "methods-differences" not in tables(results)


def test_every_method_and_preset_is_explained(results: StudyResults) -> None:
    words = dict(results.names)
    assert results.ranking is not None
    assert {row[0] for row in results.ranking.rows} <= words.keys()
    assert "is row c: b + laziness activation of the paper's Table 4" in words["omnifuse:table4-c"]
    assert "options.imputation=none" in words["omnifuse:table4-c"]


def test_the_grid_is_shown_as_it_would_be_written(results: StudyResults) -> None:
    assert yaml.safe_load(results.grid) == GRID.content


def test_a_cell_of_the_table_of_methods_is_the_mean_of_its_run(study: FinishedStudy, results: StudyResults) -> None:
    found = tables(chapter(results, "methods"))["methods-auroc"]
    headings = [column.name for column in found.columns]
    assert headings == ["method", "ehr + rep", "ehr + static", "rep + static", "ehr + rep + static"]
    (run,) = study.find_all(
        [c for c in GRID.cells(study.scope) if (c.method, c.modalities) == ("sum", ("rep", "static"))]
    )
    row = next(row for row in found.rows if row[0] == "sum")
    assert value(row[3]) == run.metrics.auroc.mean


def test_a_combination_stands_beside_the_best_of_its_own_modalities(
    study: FinishedStudy, results: StudyResults
) -> None:
    found = tables(chapter(results, "laziness"))["laziness-dominant"]
    alone = {
        cell.modalities[0]: estimate(study.find_all([cell])).value
        for cell in GRID.cells(study.scope)
        if cell.method == "concat" and len(cell.modalities) == 1 and cell.settings == ("fit.epochs=1",)
    }
    for row in found.rows:
        names = str(row[0]).split(" + ")
        best = max(names, key=lambda name: alone[name] or 0)
        assert (row[2], value(row[3])) == (best, alone[best])


def test_shapley_values_make_up_the_whole(results: StudyResults) -> None:
    found = tables(chapter(results, "laziness"))
    shown, worth = found["laziness-combinations"], found["laziness-shapley"]
    whole = next(named(shown, row) for row in shown.rows if row[0] == "ehr + rep + static")
    for method in ("concat", "omnifuse"):
        parts = [named(worth, row)[method] for row in worth.rows]
        assert sum(parts) == pytest.approx(whole[f"{method}, of who has all modalities"] - 0.5)


def test_hypotheses_are_four_and_their_tests_know_of_several_trainings(results: StudyResults) -> None:
    (found,) = tables(chapter(results, "hypotheses")).values()
    assert [str(row[0]).split(", ")[0] for row in found.rows] == [
        *["omnifuse − concat:modality-dropout", "omnifuse − late:ridge"] * 2,
    ]
    for row in (named(found, row) for row in found.rows):
        assert row["p, Holm"] >= row["p"] and row["sd over seeds"] > 0
        assert "one training" not in row["verdict"]
    assert "other trainings" in found.reading


def test_who_lacks_a_modality_is_drawn_anew_for_every_seed_and_many_times_in_the_test(study: FinishedStudy) -> None:
    cells = [c for c in GRID.cells(study.scope) if "missing.rate=0.5" in c.settings and c.method == "late:ridge"]
    assert [(cell.seed, cell.config.missing.seed) for cell in cells] == [(0, 0), (1, 1)]
    patterns = []
    for run in study.find_all(cells):
        said = run.answers(drawn(0.5, 20))
        assert said is not None and np.shape(said.versions) == (20, 120, 1)
        assert len(np.unique(np.array(said.versions)[:, :, 0], axis=0)) == 20
        patterns.append(run.tested.modalities["ehr"].present)
    assert (patterns[0] != patterns[1]).any()


def test_with_one_seed_every_verdict_and_the_first_notes_say_that_training_is_not_in_them(
    results: StudyResults,
) -> None:
    found = tables(chapter(results, "claims"))["claims"]
    assert "what another training would change is unknown" in found.reading
    for row in (named(found, row) for row in found.rows):
        assert row["verdict"] == "not shown, one training"
        assert row["sd over seeds"] is None


def test_imputation_is_judged_over_draws_and_patients_together(study: FinishedStudy, results: StudyResults) -> None:
    found = tables(chapter(results, "claims"))["claims"]
    row = next(named(found, row) for row in found.rows if str(row[0]).startswith("Imputation"))
    areas = {}
    for method in ("omnifuse", "omnifuse:table4-c"):
        cell = next(c for c in GRID.cells(study.scope) if c.method == method and len(c.settings) == 1)
        (run,) = study.find_all([cell])
        said = run.answers(drawn(0.5, 2))
        assert said is not None
        areas[method] = np.mean(
            [
                roc_auc_score(said.y[said.fold == fold, 0], p[said.fold == fold, 0])
                for p in said.versions
                for fold in np.unique(said.fold)
            ]
        )
    assert value(row["difference"]) == pytest.approx(areas["omnifuse"] - areas["omnifuse:table4-c"])


def test_the_ablation_has_six_rows_and_names_its_steps(results: StudyResults) -> None:
    found = tables(chapter(results, "ablation"))
    assert [str(row[0])[0] for row in found["ablation-trained-alone"].rows] == list("abcdef")
    assert [row[0] for row in found["ablation-steps"].rows][:2] == ["b − a", "c − b"]


def test_nothing_missing_is_the_run_itself(study: FinishedStudy, results: StudyResults) -> None:
    row = next(r for r in tables(chapter(results, "missing"))["missing-ehr+rep+static"].rows if r[0] == "omnifuse")
    cell = next(c for c in GRID.cells(study.scope) if c.method == "omnifuse" and not c.settings[1:])
    assert value(row[1]) == pytest.approx(estimate(study.find_all([cell])).value)
    retrained = tables(chapter(results, "missing-2"))["missing-ehr+rep+static-retrained-2"]
    assert all(0 < value(cell) < 1 for cell in retrained.rows[0][1:])


def test_curves_are_over_all_epochs_and_single_modalities_are_dashed(results: StudyResults) -> None:
    (found,) = figures(chapter(results, "learning")).values()
    assert {line.name: line.dashed for line in found.series} == {
        "ehr": True, "rep": True, "static": True, "concat": False, "dwfuse": False,
    }  # fmt: skip
    assert all(line.x == (1.0,) for line in found.series)


def test_imputation_has_a_map_of_each_modality(results: StudyResults) -> None:
    found = figures(chapter(results, "imputation"))
    assert {"imputation-epochs", "imputation-map-ehr", "imputation-map-rep"} <= found.keys()
    assert {series.group for series in found["imputation-map-ehr"].series} == {"encoded", "imputed"}


def test_trust_begins_with_everyone(study: FinishedStudy, results: StudyResults) -> None:
    found = tables(chapter(results, "trust"))["trust-patterns-omnifuse"]
    assert found.rows[0][:2] == ("everyone", 120)
    assert sum(int(row[1]) for row in found.rows[1:]) == 120  # type: ignore[arg-type]


def test_trust_has_the_sets_of_each_method_and_its_errors_if_it_may_stay_silent(results: StudyResults) -> None:
    trust = chapter(results, "trust")
    sets = tables(trust)["trust-sets"]
    assert [row[:3] for row in sets.rows if row[1] == "all samples"] == [
        ("omnifuse", "all samples", 120), ("concat:modality-dropout", "all samples", 120)
    ]  # fmt: skip
    assert {row[4] for row in sets.rows} <= {"holds", "does not hold", "more than needed"}
    (first, _) = figures(trust)["trust-silence"].series
    assert first.x[0] == 1 and first.low[0] < first.y[0] < first.high[0]


def test_what_failed_leaves_gaps_and_a_note(study: FinishedStudy, tmp_path: Path) -> None:
    copy = tmp_path / "study"
    copy.mkdir()
    for path in study.folder.iterdir():
        if path.name != "cells":
            (copy / path.name).symlink_to(path)
    (copy / "cells").mkdir()
    for path in (study.folder / "cells").iterdir():
        if not path.name.startswith("sum-"):
            (copy / "cells" / path.name).symlink_to(path)
    results = study_results(copy)
    assert any("not finished yet" in note for note in results.notes)
    row = next(row for row in tables(chapter(results, "methods"))["methods-auroc"].rows if row[0] == "sum")
    assert all(cell == Estimate(None) for cell in row[1:])


def test_beside_itself_a_study_shows_no_difference(study: FinishedStudy) -> None:
    found = tables(study_results(study.folder, study.folder))["beside"]
    assert found.rows and all(value(row[3]) == 0 for row in found.rows)


def test_the_same_patients_are_told_by_number_alone(study: FinishedStudy) -> None:
    assert pl.read_parquet(study.folder / "subjects.parquet")["subject"].max() == 60
    assert np.array_equal(study.subjects(np.array([3, 0])), [2, 1])


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_other_tasks_have_their_labels_and_no_decisions(kind: str, toy_cache: ToyCache, tmp_path: Path) -> None:
    small = grid(
        {"kind": "laziness", "explained": ["concat"]},
        {"kind": "methods", "methods": ["concat", "late"], "modalities": "all"},
        {"kind": "missing", "methods": ["concat"], "rates": [0, 0.5], "draws": 2},
        {"kind": "trust", "methods": ["late"]},
    )
    sex = pl.DataFrame({"sex": np.repeat(["F", "M"], 60)})
    cache = toy_cache(tmp_path / "cache", kind=kind, samples=120, described=sex)
    plan = plan_study(cache, small, tmp_path / "study")
    assert run_study(plan, 1) == {}
    results = study_results(tmp_path / "study")
    trust = chapter(results, "trust")
    assert set(tables(trust)) == {"trust-labels-late", "trust-sets", "trust-subgroups-late"}
    labels = tables(trust)["trust-labels-late"]
    assert [row[0] for row in labels.rows] == {"multilabel": ["first", "second"], "multiclass": ["a", "b", "c"]}[kind]
    assert set(figures(trust)) == ({"trust-silence"} if kind == "multiclass" else set())
    assert len(tables(chapter(results, "laziness"))["laziness-shapley"].rows) == 3


def test_a_learning_curve_counts_who_was_trained_on_and_leads_on(results: StudyResults) -> None:
    part = chapter(results, "learning-curve")
    measured, law = figures(part)["learning-curve"].series
    assert measured.x == (8.0, 15.0, 22.0, 30.0)  # of 60 patients half train
    assert law.dashed and law.x[0] == 30.0 and law.x[-1] == 120.0
    assert list(law.y) == sorted(law.y)
    (row,) = tables(part)["learning-curve-ahead"].rows
    assert row[:2] == ("logistic", 30)
    assert value(row[2]) == measured.y[-1]
    assert value(row[5]) == pytest.approx(value(row[3]) - law.y[0])
    assert "chance in who is trained on" in next(item.text for item in part.items if getattr(item, "warning", False))


def test_a_site_is_tested_from_elsewhere_and_from_here_too(study: FinishedStudy, results: StudyResults) -> None:
    (table,) = tables(chapter(results, "sites")).values()
    wards = np.array(["a", "b"])[np.arange(120) // 2 % 2]
    assert [row[:2] for row in table.rows] == [("a", 60), ("b", 60)]
    away = next(study.find(cell) for cell in GRID.wanted(study.scope) if "folds_by=ward" in cell.settings)
    assert away is not None
    for row, ward in zip(table.rows, "ab", strict=True):
        said = away.predictions.filter(pl.Series(wards[away.sample_id] == ward))
        assert value(row[2]) == pytest.approx(roc_auc_score(said["y"], said["p"]))
        assert value(row[4]) == pytest.approx(value(row[2]) - value(row[3]))
