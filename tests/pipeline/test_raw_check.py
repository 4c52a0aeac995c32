"""The doctor looks at a raw folder: which data set it is, which tables are missing, and what to run for weights."""

import json
import shutil
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner
from omnifuse.cache_schema import InputError
from omnifuse.cli import main
from omnifuse.pipeline.check import Check, checks_text
from omnifuse.pipeline.core.encoders import Encoders
from omnifuse.pipeline.core.memo import DigestMemo
from omnifuse.pipeline.raw_check import check_raw


def test_a_whole_folder_is_named_with_the_command_that_looks_further(synthetic_raw: Path) -> None:
    first, *others = check_raw(synthetic_raw)
    assert first.state == "ok" and first.finding.startswith("data set synthetic: MIMIC-IV.")
    assert f"omnifuse extract --dataset synthetic --raw {synthetic_raw} --dry-run" in first.finding
    assert {check.name for check in others} == {
        *(f"table {name}" for name in ("icustays", "admissions", "patients", "diagnoses_icd")),
        *("table chartevents", "table labevents", "cxr", "rep", "notes", "ed"),
    }
    assert {check.state for check in others} == {"ok"}


def test_every_missing_table_is_a_problem_of_its_own(synthetic_raw: Path, tmp_path: Path) -> None:
    shutil.copytree(synthetic_raw, tmp_path / "raw", ignore=shutil.ignore_patterns("mimic-cxr*"))
    for name in ("hosp/labevents.csv.gz", "hosp/patients.csv.gz"):
        (tmp_path / "raw" / name).unlink()
    checks = {check.name: check for check in check_raw(tmp_path / "raw")}
    problems = {name: check.mend for name, check in checks.items() if check.state == "problem"}
    assert problems == {"table labevents": "add labevents.csv.gz", "table patients": "add patients.csv.gz"}
    assert checks["cxr and rep"].state == "note" and "mimic-cxr-2.0.0-metadata" in checks["cxr and rep"].finding


def test_records_of_the_challenge_without_outcomes(tmp_path: Path) -> None:
    (tmp_path / "set-a").mkdir()
    (tmp_path / "set-a/132539.txt").touch()
    looks, outcomes = check_raw(tmp_path)
    assert looks.finding.startswith("data set physionet2012: 1 records.") and outcomes.state == "note"


def test_a_folder_of_no_data_set_lists_what_each_is_known_by(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    (check,) = check_raw(tmp_path)
    assert check.state == "problem" and "it holds holiday.jpg" in check.finding
    assert all(f"\n{name}: " in check.finding for name in ("mimic", "physionet2012", "lung", "meds"))
    (check,) = check_raw(tmp_path / "no folder")
    assert check.finding == f"there is no folder '{tmp_path}/no folder'"


def test_the_doctor_exits_with_1_for_a_folder_of_no_data_set(tmp_path: Path) -> None:
    arguments = ["doctor", "--text-encoder", "random", "--image-encoder", "random", "--json", "--raw", str(tmp_path)]
    result = CliRunner().invoke(main, arguments)
    names = [check["name"] for check in json.loads(result.stdout)["checks"]]
    assert result.exit_code == 1 and names[-1] == "raw files" and "data mimic" not in names


def test_lines_are_wrapped_and_commands_are_not() -> None:
    command = "curl " + "x" * 200
    text = checks_text([Check("weights", "problem", f"{'word ' * 50}\n    {command}\nthen copy it", "again")])
    *lines, run, last = text.splitlines()
    assert run == " " * 12 + command and last == "        then copy it -> again"
    assert lines[0].startswith("problem weights: word") and all(len(line) <= 80 for line in lines)


def test_missing_weights_of_all_encoders_are_one_message_with_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_arguments: object, **_named: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_, **__: None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(InputError) as raised:
        Encoders("some/bert").recipes(["text", "windowed text", "image"], DigestMemo(tmp_path / "memo", tmp_path))
    lines = str(raised.value).splitlines()
    assert sum("cannot be loaded" in line for line in lines) == 2  # the text encoder once
    assert "    curl -L -O https://download.pytorch.org/models/resnet34-b627a593.pth" in lines
    assert "    --image-encoder resnet34-b627a593.pth" in lines
    (command,) = (line for line in lines if line.startswith("    hf download some/bert --include config.json "))
    assert command.endswith(" --local-dir bert") and "'*.safetensors'" in command
