"""What authors get: every file of it, what only they know marked, and no patient in any of it."""

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from omnifuse.cache_schema import InputError
from omnifuse.fusion.paper import write_paper
from omnifuse.fusion.paper.checklist import ITEMS, OPEN
from omnifuse.fusion.paper.methods_text import methods_paragraph
from omnifuse.fusion.report import write_report
from omnifuse.fusion.runs.run import Run
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.study.grid import make_grid
from omnifuse.fusion.study.run import plan_study, run_study
from omnifuse.fusion.training.config import make_config

FIRST_ID = 7_300_001
WITHOUT_PATHS = ("tables/alert", "tables/are", "tables/by", "tables/do", "tables/each", "tables/how")
TEXTS = (".md", ".tex", ".bib", ".json", ".csv", ".svg")


def trained(toy_cache: Callable[..., Path], folder: Path, kind: str = "binary") -> Run:
    cache = toy_cache(folder / "cache", kind=kind, first_id=FIRST_ID)
    return train(cache, make_config("logistic", folds=2), folder / "run")


@pytest.fixture(scope="module")
def run(toy_cache: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(toy_cache, tmp_path_factory.mktemp("paper"))


def contents(kit: Path) -> dict[str, bytes]:
    return {path.relative_to(kit).as_posix(): path.read_bytes() for path in kit.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["binary", "multilabel", "multiclass", "regression", "survival"])
def test_no_patient_and_no_path_is_in_the_kit_of_any_kind(
    toy_cache: Callable[..., Path], tmp_path: Path, kind: str
) -> None:
    run = trained(toy_cache, tmp_path, kind)
    kit = write_paper(run.path, tmp_path / "kit")
    ids = {str(one) for one in run.splits.select(pl.concat_list("sample_id", "subject_id").explode()).to_series()}
    assert len(ids) >= 60
    for name, content in contents(kit).items():
        if name.endswith(TEXTS):
            text = content.decode()
            assert not [one for one in ids if one in text], name
            assert str(tmp_path) not in text, name


def test_every_file_is_what_it_says(run: Run, tmp_path: Path) -> None:
    kit = write_paper(run.path, tmp_path / "kit")
    files = contents(kit)
    write_report(run.path)
    tables = {f"tables/{path.name}": path.read_bytes() for path in (run.path / "tables").iterdir()}
    tables = {name: content for name, content in tables.items() if name.startswith(WITHOUT_PATHS)}
    assert len(tables) > 8
    assert tables.items() <= files.items()  # those of the report
    drawn = {name.rpartition(".")[0] for name in files if name.startswith("figures/")}
    assert len(drawn) >= 3
    for name in drawn:
        assert ElementTree.fromstring(files[f"{name}.svg"]).tag.endswith("svg")
        assert files[f"{name}.pdf"].startswith(b"%PDF")
    for name in ("methods.tex", "references.bib", *(name for name in tables if name.endswith(".tex"))):
        bare = files[name].decode().replace(r"\{", "").replace(r"\}", "")
        assert bare.count("{") == bare.count("}"), name
    described = json.loads(files["croissant.json"])
    assert described["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert described["distribution"][0]["sha256"] == run.metrics.cache.digest
    assert "ehr (timeseries" in described["description"]
    listed = files["README.md"].decode()
    assert all(f"`{name}`" in listed for name in ("tripod-ai.md", "model-card.md", "tables", "figures"))
    assert contents(write_paper(run.path, tmp_path / "again")) == files


def test_the_checklist_has_every_item_and_says_what_is_left_to_do(run: Run, tmp_path: Path) -> None:
    written = (write_paper(run.path, tmp_path / "kit") / "tripod-ai.md").read_text()
    assert {item.number.rstrip("abcdefg") for item in ITEMS} == {str(number) for number in range(1, 28)}
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in written.splitlines() if line.startswith("| ")}
    assert list(rows)[1:] == [item.number for item in ITEMS]
    assert OPEN in rows["17"] and OPEN in rows["18a"]
    assert "2-fold cross-validation by patient" in rows["12a"]
    auroc = run.metrics.measures["auroc"].mean
    assert f"AUROC {auroc:.3f}" in rows["23a"]


def test_every_reference_of_the_paragraph_is_in_the_bibliography(run: Run, tmp_path: Path) -> None:
    kit = write_paper(run.path, tmp_path / "kit")
    keys = [part.partition("]")[0] for part in methods_paragraph([run]).split("[@")[1:]]
    entries = (kit / "references.bib").read_text()
    assert "method-logistic" in keys
    for key in keys:
        assert f"{{{key},\n" in entries
        assert rf"\cite{{{key}}}" in (kit / "methods.tex").read_text()


def test_a_cache_that_is_gone_is_said_and_the_rest_written(toy_cache: Callable[..., Path], tmp_path: Path) -> None:
    run = trained(toy_cache, tmp_path)
    toy_cache(tmp_path / "cache", kind="binary", first_id=1)  # another one in its place
    kit = write_paper(run.path, tmp_path / "kit")
    assert not (kit / "croissant.json").exists()
    assert "no croissant.json" in (kit / "README.md").read_text()
    assert (kit / "tripod-ai.md").exists()


def test_nothing_is_overwritten_and_nothing_left_half_written(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match=r"mine exists already\. Name a new folder with --paper"):
        write_paper(run.path, tmp_path / "mine")
    with pytest.raises(InputError, match="nothing"):
        write_paper(tmp_path / "nothing", tmp_path / "kit")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]


def test_a_study_has_its_tables_figures_and_the_methods_that_it_compared(
    toy_cache: Callable[..., Path], tmp_path: Path
) -> None:
    cache = toy_cache(tmp_path / "cache", first_id=FIRST_ID)
    content = {"folds": 2, "experiments": [{"kind": "methods", "methods": ["prior", "logistic"], "reference": "prior"}]}
    plan = plan_study(cache, make_grid("small", content, "small"), tmp_path / "study")
    assert run_study(plan, 1) == {}
    files = contents(write_paper(tmp_path / "study", tmp_path / "kit"))
    assert "tables/ranking.csv" in files and any(name.endswith(".pdf") for name in files)
    assert "logistic [@method-logistic] and prior [@method-prior]" in files["methods.md"].decode()
    assert "--method logistic" in files["environment.md"].decode()
    assert str(tmp_path) not in files["environment.md"].decode()
    assert "croissant.json" in files
