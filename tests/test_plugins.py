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


@dataclass(frozen=True)
class Place:
    """A folder to work in, and where pip put the package."""

    folder: Path
    site: Path

    def omnifuse(self, *arguments: object, installed: bool = True) -> Ended:
        """Call the command line in a process that finds the package, or does not."""
        paths = [str(self.site)] if installed else []
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "omnifuse.cli", *map(str, arguments)]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)
        return Ended(done.returncode, done.stdout, done.stderr)

    def json(self, *arguments: object) -> Any:
        """Return what a command that succeeds prints with ``--json``."""
        ended = self.omnifuse(*arguments, "--json")
        assert ended.code == 0, ended.words
        return json.loads(ended.out)


def write_raw(raw: Path) -> None:
    """Patients whose age and waveform are higher in those who died."""
    raw.mkdir()
    generator = np.random.default_rng(0)
    died = np.arange(PATIENTS) % 2
    age = 60 + 10 * died + generator.normal(0, 5, PATIENTS)
    pl.DataFrame({"patient": np.arange(PATIENTS), "died": died, "age": age}).write_csv(raw / "patients.csv")
    for patient in range(PATIENTS):
        np.save(raw / f"{patient}.npy", generator.normal(died[patient], 1, 40).astype(np.float32))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The package installed in a folder of its own, and everything made with it: cache, run and study."""
    folder = tmp_path_factory.mktemp("stranger")
    source, site = folder / "source", folder / "site"
    shutil.copytree(STRANGER, source, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(site), str(source)], check=True)
    write_raw(folder / "raw")
    return Place(folder, site)


@pytest.fixture(scope="module")
def extracted(place: Place) -> Any:
    return place.json("extract", "--dataset", "wards", "--raw", "raw", "--beds", BEDS, "--workers", 2)


@pytest.fixture(scope="module")
def trained(place: Place, extracted: Any) -> str:
    """What a training prints."""
    quick = ("--folds", 2, "--set", "fit.epochs=4", "--set", "encoder.embedding=last", "--workers", 1)
    done = place.omnifuse("train", "--method", "peak", *quick, "--run", "run")
    assert done.code == 0, done.words
    return done.out


@pytest.fixture(scope="module")
def studied(place: Place, extracted: Any) -> Any:
    return place.json("study", "--preset", "glance", "--workers", 2)


def test_its_method_is_as_short_as_promised() -> None:
    assert len((STRANGER / "acme_fusion" / "peak.py").read_text().splitlines()) <= 60


def test_the_package_is_not_installed_where_the_suite_runs() -> None:
    assert subprocess.run([sys.executable, "-c", "import acme_fusion"], capture_output=True).returncode == 1


def test_its_method_is_listed_and_described(place: Place) -> None:
    listed = {method["name"]: method for method in place.json("methods")["methods"]}
    assert listed["peak"]["title"] == "Peak fusion: of every number the largest that any modality has."
    assert "concat" in listed
    assert "gain=1.0" in place.omnifuse("methods", "peak").words


def test_its_data_set_is_listed_with_its_own_option(place: Place) -> None:
    assert "wards patients of a ward" in place.omnifuse("extract", "--help").words
    of_it = place.omnifuse("extract", "--dataset", "wards", "--help").words
    assert "Options of wards: --beds INTEGER Only the first beds of the ward." in of_it


def test_its_data_set_is_extracted_through_its_encoder_in_other_processes(place: Place, extracted: Any) -> None:
    assert extracted["pending"] == {"age": BEDS, "monitor": BEDS}
    assert extracted["contents"]["modalities"]["monitor"]["rows"] == 4 * BEDS
    assert "waveform encoder: quarters, acme-fusion 1.2" in place.omnifuse("cache", "info").out


def test_its_method_encoder_and_measure_stand_in_the_run_and_its_report(place: Place, trained: str) -> None:
    metrics = json.loads((place.folder / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["method"] == "peak"
    brought = {"name": "acme-fusion", "version": "1.2"}
    assert metrics["package"] == brought and metrics["encoder_packages"] == {"embedding.last": brought}
    assert -1 <= metrics["mcc"]["mean"] <= 1 and all("mcc" in fold for fold in metrics["folds"])
    page = (place.folder / "run" / "report.html").read_text(encoding="utf-8")
    assert "method peak of the package acme-fusion 1.2" in page
    assert "Matthews: correlation of outcome and answer." in page


def test_the_text_of_a_training_has_a_column_of_its_measure(trained: str) -> None:
    first, head, *_ = trained.splitlines()
    assert first.startswith("peak on death of wards: 50 samples")
    assert head.split() == ["fold", "rows", "AUROC", "AUPRC", "Matthews"]


def test_its_preset_makes_a_study_in_other_processes(place: Place, studied: Any) -> None:
    assert studied["failed"] == {} and len(list((place.folder / "study" / "cells").iterdir())) == 2
    page = (place.folder / "study" / "report.html").read_text(encoding="utf-8")
    assert "peak" in page and "Matthews" in page
    (scores,) = (place.folder / "study").glob("**/methods-scores.csv")
    table = pl.read_csv(scores)
    assert set(table["method"]) == {"peak", "concat"} and "Matthews" in table.columns


WITHOUT: dict[str, tuple[tuple[object, ...], str]] = {
    "predict": (
        ("predict", "--run", "run"),
        "Error: run was trained with the method 'peak' of the package acme-fusion 1.2, which is not installed: "
        "pip install 'acme-fusion==1.2'.",
    ),
    "train": (("train", "--method", "peak"), "Unknown method 'peak'."),
    "encoder": (("train", "--set", "encoder.embedding=last"), "Unknown embedding encoder 'last'."),
    "extract": (("extract", "--dataset", "wards", "--raw", "raw"), "Unknown data set 'wards'."),
    "study": (("study", "--preset", "glance"), "glance is neither a preset"),
}


@pytest.mark.parametrize("command", WITHOUT)
def test_without_the_package_what_needs_it_is_refused_in_a_line(
    place: Place, trained: str, studied: Any, command: str
) -> None:
    arguments, message = WITHOUT[command]
    ended = place.omnifuse(*arguments, installed=False)
    assert ended.code == 2 and message in ended.words
    assert "Traceback" not in ended.words


@pytest.mark.parametrize("folder", ["run", "study"])
def test_without_the_package_reports_are_written_of_what_is_stored(
    place: Place, trained: str, studied: Any, folder: str
) -> None:
    page = place.folder / folder / "report.html"
    page.unlink()
    ended = place.omnifuse("report", folder, installed=False)
    assert ended.code == 0, ended.words
    text = page.read_text(encoding="utf-8")
    assert "peak" in text and "of the package acme-fusion 1.2, which is not installed" in text


def test_without_the_package_its_cache_is_whole_and_names_it(place: Place, extracted: Any) -> None:
    held = place.omnifuse("cache", "info", installed=False)
    assert held.code == 0 and "waveform encoder: quarters, acme-fusion 1.2" in held.out
    assert place.omnifuse("cache", "verify", installed=False).code == 0
