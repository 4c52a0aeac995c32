"""metrics.json: read strictly, written as it was, and opened or refused whatever version wrote it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omnifuse.cache_schema import InputError
from omnifuse.fusion.report import write_report
from omnifuse.fusion.runs.metrics import FORMAT, RunMetrics
from omnifuse.fusion.runs.run import load_run
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.sealed_folder import SEAL, seal
from omnifuse.fusion.training.config import make_config
from omnifuse.registry import Package

ToyCache = Callable[..., Path]
Content = dict[str, Any]

HIDDEN = ("missing.rate=0.5", "missing.protocol=test", "missing.draws=2")
SEARCHED = ("search.trials=2", "validation=0.2")


@pytest.fixture(scope="module")
def runs(toy_cache: ToyCache, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs of every kind of task, with everything that a run may tell."""
    folder = tmp_path_factory.mktemp("metrics")
    found = {}
    for kind, method, more in (
        ("binary", "omnifuse", HIDDEN),
        ("multilabel", "late", SEARCHED),
        ("multiclass", "concat", ()),
    ):
        config = make_config(method, overrides=("fit.epochs=1", "folds=2", *more))
        found[kind] = train(toy_cache(folder / f"{kind}-cache", kind=kind), config, folder / kind).path
    return found


@pytest.fixture(scope="module")
def content(runs: dict[str, Path]) -> Content:
    return stored(runs["binary"])


def stored(run: Path) -> Content:
    content: Content = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("kind", ["binary", "multilabel", "multiclass"])
def test_what_was_read_is_written_to_the_letter_and_is_the_same_when_read_again(
    kind: str, runs: dict[str, Path]
) -> None:
    before = stored(runs[kind])
    metrics = RunMetrics.from_json(before)
    assert json.dumps(metrics.to_json()) == json.dumps(before)
    assert RunMetrics.from_json(metrics.to_json()) == metrics == load_run(runs[kind]).metrics


def test_fields_are_the_entries_of_the_file(content: Content) -> None:
    metrics = RunMetrics.from_json(content)
    assert (metrics.task, metrics.method, metrics.kind, metrics.samples) == ("outcome", "omnifuse", "binary", 60)
    assert metrics.auroc.mean == content["auroc"]["mean"] and list(metrics.auroc.ci or ()) == content["auroc"]["ci"]
    assert metrics.folds[1].measures == {name: content["folds"][1][name] for name in metrics.measures}
    row, expected = metrics.per_pattern[0], content["per_pattern"][0]
    found = row.measured("auroc")
    assert (row.modalities, found.value) == (expected["modalities"], expected["auroc"])
    assert list(found.ci or ()) == (expected["auroc_ci"] or [])
    assert row.measured("brier").value == expected["brier"] and row.measured("brier").ci is None
    assert metrics.missing is not None and len(metrics.missing.each_draw) == 2


def at(content: Content, place: tuple[Any, ...]) -> Any:
    for name in place:
        content = content[name]
    return content


FIXED = [
    ("task",), ("kind",), ("folds",), ("auroc",), ("auprc", "mean"), ("folds", 0, "rows"), ("calibration", "slope"),
    ("alert", "rate"), ("reliability", 0, "low"), ("per_pattern", 0, "calibration"), ("missing", "rate"),
    ("missing", "complete", "auroc", "sd"), ("method_details", "modalities", 0, "modality"), ("cache", "digest"),
    ("titles",), ("package",), ("seconds",),
]  # fmt: skip


@pytest.mark.parametrize("place", FIXED, ids=lambda place: "/".join(map(str, place)))
def test_an_entry_that_is_missing_is_named(place: tuple[Any, ...], content: Content) -> None:
    altered = json.loads(json.dumps(content))
    del at(altered, place[:-1])[place[-1]]
    with pytest.raises(InputError, match=rf"lacks {place[-1]}\..*train again"):
        RunMetrics.from_json(altered)


@pytest.mark.parametrize("place", FIXED, ids=lambda place: "/".join(map(str, place)))
def test_an_entry_of_another_type_is_named(place: tuple[Any, ...], content: Content) -> None:
    altered = json.loads(json.dumps(content))
    old = at(altered, place)
    at(altered, place[:-1])[place[-1]] = 7 if isinstance(old, str | dict | list) or old is None else "seven"
    with pytest.raises(InputError, match=rf"{place[-1]} = .*expected .*train again"):
        RunMetrics.from_json(altered)


@pytest.mark.parametrize("place", [place[:-1] for place in FIXED if place[-1] != "auroc"], ids=str)
def test_an_unknown_entry_is_named(place: tuple[Any, ...], content: Content) -> None:
    altered = json.loads(json.dumps(content))
    at(altered, place)["surprise"] = "x"
    with pytest.raises(InputError, match="surprise"):
        RunMetrics.from_json(altered)


def test_a_measure_of_another_package_is_an_entry_like_any_other(content: Content) -> None:
    given = {**content, "mcc": {"mean": 0.25, "sd": None}}
    metrics = RunMetrics.from_json(given)
    assert metrics.measures["mcc"].mean == 0.25
    assert metrics.to_json()["mcc"] == given["mcc"]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            {"format": FORMAT + 1},
            rf"format {FORMAT + 1}; this OmniFuse reads up to {FORMAT}\. Install a newer OmniFuse",
        ),
        ({"format": 1}, "no file of a run of this or the last version.*Train again"),
        ({"format": None}, "no file of a run of this or the last version.*Train again"),
    ],
)
def test_another_format_is_refused_in_one_sentence_that_says_what_to_do(
    entries: Content, message: str, content: Content
) -> None:
    with pytest.raises(InputError, match=message):
        RunMetrics.from_json({**content, **entries})


def test_the_format_before_is_read(content: Content) -> None:
    new = {"titles", "package", "method_words"}
    before = {name: value for name, value in content.items() if name not in new} | {"format": 2}
    metrics = RunMetrics.from_json(before)
    assert metrics.package is None and metrics.task_title == "outcome"
    assert {name: value for name, value in metrics.to_json().items() if name in before} == before | {"format": FORMAT}


def test_a_run_of_a_method_that_is_not_installed_says_which_package_it_needs_and_still_has_a_report(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    run, names = tmp_path / "run", {"method": "strange", "package": {"name": "strangers", "version": "1.2"}}
    shutil.copytree(runs["multiclass"], run)
    (run / "metrics.json").write_text(json.dumps(stored(run) | names))
    (run / "config.json").write_text((run / "config.json").read_text().replace('"concat"', '"strange"'))
    seal(run, (path for path in run.rglob("*") if path.is_file() and path.name != SEAL))
    opened = load_run(run)
    assert opened.metrics.package == Package("strangers", "1.2")
    needed = r"method 'strange' of the package strangers 1\.2, which is not installed: pip install 'strangers==1\.2'"
    with pytest.raises(InputError, match=needed):
        opened.predict(tmp_path / "cache")
    page = write_report(run).read_text(encoding="utf-8")
    assert "strangers 1.2" in page and "Test part of each fold" in page and "which is not installed" in page


@pytest.mark.parametrize(
    ("package", "needed"),
    [
        (
            {"name": "strangers", "version": "1.2"},
            r"encoder 'embedding\.odd' of the package strangers 1\.2, which is not installed: pip install "
            r"'strangers==1\.2'\.",
        ),
        (None, r"encoder 'embedding\.odd', which is not known here: register it first\."),
    ],
)
def test_a_run_of_a_trainable_encoder_that_is_not_there_says_so_and_still_has_a_report(
    package: Content | None, needed: str, runs: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["multiclass"], run)
    (run / "metrics.json").write_text(json.dumps(stored(run) | {"encoder_packages": {"embedding.odd": package}}))
    config = json.loads((run / "config.json").read_text())
    config["encoder"]["embedding"] = "odd"
    (run / "config.json").write_text(json.dumps(config))
    seal(run, (path for path in run.rglob("*") if path.is_file() and path.name != SEAL))
    with pytest.raises(InputError, match=f"was trained with the {needed}"):
        load_run(run).predict(tmp_path / "cache")
    assert "Test part of each fold" in write_report(run).read_text(encoding="utf-8")
