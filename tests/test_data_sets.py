"""Data sets on the command line: each has its own options, and a package brings another without a line of ours."""

import importlib
import re
import subprocess
import sys
from collections.abc import Callable
from inspect import signature
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from omnifuse.cache_schema import FeatureCache, InputError
from omnifuse.cli import main
from omnifuse.fusion.study.grid import read_grid
from omnifuse.fusion.study.presets import PRESETS
from omnifuse.pipeline.library import extract
from omnifuse.pipeline.sources import DATASETS, TAKEN, make_options, open_dataset
from omnifuse.testing import check_dataset

PLUG_IN = """
from dataclasses import dataclass, field

title = "wards and their beds"


@dataclass(frozen=True)
class Options:
    wards: tuple[str, ...] = field(default=(), metadata={"help": "Which wards.", "commas": True})
    beds: int = field(default=7, metadata={"help": "Beds of a ward."})


def open(raw, options):
    from omnifuse.pipeline.sources.files.data_set import FilesDataSet

    found = FilesDataSet(raw / "samples.csv", limit=options.beds)
    found.name = "wards"
    return found
"""

PAGE = (Path(__file__).parents[1] / "docs/data-sets.md").read_text(encoding="utf-8")

Install = Callable[..., None]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def words(result: Result) -> str:
    return " ".join(result.output.split())


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return what installs a package with one entry point and a module, as pip leaves it."""

    def installed(package: str, group: str, entry: str, text: str) -> None:
        place = tmp_path / "site" / package
        information = place / f"{package}-1.2.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (information / "entry_points.txt").write_text(f"[{group}]\n{entry}\n")
        (place / f"{package}.py").write_text(text)
        monkeypatch.syspath_prepend(str(place))
        monkeypatch.delitem(sys.modules, package, raising=False)
        importlib.invalidate_caches()
        for registry in (DATASETS, PRESETS):
            vars(registry).pop("offered", None)

    yield installed
    for registry in (DATASETS, PRESETS):
        vars(registry).pop("offered", None)


def test_help_lists_the_data_sets_and_of_one_its_options() -> None:
    plain = words(call("extract", "--help"))
    for name in DATASETS.names():
        assert f"{name} {DATASETS.get(name).title}" in plain
    assert "--window-hours" not in plain and "--profile" not in plain
    of_meds = words(call("extract", "--dataset", "meds", "--help"))
    assert "Options of meds: " in of_meds and "--window-hours FLOAT" in of_meds and "[default: 48.0]" in of_meds
    assert "--samples TABLE" in of_meds and "[required]" in of_meds and "--profile" not in of_meds
    of_mimic = words(call("extract", "--dataset=mimic", "--help"))
    assert "--profile [clean|benchmark]" in of_mimic and "--samples" not in of_mimic
    assert "encoded by bert-base-chinese unless" in words(call("extract", "--dataset", "lung", "--help"))


HELPS = [("extract",), ("extract", "--dataset", "mimic"), ("extract", "--dataset", "files"), ("study",)]


@pytest.mark.parametrize("arguments", HELPS)
def test_help_with_options_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    code = (
        "import sys\nfrom omnifuse.cli import main\n"
        f"try: main([*{arguments!r}, '--help'])\n"
        "finally: assert not {'torch', 'zarr', 'polars', 'numpy'} & sys.modules.keys()"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--dataset", "lung", "--bin-hours", 4), "lung has no option --bin-hours, which is for: mimic, physionet2012"),
        (("--dataset", "files", "--window-hours", 4), "files has no option --window-hours, which is for: meds."),
        (("--dataset", "mimic", "--widow-hours", 4), "No such option"),
        (("--dataset", "mimic", "--limmit", 4), "--limit"),
        (("--dataset", "mimic", "--profile", "clena"), "Unknown value of --profile 'clena'. Did you mean 'clean'?"),
        (("--dataset", "physionet"), "Unknown data set 'physionet'. Did you mean 'physionet2012'?"),
        (("--dataset", "meds", "--raw", "."), "The data set meds needs --samples: "),
    ],
)
def test_what_does_not_fit_is_said_with_what_does(arguments: tuple[object, ...], message: str) -> None:
    result = call("extract", *arguments)
    assert result.exit_code == 2 and message in words(result)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("extrat",), "Unknown command 'extrat'. Did you mean 'extract'?"),
        (("cache", "imprt"), "Unknown command 'imprt'. Did you mean 'import'?"),
        (("synth", "--out", "x", "--layout", "mimic5"), "Unknown value of --layout 'mimic5'. Did you mean 'mimic"),
        (("train", "--metod", "late"), "--method"),
        (("study", "--preset", "papr"), "neither a preset"),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(arguments: tuple[str, ...], message: str) -> None:
    result = call(*arguments)
    assert result.exit_code == 2 and message in words(result)


def test_an_unknown_format_and_task_are_answered_with_the_nearest(synthetic_cache: Path, tmp_path: Path) -> None:
    cache = FeatureCache.open(synthetic_cache)
    with pytest.raises(InputError, match=r"Unknown export format 'hdf'\. Did you mean 'hdf5'\?"):
        cache.export("hdf", tmp_path / "out")
    with pytest.raises(InputError, match=r"Unknown task 'mortalty'\. Did you mean 'mortality'\?"):
        cache.task("mortalty")


def test_the_options_of_the_library_are_those_of_the_command_line() -> None:
    with pytest.raises(InputError, match="The data set lung has no option --bin-hours, which is for: mimic"):
        make_options("lung", {"bin_hours": 2.0})
    with pytest.raises(InputError, match=r"option of the data set mimic '--modality'\. Did you mean '--modalities'\?"):
        make_options("mimic", {"modality": ("ehr",)})
    assert make_options("mimic", {"limit": 3}).limit == 3


def test_a_package_brings_a_data_set_with_its_options(install: Install, tmp_path: Path) -> None:
    install("acme", "omnifuse.datasets", "wards = acme", PLUG_IN)
    (tmp_path / "raw").mkdir()
    rows = "".join(f"{number},{number % 2},{number}\n" for number in range(9))
    (tmp_path / "raw/samples.csv").write_text(f"sample_id,label,num:age\n{rows}")
    assert "wards wards and their beds" in words(call("extract", "--help"))
    assert "--beds INTEGER Beds of a ward. [default: 7]" in words(call("extract", "--dataset", "wards", "--help"))
    cache = tmp_path / "cache"
    made = call("extract", "--dataset", "wards", "--raw", tmp_path / "raw", "--beds", 5, "--cache", cache)
    assert made.exit_code == 0, made.output
    assert (FeatureCache.open(cache).dataset, FeatureCache.open(cache).samples.height) == ("wards", 5)
    assert "data set of the package acme 1.2" in call("cache", "info", "--cache", cache).output
    again = call("extract", "--dataset", "wards", "--raw", tmp_path / "raw", "--beds", 5, "--cache", cache)
    assert "nothing to do" in again.output.lower()
    refused = call("extract", "--dataset", "mimic", "--beds", 5)
    assert refused.exit_code == 2 and "mimic has no option --beds, which is for: wards." in words(refused)


def test_without_the_package_a_cache_says_which_it_needs(install: Install, tmp_path: Path) -> None:
    install("acme", "omnifuse.datasets", "wards = acme", PLUG_IN)
    (tmp_path / "samples.csv").write_text("sample_id,label,num:age\n1,0,1\n2,1,2\n")
    made = call("extract", "--dataset", "wards", "--raw", tmp_path, "--cache", tmp_path / "cache")
    assert made.exit_code == 0, made.output
    (tmp_path / "site/acme/acme-1.2.dist-info/entry_points.txt").unlink()
    importlib.invalidate_caches()
    vars(DATASETS).pop("offered", None)
    with pytest.raises(
        InputError, match=r"'wards' of the package acme 1\.2, which is not installed: pip install 'acme"
    ):
        extract("wards", tmp_path, tmp_path / "cache")
    assert "data set of the package acme 1.2" in call("cache", "info", "--cache", tmp_path / "cache").output


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import nothing_of_this_name", "it fails to import: ModuleNotFoundError: No module named"),
        ("title = 'x'", "its Options are no frozen dataclass"),
        (PLUG_IN.replace("frozen=True", ""), "its Options are no frozen dataclass"),
        (
            PLUG_IN.replace("beds: int", "beds: complex"),
            "its Options cannot be options of the command line: <class 'complex'> is no type of an option",
        ),
        *(
            (
                PLUG_IN.replace("beds: int", f"{name}: int"),
                f"its option '{name}' has the name of one that every data set",
            )
            for name in ("cache", "raw", "workers", "json", "dataset", "progress")
        ),
        (PLUG_IN.replace("beds: int", "Beds: int"), "its option 'Beds' is no word of small letters, digits and _"),
        (PLUG_IN.replace("beds: int", "_beds: int"), "its option '_beds' is no word of small letters, digits and _"),
        (PLUG_IN.replace("def open(raw, options)", "def open(raw)"), "it has no function open(raw, options)"),
        (PLUG_IN.replace("title", "name"), "it has no title, a text of one line"),
    ],
)
def test_a_package_that_cannot_be_used_is_named_and_stops_nothing(
    install: Install, caplog: pytest.LogCaptureFixture, text: str, reason: str
) -> None:
    install("acme", "omnifuse.datasets", "wards = acme", text)
    message = "The data set 'wards' of the package acme 1.2 cannot be used: "
    refused = call("extract", "--dataset", "wards")
    assert refused.exit_code == 2 and f"{message}{reason}" in words(refused)
    helped = call("extract", "--help")
    assert helped.exit_code == 0 and "physionet2012" in helped.output
    assert [record.getMessage() for record in caplog.records if message in record.getMessage()]


def test_a_data_set_that_fails_is_named_in_a_line(install: Install, tmp_path: Path) -> None:
    install(
        "acme", "omnifuse.datasets", "wards = acme", PLUG_IN.replace("    found.name = ", "    found.beds['name'] = ")
    )
    (tmp_path / "samples.csv").write_text("sample_id,label,num:age\n1,0,1\n2,1,2\n")
    failed = call("extract", "--dataset", "wards", "--raw", tmp_path, "--cache", tmp_path / "cache")
    message = "Error: The data set 'wards' of the package acme 1.2 failed: AttributeError: "
    assert failed.exit_code == 2 and failed.output.startswith(message) and "(acme.py, line 17)." in failed.output


def test_the_names_that_no_option_can_have_are_those_of_an_extraction() -> None:
    parameters = {option.name for option in main.commands["extract"].params} | {"options", "help", "json"}
    assert parameters | signature(extract).parameters.keys() == TAKEN


def test_the_data_set_of_the_page_passes_the_suite_and_is_extracted(tmp_path: Path, install: Install) -> None:
    light, heavy = re.findall(r"```python\n(\"\"\".*?)```", PAGE, re.DOTALL)
    install("pulse_hospital", "omnifuse.datasets", "pulse = pulse", "")
    package = tmp_path / "site/pulse_hospital/pulse"
    package.mkdir()
    (package / "__init__.py").write_text(light)
    (package / "data_set.py").write_text(heavy)
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "stays.csv").write_text("stay,patient,died\n2,10,1\n1,10,0\n3,11,\n")
    (raw / "pulse.csv").write_text("stay,hour,rate\n1,2,80\n1,1,70\n3,1,90\n9,1,60\n")
    check_dataset(lambda folder: open_dataset("pulse", folder), raw)
    made = call("extract", "--dataset", "pulse", "--raw", raw, "--cache", tmp_path / "cache")
    assert made.exit_code == 0, made.output
    cache = FeatureCache.open(tmp_path / "cache")
    assert cache.modality("pulse")[0].tolist() == [[70, 1], [80, 1]]
    assert cache.modality("pulse").present.tolist() == [True, False, True]
    assert cache.modality_spec("pulse").title == "the pulse"
    assert cache.quarantine_counts["reason"].to_list() == ["no such stay"]


def test_a_package_brings_a_preset(install: Install, tmp_path: Path) -> None:
    (tmp_path / "deep.yaml").write_text("experiments:\n  - kind: methods\n    methods: [late]\n")
    install(
        "acme",
        "omnifuse.presets",
        "deep = acme:DEEP",
        f"import pathlib\nDEEP = pathlib.Path({str(tmp_path / 'deep.yaml')!r})",
    )
    assert read_grid("deep").content["experiments"][0]["methods"] == ["late"]
    named = "Presets: baselines, decompensation, deep, learning-curve, length_of_stay, paper"
    assert named in words(call("study", "--help"))
    install("acme2", "omnifuse.presets", "deeper = acme2:DEEPER", "DEEPER = 'deep.yaml'")
    with pytest.raises(InputError, match=r"'deeper' of the package acme2 1\.2 .*: it is not the path of a YAML file"):
        read_grid("deeper")
