"""Published cohorts beside those of a cache: numbers of the same release alone, and refusals of what is not alike."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import FeatureCache, InputError, ModalitySpec, StagedCache, Task
from omnifuse.cli import main
from omnifuse.fusion.study.grid import make_grid, read_grid
from omnifuse.fusion.study.overview import study_results
from omnifuse.fusion.study.results import ResultTable
from omnifuse.fusion.study.run import plan_study, run_study
from omnifuse.reproductions.comparison import TABLES, beside
from omnifuse.reproductions.names import reproduction_names
from omnifuse.reproductions.reproduction import read_reproduction
from sklearn.metrics import roc_auc_score

SAMPLES = 8
MIMIC = {3: "ICUSTAYS.csv.gz", 4: "icu/icustays.csv.gz"}


def cache_of(
    path: Path,
    version: int = 4,
    release: str = "",
    task: str = "mortality",
    modalities: tuple[str, ...] = ("ehr", "cxr"),
) -> FeatureCache:
    """Write eight stays, two of them positive: all have an EHR, five an image, one of these after the window."""
    ids, y = np.arange(SAMPLES), np.zeros((SAMPLES, 1), np.float32)
    y[[0, 5]] = 1
    staged = StagedCache(path, "mimic", {}).add_samples(pl.DataFrame({"sample_id": ids, "subject_id": ids}))
    having = {"ehr": np.ones(SAMPLES, int), "cxr": np.array([1, 1, 1, 1, 1, 0, 0, 0])}
    for name in modalities:
        rows = int(having[name].sum())
        time = np.zeros(rows, np.float32)
        if name == "cxr":
            time[4] = 50
        spec = ModalitySpec(name, "embedding", "row", {})
        staged.add_modality(spec, having[name], 1, [np.ones((rows, 1), np.float16)], time)
    staged.add_task(Task(task, "binary", (task,), y, 48.0))
    parts = np.array(["train"] * 4 + ["test"] * 4)
    staged.add_split("published", pl.DataFrame({"sample_id": ids, "part": parts}))
    source = f"{release}: somebody" if release else None
    known = {**TABLES, "count": 9, "published": 9 if release else None, "source": source}
    staged.add_counts(pl.DataFrame([known], schema_overrides={"published": pl.Int64, "source": pl.String}))
    staged.commit({"cohort": {"inputs": {MIMIC[version]: "digest"}}})
    return FeatureCache.open(path)


@pytest.mark.parametrize("name", reproduction_names())
def test_every_description_is_whole(name: str) -> None:
    of, grid = read_reproduction(name), read_grid(name)
    assert grid.reproduction == of and of.mimic in MIMIC
    assert grid.shared.task in of.tasks
    assert of.extract[:2] == ("--dataset", "mimic")
    assert {"cohort", "inputs", "split"} <= {aspect for aspect, *_ in of.definition}
    assert {one.release for one in of.expected} <= set(of.releases)
    assert of.not_compared
    for one in (*of.expected, *of.published):
        assert one.source and one.known in ("read", "second-hand") and one.task in of.tasks
        assert one.cohort in ("partial", "paired")


def test_who_has_all_modalities_within_the_window_is_counted_apart(tmp_path: Path) -> None:
    found = beside(cache_of(tmp_path / "cache"), read_reproduction("medfuse"))
    assert found.release == ""
    assert [(one.what, one.found, one.expected) for one in found.counts[1:]] == [
        ("partial, all, samples", 8, None),
        ("partial, all, positive samples", 2, None),
        ("partial, train, samples", 4, None),
        ("partial, train, positive samples", 1, None),
        ("partial, validation, samples", 0, None),
        ("partial, validation, positive samples", 0, None),
        ("partial, test, samples", 4, None),
        ("partial, test, positive samples", 1, None),
        ("paired, all, samples", 4, None),
        ("paired, all, positive samples", 1, None),
        ("paired, train, samples", 4, None),
        ("paired, train, positive samples", 1, None),
        ("paired, validation, samples", 0, None),
        ("paired, validation, positive samples", 0, None),
        ("paired, test, samples", 0, None),
        ("paired, test, positive samples", 0, None),
    ]


def test_numbers_are_expected_of_their_release_alone(tmp_path: Path) -> None:
    of = read_reproduction("medfuse")
    own = beside(cache_of(tmp_path / "own", release="MIMIC-IV 1.0"), of)
    expected = {one.what: one.expected for one in own.counts if one.expected is not None}
    assert expected["partial, train, samples"] == 18_845
    assert expected["partial, train, positive samples"] == 2_357
    assert expected["paired, test, samples"] == 1_242
    assert "paired, test, positive samples" not in expected  # not published of images within 48 hours
    with pytest.raises(InputError, match=r"partial, train, samples: 4, expected 18,845"):
        own.refuse_difference()
    other = beside(cache_of(tmp_path / "other", release="MIMIC-IV 2.2"), of)
    assert [one.expected for one in other.counts] == [9] + [None] * 16
    with pytest.raises(InputError, match=r"no number of its cohort was published of MIMIC-IV 2\.2"):
        other.refuse_difference()


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"version": 3}, "is of MIMIC-III; medfuse is of MIMIC-IV"),
        ({"task": "other"}, r"no task mortality.*`omnifuse extract --preset medfuse`"),
        ({"modalities": ("ehr",)}, r"no modality cxr.*--preset medfuse"),
    ],
)
def test_a_cache_that_it_cannot_be_is_refused(tmp_path: Path, made: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        beside(cache_of(tmp_path / "cache", **made), read_reproduction("medfuse"))


def test_other_records_are_not_mimic(toy_cache: Callable[..., Path], tmp_path: Path) -> None:
    cache = FeatureCache.open(toy_cache(tmp_path / "cache"))
    with pytest.raises(InputError, match="holds toy, not MIMIC"):
        beside(cache, read_reproduction("benchmark"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--preset", "benchmark"], "is MIMIC-IV; benchmark is of MIMIC-III"),
        (["--preset", "benchmarks"], "Did you mean 'benchmark'"),
        (["--dataset", "mimic", "--strict"], "--strict is of a --preset"),
    ],
)
def test_an_extraction_that_cannot_be_it_is_refused_before_any_work(
    synthetic_raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["extract", *words, "--raw", str(synthetic_raw), "--cache", str(tmp_path / "cache")])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_yaib_is_counted_on_the_demo_as_by_itself(
    shared_data: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The label files that YAIB ships for the demo: 132, 125 and 99 stays, 21 positive; 132, 72 and 69; 9,656 hours."""
    cache, raw = tmp_path / "cache", shared_data("mimic-iii-demo")
    words = ["extract", "--preset", "yaib", "--strict", "--raw", str(raw), "--cache", str(cache), "--workers", "1"]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    assert "9,656  9,656 (read)" in capsys.readouterr().out
    counts = beside(FeatureCache.open(cache), read_reproduction("yaib")).counts
    assert [one.found for one in counts if one.known == "read"] == [136, 132, 125, 99, 21]


def test_a_study_shows_published_and_own_results_cohort_by_cohort(tmp_path: Path) -> None:
    rng, ids = np.random.default_rng(0), np.arange(120)
    y = (rng.random(120) < 0.4).astype(np.float32)[:, None]
    staged = StagedCache(tmp_path / "cache", "mimic", {}).add_samples(
        pl.DataFrame({"sample_id": ids, "subject_id": ids})
    )
    for name, having in (("ehr", np.ones(120, int)), ("cxr", (ids % 3 > 0).astype(int))):
        rows = (y + rng.normal(size=y.shape))[having > 0].astype(np.float16)
        spec = ModalitySpec(name, "embedding", "row", {})
        staged.add_modality(spec, having, 1, [rows], np.zeros(len(rows), np.float32))
    staged.add_task(Task("mortality", "binary", ("died",), y, 48.0))
    staged.commit({"cohort": {"inputs": {MIMIC[4]: "digest"}}})
    content = {"folds": 2, "experiments": [{"kind": "published", "reproduction": "cm2", "methods": ["logistic"]}]}
    grid = replace(make_grid("small", content, "small"), reproduction=read_reproduction("cm2"))
    plan = plan_study(tmp_path / "cache", grid, tmp_path / "study")
    assert run_study(plan, 1) == {}
    part = next(part for part in study_results(tmp_path / "study").chapters if part.anchor == "published")
    tables = {item.name: item for item in part.items if isinstance(item, ResultTable)}
    (cell,) = [plan.study.find(cell) for cell in plan.cells]
    assert cell is not None
    for cohort, inside, published in (("partial", ids >= 0, 0.858), ("paired", ids % 3 > 0, 0.827)):
        table = tables[f"published-{cohort}"]
        by_method = {(row[0], row[1]): row for row in table.rows}
        assert by_method["CM2", "published"][3].value == published  # type: ignore[union-attr]
        own = by_method["logistic", "here"]
        said = cell.predictions.filter(pl.col("sample_id").is_in(ids[inside].tolist()))
        folds = [roc_auc_score(fold["y"], fold["p"]) for _, fold in said.group_by("fold")]
        assert own[2] == inside.sum()
        assert own[3].value == pytest.approx(np.mean(folds))  # type: ignore[union-attr]
        assert "another release" in table.reading
    assert len(tables["published-counts"].rows) == 4
