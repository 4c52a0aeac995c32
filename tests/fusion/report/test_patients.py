"""The page of single samples: what its data hold, which samples are kept, and that ids cannot become markup."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import FeatureCache
from omnifuse.cache_schema.errors import InputError
from omnifuse.fusion.inputs.loading import select
from omnifuse.fusion.report import write_patients
from omnifuse.fusion.runs.run import load_run
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.scores.decisions import at_alert_rate
from omnifuse.fusion.training.config import make_config

from tests.fusion.conftest import Signal, write_cache
from tests.fusion.report.conftest import alter_metrics, alter_predictions


def data_of(run: Path, **options: Any) -> dict[str, Any]:
    """What the page's script reads."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page_of(run, **options), re.DOTALL)
    assert found
    content: dict[str, Any] = json.loads(found[1])
    return content


def page_of(run: Path, **options: Any) -> str:
    return write_patients(run, **options).read_text(encoding="utf-8")


def alter(run: Path, *columns: pl.Expr) -> pl.DataFrame:
    return alter_predictions(run, lambda table: table.with_columns(*columns))


def test_every_sample_is_there_with_what_was_predicted(run: Path) -> None:
    table = pl.read_parquet(run / "predictions.parquet")
    shown = {sample["id"]: sample for sample in data_of(run)["samples"]}
    assert set(shown) == set(table["sample_id"])
    row = table.row(7, named=True)
    sample = shown[row["sample_id"]]
    assert (sample["y"], sample["fold"]) == ([row["y"]], row["fold"])
    assert sample["p"] == [pytest.approx(row["p"], abs=5e-5)]
    assert sample["modalities"][0]["p"] == pytest.approx(row["cxr.p"], abs=5e-5)
    assert sample["modalities"][0]["weight"] == pytest.approx(row["cxr.weight"], abs=5e-5)


def test_a_modality_is_present_imputed_or_missing(run: Path) -> None:
    first = pl.int_range(pl.len()) == 0
    alter(run, pl.when(first).then(False).otherwise("cxr.present").alias("cxr.present"),
          pl.when(first).then(False).otherwise("cxr.imputed").alias("cxr.imputed"),
          pl.when(first).then(False).otherwise("rep.present").alias("rep.present"),
          pl.when(first).then(True).otherwise("rep.imputed").alias("rep.imputed"))  # fmt: skip
    shown = next(sample for sample in data_of(run)["samples"] if sample["id"] == "stay-10000000")
    assert [state["state"] for state in shown["modalities"]] == ["missing", "present", "imputed"]


def test_combinations_and_readouts_are_shown_where_the_method_gives_them(run: Path) -> None:
    alter_predictions(run, lambda table: table.select(pl.exclude("^p\\[.*$", "^p\\..*$")))
    assert data_of(run)["combinations"] == data_of(run)["readouts"] == []
    alter(run, pl.lit(0.25).alias("p[cxr+ehr]"), pl.lit(None, pl.Float32).alias("p[rep]"), pl.lit(0.5).alias("p.joint"))
    data = data_of(run)
    assert data["combinations"] == ["cxr+ehr", "rep"]
    assert data["samples"][0]["combinations"] == [0.25, None]
    assert (data["readouts"], data["samples"][0]["readouts"]) == (["joint: the joint head alone"], [0.5])


def test_unknown_outcomes_are_none_and_come_last(run: Path) -> None:
    alter(run, pl.when(pl.int_range(pl.len()) == 3).then(None).otherwise("y").alias("y"))
    last = data_of(run)["samples"][-1]
    assert (last["id"], last["y"]) == ("stay-10000003", [None])


def test_a_method_that_says_nothing_of_modalities_still_has_a_page(run: Path) -> None:
    alter_predictions(run, lambda table: table.select("sample_id", "fold", "y", "p"))
    data = data_of(run)
    assert (data["modalities"], data["explained"], len(data["samples"])) == ([], [], 1200)


def test_errors_at_the_alert_rate_are_kept_before_all_others(run: Path) -> None:
    table = pl.read_parquet(run / "predictions.parquet")
    alert = pl.col("p").rank(descending=True) <= 120
    wrong = table.filter(alert != (pl.col("y") == 1))
    assert 0 < len(wrong) < 300
    assert "Shown are" not in page_of(run)
    assert {sample["id"] for sample in data_of(run, most=300)["samples"]} > set(wrong["sample_id"])
    assert "Shown are 300 of 1,200 samples" in page_of(run, most=300)


def test_alerts_are_those_of_the_report(run: Path) -> None:
    """Some labels are unknown, and many probabilities equal: then fewer than the rate allows raise an alert."""
    table = alter(
        run, pl.col("p").round(2), pl.when(pl.int_range(pl.len()) % 7 == 0).then(None).otherwise("y").alias("y")
    )
    y, p = (table[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in ("y", "p"))
    for rate in (0.05, 0.1, 0.3):
        alert = load_run(run).metrics.alert
        assert alert is not None
        alter_metrics(run, alert=replace(alert, rate=rate))
        data, expected = data_of(run), at_alert_rate(y, p, np.arange(len(y)), rate)
        assert (data["rate"], data["ranked"]) == (rate, [expected["samples"]])
        known = [sample for sample in data["samples"] if sample["y"] != [None]]
        alerts = [sample for sample in known if sample["rank"][0] <= rate * expected["samples"] + 1e-9]
        assert len(alerts) == expected["alerts"]
        assert min(sample["p"][0] for sample in alerts) == pytest.approx(expected["threshold"])


def test_what_a_sample_has_is_shown_with_its_times_while_the_cache_is_there(tmp_path: Path) -> None:
    cache = FeatureCache.open(write_cache(tmp_path / "cache", Signal(), None, 1))
    task = next(iter(cache.tasks))
    train(cache, make_config("late", overrides=("fit.epochs=1",), task=task, folds=2), tmp_path / "run")
    cohort = select(cache, task).cohort
    data = data_of(tmp_path / "run")
    assert data["timed"]
    for sample in data["samples"]:
        n = cohort.sample_id.astype(str).tolist().index(sample["id"])
        for name, state in zip(data["names"], sample["modalities"], strict=True):
            rows = cohort.sources[name].rows
            times = np.unique(rows.time[rows.offsets[n] : rows.offsets[n + 1]])
            assert (state["state"] == "present") == bool(state["when"]) == bool(len(times))
            assert not len(times) or f"{times[-1]:.1f}\N{NO-BREAK SPACE}h" in state["when"]
    alter_metrics(tmp_path / "run", cache=replace(load_run(tmp_path / "run").metrics.cache, digest="0" * 64))
    assert not data_of(tmp_path / "run")["timed"]
    assert "the times of what a sample has are not shown" in page_of(tmp_path / "run")


def test_hostile_ids_are_harmless(run: Path) -> None:
    attack = "</script><script>alert('x')</script><!--&"
    alter(run, pl.lit(attack).alias("sample_id"))
    source = page_of(run)
    assert source.count("<script") == source.count("</script>") == 2
    assert "<!--" not in source
    assert data_of(run)["samples"][0]["id"] == attack


def test_page_says_that_it_is_sensitive_and_for_research(run: Path) -> None:
    source = page_of(run)
    assert "This page is as sensitive as the data" in source
    assert "For research, not for clinical decisions." in source
    assert "default-src 'none'" in source
    assert "innerHTML" not in source


def test_without_ids_no_id_is_in_the_page(run: Path) -> None:
    source = page_of(run, ids=False)
    assert "stay-" not in source
    assert [sample["id"] for sample in data_of(run, ids=False)["samples"][:2]] == ["1", "2"]
    assert "their ids are left out" in source


def test_every_label_of_a_multilabel_task_can_be_chosen(multilabel: Path) -> None:
    data = data_of(multilabel)
    assert data["labels"][3] == "phenotype 03"
    assert len(data["samples"][0]["y"]) == len(data["samples"][0]["p"]) == 25
    assert data["explained"] == []


def test_a_table_without_ids_is_refused(run: Path) -> None:
    alter_predictions(run, lambda table: table.drop("sample_id"))
    with pytest.raises(InputError, match="sample_id"):
        write_patients(run)


def test_predictions_without_rows_make_an_empty_page(run: Path) -> None:
    alter_predictions(run, pl.DataFrame.clear)
    assert data_of(run)["samples"] == []
