"""The command line as its users meet it: help, results for people and machines, errors that say what to do."""

import errno
import json
import os
import resource
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result
from omnifuse.cache_schema.manifest import read_manifest, write_manifest
from omnifuse.cli import main
from omnifuse.fusion.methods import METHODS


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def refused(*arguments: object) -> str:
    """Call with wrong input: exit code 2, nothing on standard output, one message, no traceback."""
    result = call(*arguments)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert "Traceback" not in result.stderr
    return " ".join(result.stderr.split())


def test_help_lists_every_command() -> None:
    text = call("--help").stdout
    for command in ("cache", "demo", "doctor", "extract", "methods", "predict", "report", "study", "synth", "train"):
        assert f"\n  {command} " in text


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, omnifuse.cli; sys.exit(bool({'torch', 'zarr', 'polars', 'numpy'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_cache_info_for_people_and_machines(synthetic_cache: Path) -> None:
    assert "task mortality (binary, first 48 h, 60 samples" in call("cache", "info", "--cache", synthetic_cache).stdout
    info = json.loads(call("cache", "info", "--cache", synthetic_cache, "--json").stdout)
    assert set(info["modalities"]) == {"cxr", "ehr", "rep"}
    assert info["tasks"]["mortality"]["samples"] == 60
    assert info["tasks"]["decompensation"]["predictions"] > 60


def test_cache_info_fits_a_terminal_and_says_how_it_was_made(synthetic_cache: Path) -> None:
    lines = call("cache", "info", "--cache", synthetic_cache).stdout.splitlines()
    assert max(map(len, lines[1:])) <= 100  # the first names the cache by its path
    assert {"image encoder: resnet34, random (untrained)", "text encoder: random (untrained)"} < set(lines)
    assert any(line.startswith("settings: ") and "profile clean" in line for line in lines)


def test_cache_info_tells_conversions_from_losses(synthetic_cache: Path) -> None:
    text = call("cache", "info", "--cache", synthetic_cache).stdout
    lost, corrected = text.partition("\nleft out: ")[2].split("\ncorrected and kept: ")
    assert "fahrenheit: " in corrected and "pounds: " in corrected and "remove_outliers: " not in corrected
    assert "the file is missing" in lost and "fahrenheit: " not in lost
    entries = json.loads(call("cache", "info", "--cache", synthetic_cache, "--json").stdout)["quarantine"]
    for part, said in ((False, lost), (True, corrected)):
        total = sum(entry["count"] for entry in entries if entry["corrected"] is part)
        assert said.startswith(f"{total:,} values, rows or items\n")


def test_verify_passes_and_fails_with_exit_code_1(synthetic_cache: Path, tmp_path: Path) -> None:
    assert call("cache", "verify", "--cache", synthetic_cache).exit_code == 0
    copy = shutil.copytree(synthetic_cache, tmp_path / "cache")
    (copy / "tasks/mortality/y/c/0/0").unlink()
    result = call("cache", "verify", "--cache", copy, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["findings"] == [{"file": "tasks/mortality/y/c/0/0", "problem": "is missing"}]


def test_a_finished_extraction_says_that_nothing_is_to_be_done(synthetic_raw: Path, synthetic_cache: Path) -> None:
    arguments = ["extract", "--dataset", "synthetic", "--raw", synthetic_raw, "--cache", synthetic_cache]
    result = call(*arguments, "--text-encoder", "random", "--image-encoder", "random")
    assert result.stdout.startswith("Nothing to do:")


@pytest.mark.parametrize(("given", "expected"), [((), 3), (("--workers", 0), 0), (("--workers", 7), 7)])
def test_items_are_read_by_as_many_processes_as_there_are_cores_unless_another_number_is_given(
    monkeypatch: pytest.MonkeyPatch, given: tuple[object, ...], expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    command = main.commands["extract"]
    arguments = ["--dataset", "synthetic", *map(str, given)]
    assert command.make_context("extract", arguments).params["workers"] == expected


def test_a_dry_run_names_the_reasons_and_the_work(synthetic_raw: Path, tmp_path: Path) -> None:
    arguments = ["extract", "--dataset", "synthetic", "--raw", synthetic_raw, "--cache", tmp_path / "cache"]
    arguments += ["--text-encoder", "random", "--image-encoder", "random", "--dry-run"]
    assert "there is no complete cache at" in call(*arguments, "--modalities", "ehr").stdout
    content = json.loads(call(*arguments, "--json").stdout)
    assert content["pending"]["ehr"] > 0 and not content["done"]
    assert list(tmp_path.iterdir()) == []


def test_train_writes_a_run_with_metrics_and_report(synthetic_cache: Path, tmp_path: Path) -> None:
    arguments = ["train", "--cache", synthetic_cache, "--method", "concat", "--folds", 2, "--set", "fit.epochs=1"]
    result = call(*arguments, "--run", tmp_path / "run", "--json")
    metrics = json.loads(result.stdout)
    assert metrics["task"] == "mortality"
    assert {"run", "task", "method", "seconds", "folds", "auroc", "auprc"} <= metrics.keys()
    assert {"mean", "sd", "ci"} == metrics["auroc"].keys()
    assert any("too few to conclude anything" in note for note in metrics["notes"])
    assert (tmp_path / "run/report.html").exists()


def test_a_fold_that_fails_in_a_process_is_one_message_and_leaves_no_run(synthetic_cache: Path, tmp_path: Path) -> None:
    message = refused(
        *("train", "--cache", synthetic_cache, "--method", "concat", "--folds", 2, "--workers", 2),
        *("--set", "search.trials=2", "--set", "validation=0", "--run", tmp_path / "run"),
    )
    assert message == ("Error: A search needs a validation part to choose by; set validation to 0.2, for example.")
    assert not (tmp_path / "run").exists()


GRID = """
folds: 2
settings: [fit.epochs=1]
experiments:
  - kind: methods
    methods: [prior, late]
    modalities: all
"""


def test_a_study_says_what_it_will_do_does_it_once_and_reports(synthetic_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GRID)
    arguments = ("study", "--cache", synthetic_cache, "--preset", tmp_path / "mine.yaml", "--out", tmp_path / "study")
    planned = json.loads(call(*arguments, "--dry-run", "--workers", 1, "--json").stdout)
    assert (planned["cells"], planned["trainings"]) == (3, 6) and planned["expected_seconds"] > 0
    assert not (tmp_path / "study").exists()
    done = json.loads(call(*arguments, "--workers", 1, "--json").stdout)
    assert done["failed"] == {} and Path(done["report"]).is_file()
    assert "3 cells, 3 of them finished; 0 trainings to do." in call(*arguments, "--workers", 1).stderr
    again = call("report", tmp_path / "study", "--against", tmp_path / "study")
    assert again.exit_code == 0 and "Beside another cache" in Path(done["report"]).read_text()
    assert "no finished run" in refused("report", tmp_path / "study", "--patients")


def test_a_study_whose_cells_all_fail_says_why(synthetic_cache: Path, tmp_path: Path) -> None:
    grid = GRID.replace("[fit.epochs=1]", "[search.trials=2, validation=0]").replace("[prior, late]", "[late, concat]")
    (tmp_path / "mine.yaml").write_text(grid)
    arguments = ("study", "--cache", synthetic_cache, "--preset", tmp_path / "mine.yaml", "--out", tmp_path / "study")
    result = call(*arguments, "--workers", 1)
    assert result.exit_code == 1 and result.stdout.count(": A search needs a validation part to choose by") >= 2
    content = json.loads(call(*arguments, "--workers", 1, "--json").stdout)
    assert len(content["failed"]) == content["cells"] and content["report"] is None


def test_a_study_of_what_does_not_exist_is_refused(synthetic_cache: Path, tmp_path: Path) -> None:
    study = ("study", "--cache", synthetic_cache, "--out", tmp_path / "study")
    assert (
        "neither a preset (baselines, decompensation, learning-curve, length_of_stay, paper, paper-full, quick"
        in refused(*study, "--preset", "papr")
    )
    assert "Unknown modality 'pet'. Known are: cxr, ehr, rep" in refused(*study, "--modalities", "pet,ehr")
    assert refused("study", "--cache", tmp_path / "none")
    assert not (tmp_path / "study").exists()


def test_a_page_of_patients_is_made_on_request(small_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(small_run, tmp_path / "run")
    assert call("report", run).exit_code == 0 and not (run / "patients.html").exists()
    assert call("report", run, "--patients").exit_code == 0 and (run / "patients.html").is_file()


def test_predict_hides_what_it_is_told_to_hide(trained_run: Path, synthetic_cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "predictions.parquet"
    assert (
        call("predict", "--run", trained_run, "--cache", synthetic_cache, "--drop", "cxr", "--out", out).exit_code == 0
    )
    predictions = pl.read_parquet(out)
    assert not predictions["cxr.present"].any()
    assert predictions["p"].is_between(0, 1).all()


@pytest.mark.parametrize("ending", ["parquet", "csv", "json"])
def test_predictions_are_written_as_their_file_is_called_and_name_their_run(
    trained_run: Path, synthetic_cache: Path, tmp_path: Path, ending: str
) -> None:
    out = tmp_path / f"predictions.{ending}"
    result = call("predict", "--run", trained_run, "--cache", synthetic_cache, "--out", out, "--json")
    found = json.loads(result.stdout)
    read = {"parquet": pl.read_parquet, "csv": pl.read_csv, "json": pl.read_json}[ending](out)
    assert read.height == found["samples"] and set(read["run"]) == {f"run-{found['run_digest'][:12]}"}
    assert found["models"]["out-of-fold"] > 50 and found["models"]["seen"] == 0
    assert (read["models"] == "out-of-fold").sum() == found["models"]["out-of-fold"]
    assert "another cache" not in result.stderr


def test_predictions_in_an_unknown_format_are_refused_before_any_work(tmp_path: Path) -> None:
    message = refused("predict", "--run", tmp_path / "none", "--out", tmp_path / "p.xlsx")
    assert "predictions are written as .parquet, .csv, .json" in message


def test_values_in_another_unit_are_named_by_their_column_and_counted(tmp_path: Path) -> None:
    """Sodium of 140 mmol/L in training, of 140,000 in two of the patients to predict."""
    ids = [f"P{number:03}" for number in range(60)]
    pl.DataFrame({"sample_id": ids, "subject_id": ids, "died": [0, 1, 0] * 20}).write_csv(tmp_path / "samples.csv")
    sodium = [130.0 + number % 20 for number in range(60)]
    for name, factor in (("here", 1), ("there", 1000)):
        values = [value * (factor if number < 2 else 1) for number, value in enumerate(sodium)]
        table = pl.DataFrame({"sample_id": ids, "sodium": values, "age": sodium})
        table.write_csv(tmp_path / f"{name}.csv")
        made = ("cache", "import", "--samples", tmp_path / "samples.csv", "--label", "died", "--cache", tmp_path / name)
        assert call(*made, "--features", f"labs={tmp_path / name}.csv").exit_code == 0
    trained = call(
        "train", "--cache", tmp_path / "here", "--method", "logistic", "--folds", 2, "--run", tmp_path / "run"
    )
    assert trained.exit_code == 0
    for name, columns in (("here", []), ("there", [("labs", "sodium", 2, 131000.0)])):
        out = tmp_path / f"{name}.parquet"
        result = call("predict", "--run", tmp_path / "run", "--cache", tmp_path / name, "--out", out, "--json")
        outside = json.loads(result.stdout)["outside_training_range"]
        assert [(one["modality"], one["column"], one["samples"], one["furthest"]) for one in outside] == columns
    assert "labs, sodium: values up to 131000 (samples: 2)" in result.stderr


def test_the_command_that_is_named_next_works_as_written(tmp_path: Path) -> None:
    def following(result: Result) -> list[str]:
        *_, line = result.stdout.splitlines()
        start, *command = shlex.split(line)
        assert result.exit_code == 0 and [start, command[0]] == ["Next:", "omnifuse"]
        return command[1:]

    ids = range(40)
    samples = pl.DataFrame({"sample_id": ids, "subject_id": ids, "died": [i % 2 for i in ids]})
    samples.write_csv(tmp_path / "samples.csv")
    pl.DataFrame({"sample_id": ids, "sodium": [float(i) for i in ids]}).write_csv(tmp_path / "labs.csv")
    made = ("cache", "import", "--samples", tmp_path / "samples.csv", "--features", f"labs={tmp_path / 'labs.csv'}")
    training = following(call(*made, "--label", "died", "--cache", tmp_path / "my cache"))
    assert training == ["train", "--cache", str(tmp_path / "my cache")]
    assert following(call(*made, "--label", "died", "--cache", tmp_path / "my cache")) == training  # nothing to do
    run = ("--method", "logistic", "--folds", 2, "--run", tmp_path / "it's a run")
    assert call(*following(call(*training, *run))).exit_code == 0
    assert following(call(*made, "--cache", tmp_path / "no task")) == [
        "cache",
        "info",
        "--cache",
        str(tmp_path / "no task"),
    ]


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "mps", "meta", "nonsense", "x" * 3000])
def test_a_device_that_is_not_there_is_refused_before_any_work(
    synthetic_cache: Path, trained_run: Path, tmp_path: Path, device: str
) -> None:
    import torch

    if (device == "cuda" and torch.cuda.is_available()) or (device == "mps" and torch.backends.mps.is_available()):
        pytest.skip("this machine has it")
    (tmp_path / "mine.yaml").write_text(GRID.replace("fit.epochs=1", f"device={device}"))
    for command in (
        ("train", "--cache", synthetic_cache, "--device", device, "--run", tmp_path / "run"),
        ("train", "--cache", synthetic_cache, "--set", f"device={device}", "--run", tmp_path / "run"),
        ("predict", "--run", trained_run, "--cache", synthetic_cache, "--device", device, "--out", tmp_path / "p.csv"),
        ("study", "--cache", synthetic_cache, "--preset", tmp_path / "mine.yaml", "--out", tmp_path / "study"),
        ("extract", "--dataset", "lung", "--raw", tmp_path, "--cache", tmp_path / "c", "--device", f"cpu,{device}"),
    ):
        message = refused(*command)
        assert "Error: device = " in message and "this machine has cpu" in message and len(message) < 600
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_methods_fit_a_terminal_and_name_the_choices_of_options() -> None:
    text = call("methods", *METHODS.names()).stdout
    assert max(map(len, text.splitlines())) < 80
    assert "members=lightgbm,kernel,statistics" in text
    assert "imputation=cycle (or forward, none)" in " ".join(text.split())


def test_methods_and_doctor_answer_machines() -> None:
    for wanted in ([], METHODS.names()):
        described = json.loads(call("methods", *wanted, "--json").stdout)["methods"]
        assert sorted(method["name"] for method in described) == sorted(METHODS.names())
    result = call("doctor", "--text-encoder", "random", "--image-encoder", "random", "--json")
    checks = {check["name"]: check["state"] for check in json.loads(result.stdout)["checks"]}
    assert checks["torch"] == checks["text encoder random"] == "ok"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["train", "--task", "sepsis"],
            "Unknown task 'sepsis'. Known are: decompensation, length_of_stay, mortality, phenotyping",
        ),
        (
            ["train", "--method", "magic"],
            f"Unknown method 'magic'. Did you mean 'marginal'? Known are: {', '.join(METHODS.names())}",
        ),
        (["train", "--modalities", "ehr,ct"], "Unknown modality 'ct'. Known are: cxr, ehr, rep"),
        (["train", "--set", "fit.epoch=3"], "Unknown setting 'fit.epoch'. Did you mean 'fit.epochs'?"),
        (["train", "--set", "fit.epochs=many"], "fit.epochs = 'many'; expected int"),
        (["train", "--preset", "fast"], "Unknown omnifuse preset 'fast'"),
    ],
)
def test_a_wrong_name_lists_what_exists(synthetic_cache: Path, arguments: list[str], message: str) -> None:
    assert message in refused(*arguments, "--cache", synthetic_cache)


def test_train_refuses_an_incomplete_and_a_foreign_cache(tmp_path: Path, synthetic_cache: Path) -> None:
    assert "There is no cache at" in refused("train", "--cache", tmp_path / "nothing")
    (tmp_path / "folder").mkdir()
    assert "is not an OmniFuse cache" in refused("train", "--cache", tmp_path / "folder")
    copy = shutil.copytree(synthetic_cache, tmp_path / "copy")
    (copy / "manifest.json").unlink()
    assert "is incomplete" in refused("train", "--cache", copy)


@pytest.mark.parametrize("command", [["predict", "--run"], ["report"]])
def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, command: list[str]) -> None:
    assert "finished run" in refused(*command, tmp_path)


def test_extract_says_where_raw_files_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMNIFUSE_DATA", raising=False)
    message = refused("extract", "--dataset", "mimic")
    assert "There is no folder data/mimic" in message and "omnifuse demo" in message
    assert "Unknown data set 'eicu'. Known are: mimic" in refused("extract", "--dataset", "eicu", "--raw", tmp_path)
    assert "Unknown data set 'mimc'. Did you mean 'mimic'? Known are: mimic" in refused("extract", "--dataset", "mimc")


def test_a_wrong_rule_lists_the_known_ones(synthetic_raw: Path, tmp_path: Path) -> None:
    arguments = ["extract", "--raw", synthetic_raw, "--cache", tmp_path / "cache", "--without-rule", "rounding"]
    message = refused(*arguments, "--dataset", "synthetic")
    assert "There is no rule 'rounding' in the clean profile; its rules: " in message and ", inches, " in message
    assert "The data set physionet2012 has no option --without-rule, which is for: mimic, synthetic." in refused(
        *arguments, "--dataset", "physionet2012"
    )


def test_an_encoder_without_weights_is_named_with_the_mend(synthetic_raw: Path, tmp_path: Path) -> None:
    arguments = ["extract", "--dataset", "synthetic", "--raw", synthetic_raw, "--cache", tmp_path / "cache"]
    message = refused(*arguments, "--text-encoder", tmp_path / "no-bert", "--image-encoder", "random")
    assert "no-bert" in message and "--text-encoder" in message


def test_errors_are_json_for_machines(tmp_path: Path) -> None:
    result = call("cache", "info", "--cache", tmp_path / "nothing", "--json")
    assert result.exit_code == 2
    assert "There is no cache" in json.loads(result.stdout)["error"]


@pytest.mark.parametrize(
    "arguments",
    [["train", "--epochs", "3"], ["predict"], ["trian"], ["cache", "inof"], ["train", "--folds", "1"], ["report"], []],
    ids=["an unknown option", "a missing option", "a command", "a sub-command", "a value", "an argument", "nothing"],
)
def test_errors_of_usage_are_json_for_machines(arguments: list[str]) -> None:
    result = call(*arguments, "--json")
    assert (result.exit_code, result.stderr) == (2, "")
    content = json.loads(result.stdout)
    assert content["exit_code"] == 2 and content["error"].startswith("Error: ")


def test_help_is_help_for_machines_too() -> None:
    result = call("train", "--help", "--json")
    assert result.exit_code == 0 and result.stdout.startswith("Usage: ")


def test_a_message_that_echoes_a_long_input_is_cut(tmp_path: Path) -> None:
    assert len(refused("train", "--set", "x" * 100_000, "--cache", tmp_path)) < 1200
    assert len(refused("extract", "--dataset", "\n".join("x" * 900 for _ in range(3000)))) < 110_000


@pytest.fixture
def when_read(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Return what decides what the system does when a cache's manifest is read."""
    read = Path.read_bytes

    def decide(happens: Callable[[], object]) -> None:
        def read_bytes(path: Path) -> bytes:
            if path.name == "manifest.json":
                happens()
            return read(path)

        monkeypatch.setattr(Path, "read_bytes", read_bytes)

    return decide


def raising(error: BaseException) -> Callable[[], object]:
    def happens() -> object:
        raise error

    return happens


def test_an_interrupted_command_ends_with_130(
    when_read: Callable[..., None], synthetic_cache: Path, tmp_path: Path
) -> None:
    when_read(raising(KeyboardInterrupt()))
    cache = ("--cache", synthetic_cache)
    result = call("cache", "verify", *cache)
    assert (result.exit_code, result.stderr) == (130, "Interrupted.\n")
    result = call("cache", "export", "--format", "npz", *cache, "--out", tmp_path / "out.npz")
    assert result.stderr == "Interrupted. Nothing was exported; give the same command again.\n"
    result = call("train", *cache, "--run", tmp_path / "run")
    assert (result.exit_code, result.stderr) == (
        130,
        "Interrupted. Folds that were finished are kept; the same command goes on with the others.\n",
    )


def test_pseudonyms_have_a_key_beside_the_cache(synthetic_raw: Path, tmp_path: Path) -> None:
    arguments = ["extract", "--dataset", "synthetic", "--raw", synthetic_raw, "--cache", tmp_path / "cache"]
    arguments += ["--modalities", "ehr", "--pseudonymise"]
    call(*arguments, "--dry-run")
    assert list(tmp_path.iterdir()) == []
    call(*arguments)
    assert (tmp_path / "cache.key").stat().st_mode & 0o777 == 0o600
    assert call(*arguments).stdout.startswith("Nothing to do")


def test_two_caches_are_compared(synthetic_cache: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(synthetic_cache, tmp_path / "copy")
    assert call("cache", "diff", copy, "--cache", synthetic_cache).stdout.startswith("Both are the same: ")
    manifest = read_manifest(copy)
    manifest.keys["cohort"]["settings"]["profile"] = "benchmark"
    write_manifest(copy, manifest)
    result = call("cache", "diff", copy, "--cache", synthetic_cache, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["settings"] == ["cohort.settings.profile: clean -> benchmark"]
    assert "There is no cache at" in refused("cache", "diff", tmp_path / "none", "--cache", synthetic_cache)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "x"),
        OSError("No space left on device (os error 28)\n\nThis error occurred with the following context"),
        pl.exceptions.ComputeError("parquet: underlying IO error: No space left on device (os error 28)"),
        RuntimeError("Can't write data (errno = 28, error message = 'No space left on device', buf = 0x55)"),
    ],
    ids=["Python", "Rust", "polars", "HDF5"],
)
def test_a_full_disk_is_an_error_and_no_traceback(
    when_read: Callable[..., None], synthetic_cache: Path, error: Exception
) -> None:
    when_read(raising(error))
    message = refused("cache", "verify", "--cache", synthetic_cache)
    assert message.endswith("No space left on device.") and len(message) < 60


def test_a_parquet_file_whose_footer_has_no_room_is_an_error_and_no_traceback(
    when_read: Callable[..., None], synthetic_cache: Path, tmp_path: Path
) -> None:
    def wide_table_on_a_full_disk() -> None:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
        try:
            pl.DataFrame({f"column {i}": [1.0] for i in range(200)}).write_parquet(tmp_path / "wide.parquet")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    when_read(wide_table_on_a_full_disk)
    message = refused("cache", "verify", "--cache", synthetic_cache)
    assert message.startswith("Error: ") and len(message) < 80


@pytest.mark.parametrize("size", ["-8GB", "infGB", "nanGB", "8", "GB"])
def test_a_limit_of_memory_is_a_number_of_bytes(size: str, tmp_path: Path) -> None:
    assert "is no size; write a number and KB" in refused("train", "--cache", tmp_path, "--memory-limit", size)


def test_a_report_of_a_run_is_not_set_against_a_study(trained_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained_run, tmp_path / "run")
    assert "is no study" in refused("report", run, "--against", tmp_path / "study")


def test_a_demo_never_replaces_anything_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    assert "holds thesis.tex, which is no part of a demo" in refused("demo", "--out", tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_the_two_lines_of_the_readme_work_as_written(
    shared_data: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/mimic").symlink_to(shared_data("mimic-iii-demo"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMNIFUSE_DATA", raising=False)
    assert call("extract", "--dataset", "mimic").exit_code == 0
    result = call("train", "--cache", "./cache")
    assert "too few to conclude anything" in result.stdout
    assert (tmp_path / "runs/omnifuse/report.html").exists()


@pytest.fixture(scope="module")
def small_run(synthetic_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose report is quick to draw; read-only for tests."""
    run = tmp_path_factory.mktemp("small") / "run"
    arguments = ("--method", "logistic", "--modalities", "ehr,rep", "--folds", 2, "--workers", 1, "--run", run)
    assert call("train", "--cache", synthetic_cache, *arguments).exit_code == 0
    return run


@pytest.mark.parametrize("name", ["q[1]", "a*?{b,c}", 'two\n\'"lines"', "影像 é%41", "~"])
def test_a_path_is_a_name_whatever_characters_are_in_it(
    small_run: Path, synthetic_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Beside each lies what a pattern would find instead: another run, whose predictions are all 0.5."""
    monkeypatch.chdir(tmp_path)
    for other in ("q1", "abb"):
        shutil.copytree(small_run, other)
        table = pl.read_parquet(f"{other}/predictions.parquet").with_columns(p=pl.lit(0.5), y=pl.lit(0))
        table.write_parquet(f"{other}/predictions.parquet")
    skip = shutil.ignore_patterns("report.html", "tables")
    shutil.copytree(small_run, Path(name), ignore=skip)
    assert call("report", name, "--patients").exit_code == 0
    tables = [folder / "tables/test-part-of-each-fold.csv" for folder in (small_run, Path(name))]
    assert tables[0].read_bytes() == tables[1].read_bytes()
    out = Path(name) / f"{name}.csv"
    assert call("predict", "--run", name, "--cache", synthetic_cache, "--out", out).exit_code == 0
    assert out.is_file() and sorted(path.name for path in tmp_path.iterdir()) == sorted(["abb", "q1", name])


def test_a_study_is_a_folder_of_any_name(synthetic_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "q1").mkdir()
    (tmp_path / "mine[1].yaml").write_text(GRID)
    arguments = ("--cache", synthetic_cache, "--preset", tmp_path / "mine[1].yaml", "--out", tmp_path / "q[1]")
    done = call("study", *arguments, "--workers", 1, "--json")
    assert done.exit_code == 0 and json.loads(done.stdout)["failed"] == {}
    assert call("report", tmp_path / "q[1]").exit_code == 0 and list((tmp_path / "q1").iterdir()) == []


def test_a_report_that_was_cut_off_is_finished_by_the_next_one(small_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(small_run, tmp_path / "run")
    assert call("report", run).exit_code == 0
    whole = {path.relative_to(run): path.read_bytes() for path in run.rglob("*") if path.is_file()}
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    (run / "report.html").unlink()
    (run / f"report.html.{gone.stdout.strip()}.partial").write_text("<html> cut of")
    (run / "tables/test-part-of-each-fold.csv").unlink()
    assert call("report", run).exit_code == 0
    assert {path.relative_to(run): path.read_bytes() for path in run.rglob("*") if path.is_file()} == whole
