"""A package of somebody else, built and installed by pip, is used by every command; without it the rest goes on."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

STRANGER = Path(__file__).parent / "data" / "stranger"
"""The sources of the package; they are copied away before they are built."""

PATIENTS, BEDS = 60, 50


@dataclass(frozen=True)
class Ended:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """Everything printed, without line breaks."""
        return " ".join(f"{self.out} {self.err}".split())


CALLS = """
import json, sys
from click.testing import CliRunner
from omnifuse.cli import main

ended = [CliRunner().invoke(main, call) for call in json.loads(sys.argv[1])]
with open(sys.argv[2], "w") as answers:
    json.dump([[one.exit_code, one.stdout, one.stderr] for one in ended], answers)
"""

Calls = dict[str, tuple[object, ...]]


def in_a_process(folder: Path, calls: Calls, site: Path | None = None) -> dict[str, Ended]:
    """Call the command line several times in a process that finds what pip put into ``site``, and nothing else."""
    environment = {**os.environ, "PYTHONPATH": str(site or ""), "OMP_NUM_THREADS": "1"}
    asked, answers = json.dumps([list(map(str, call)) for call in calls.values()]), folder / "answers.json"
    subprocess.run([sys.executable, "-c", CALLS, asked, answers], cwd=folder, env=environment, check=True)
    return {name: Ended(*ended) for name, ended in zip(calls, json.loads(answers.read_text()), strict=True)}


def write_raw(raw: Path) -> None:
    """Patients whose age and waveform are higher in those who died."""
    raw.mkdir()
    generator = np.random.default_rng(0)
    died = np.arange(PATIENTS) % 2
    age = 60 + 10 * died + generator.normal(0, 5, PATIENTS)
    pl.DataFrame({"patient": np.arange(PATIENTS), "died": died, "age": age}).write_csv(raw / "patients.csv")
    for patient in range(PATIENTS):
        np.save(raw / f"{patient}.npy", generator.normal(died[patient], 1, 40).astype(np.float32))


@dataclass(frozen=True)
class Used:
    """What the commands said with the package, and the folder in which they made a cache, a run and a study."""

    folder: Path
    ended: dict[str, Ended]

    def json(self, name: str) -> Any:
        """Return what a command that succeeded printed with ``--json``."""
        ended = self.ended[name]
        assert ended.code == 0, ended.words
        return json.loads(ended.out)


WITH: Calls = {
    "methods": ("methods", "--json"),
    "method": ("methods", "peak"),
    "data sets": ("extract", "--help"),
    "options": ("extract", "--dataset", "wards", "--help"),
    "extract": ("extract", "--dataset", "wards", "--raw", "raw", "--beds", BEDS, "--workers", 1, "--json"),
    "info": ("cache", "info"),
    "train": ("train", "--method", "peak", "--folds", 2, "--set", "fit.epochs=4", "--set", "encoder.embedding=last",
              "--workers", 2, "--run", "run"),
    "study": ("study", "--preset", "glance", "--workers", 1, "--json"),
}  # fmt: skip


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Used:
    """The package installed in a folder of its own, and everything made with it."""
    folder = tmp_path_factory.mktemp("stranger")
    source, site, work = folder / "source", folder / "site", folder / "work"
    shutil.copytree(STRANGER, source, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(site), str(source)], check=True)
    work.mkdir()
    write_raw(work / "raw")
    return Used(work, in_a_process(work, WITH, site))


def test_its_method_is_as_short_as_promised() -> None:
    assert len((STRANGER / "acme_fusion" / "peak.py").read_text().splitlines()) <= 60


def test_the_package_is_not_installed_where_the_suite_runs() -> None:
    assert subprocess.run([sys.executable, "-c", "import acme_fusion"], capture_output=True).returncode == 1


def test_its_method_is_listed_and_described(used: Used) -> None:
    listed = {method["name"]: method for method in used.json("methods")["methods"]}
    assert listed["peak"]["title"] == "Peak fusion: of every number the largest that any modality has."
    assert "concat" in listed
    assert "gain=1.0" in used.ended["method"].words


def test_its_data_set_is_listed_with_its_own_option(used: Used) -> None:
    assert "wards patients of a ward" in used.ended["data sets"].words
    assert "Options of wards: --beds INTEGER Only the first beds of the ward." in used.ended["options"].words


def test_its_data_set_is_extracted_through_its_encoder_in_other_processes(used: Used) -> None:
    extracted = used.json("extract")
    assert extracted["pending"] == {"age": BEDS, "monitor": BEDS}
    assert extracted["contents"]["modalities"]["monitor"]["rows"] == 4 * BEDS
    assert "waveform encoder: quarters, acme-fusion 1.2" in used.ended["info"].out


def test_its_method_encoder_and_measure_stand_in_the_run_and_its_report(used: Used) -> None:
    """The folds were trained in other processes."""
    metrics = json.loads((used.folder / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["method"] == "peak"
    brought = {"name": "acme-fusion", "version": "1.2"}
    assert metrics["package"] == brought and metrics["encoder_packages"] == {"embedding.last": brought}
    assert -1 <= metrics["mcc"]["mean"] <= 1 and all("mcc" in fold for fold in metrics["folds"])
    page = (used.folder / "run" / "report.html").read_text(encoding="utf-8")
    assert "method peak of the package acme-fusion 1.2" in page
    assert "Matthews: correlation of outcome and answer." in page


def test_the_text_of_a_training_has_a_column_of_its_measure(used: Used) -> None:
    assert used.ended["train"].code == 0, used.ended["train"].words
    first, head, *_ = used.ended["train"].out.splitlines()
    assert first.startswith("peak on death of wards: 50 samples")
    assert head.split() == ["fold", "rows", "AUROC", "AUPRC", "Matthews"]


def test_its_preset_makes_a_study(used: Used) -> None:
    assert used.json("study")["failed"] == {}
    assert len(list((used.folder / "study" / "cells").iterdir())) == 2
    page = (used.folder / "study" / "report.html").read_text(encoding="utf-8")
    assert "peak" in page and "Matthews" in page
    (scores,) = (used.folder / "study").glob("**/methods-scores.csv")
    table = pl.read_csv(scores)
    assert set(table["method"]) == {"peak", "concat"} and "Matthews" in table.columns


REFUSED: dict[str, tuple[tuple[object, ...], str]] = {
    "predict": (
        ("predict", "--run", "run"),
        "Error: run was trained with the method 'peak' of the package acme-fusion 1.2, which is not installed: "
        "pip install 'acme-fusion==1.2'.",
    ),
    "train": (("train", "--method", "peak"), "Unknown method 'peak'."),
    "encoder": (("train", "--set", "encoder.embedding=last"), "Unknown embedding encoder 'last'."),
    "extract": (
        ("extract", "--dataset", "wards", "--raw", "raw"),
        "Error: cache needs the data set 'wards' of the package acme-fusion 1.2, which is not installed: "
        "pip install 'acme-fusion==1.2'.",
    ),
    "extract elsewhere": (("extract", "--dataset", "wards", "--cache", "new"), "Unknown data set 'wards'."),
    "study": (("study", "--preset", "glance"), "glance is neither a preset"),
}
WITHOUT: Calls = {name: call for name, (call, _) in REFUSED.items()} | {
    "report of the run": ("report", "run"),
    "report of the study": ("report", "study"),
    "info": ("cache", "info"),
    "verify": ("cache", "verify"),
}


@pytest.fixture(scope="module")
def left(used: Used, tmp_path_factory: pytest.TempPathFactory) -> Used:
    """What was made with the package, but for the reports, and what the commands say of it without."""
    skip = shutil.ignore_patterns("report.html")
    folder = shutil.copytree(used.folder, tmp_path_factory.mktemp("left") / "work", ignore=skip)
    return Used(folder, in_a_process(folder, WITHOUT))


@pytest.mark.parametrize("command", REFUSED)
def test_without_the_package_what_needs_it_is_refused_in_a_line(left: Used, command: str) -> None:
    ended = left.ended[command]
    assert ended.code == 2 and REFUSED[command][1] in ended.words
    assert "Traceback" not in ended.words


@pytest.mark.parametrize("folder", ["run", "study"])
def test_without_the_package_reports_are_written_of_what_is_stored(left: Used, folder: str) -> None:
    ended = left.ended[f"report of the {folder}"]
    assert ended.code == 0, ended.words
    text = (left.folder / folder / "report.html").read_text(encoding="utf-8")
    assert "peak" in text and "of the package acme-fusion 1.2, which is not installed" in text


def test_without_the_package_its_cache_is_whole_and_names_it(left: Used) -> None:
    held = left.ended["info"]
    assert held.code == 0 and "waveform encoder: quarters, acme-fusion 1.2" in held.out
    assert left.ended["verify"].code == 0
