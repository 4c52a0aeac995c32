"""Small inputs after public bug reports: each gives the right values, or one message that says why not."""

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from omnifuse.cache_schema import FeatureCache
from omnifuse.cli import main

Check = Callable[[FeatureCache], bool]


def rows(modality: str, *expected: list[float]) -> Check:
    return lambda cache: np.allclose(cache.modality(modality).values[:], np.array(expected), equal_nan=True)


def columns(modality: str, *names: str) -> Check:
    return lambda cache: tuple(column.name for column in cache.modality_spec(modality).columns) == names


def labels(task: str, kind: str, *expected: float) -> Check:
    def check(cache: FeatureCache) -> bool:
        found = cache.task(task)
        return found.kind == kind and np.array_equal(found.y[:, 0], np.array(expected), equal_nan=True)

    return check


def sample(column: str, *expected: object) -> Check:
    return lambda cache: cache.samples[column].to_list() == list(expected)


def quarantined(reason: str, where: str = "", value: str = "", count: int = 1) -> Check:
    def check(cache: FeatureCache) -> bool:
        shown = any(
            reason in row["reason"] and where in row["where"] and value in row["value"]
            for row in cache.quarantine.to_dicts()
        )
        counts = cache.quarantine_counts
        return shown and sum(row["count"] for row in counts.to_dicts() if reason in row["reason"]) == count

    return check


def alike(modality: str) -> Check:
    """Check that the rows of two samples are the same but for a hundredth."""

    def check(cache: FeatureCache) -> bool:
        first, second = np.split(cache.modality(modality).values[:].astype(float), 2)
        return bool(np.linalg.norm(first - second) < 0.01 * np.linalg.norm(first))

    return check


def lengths(modality: str, *expected: int) -> Check:
    return lambda cache: np.diff(cache.modality(modality).offsets).tolist() == list(expected)


NAN = float("nan")

RIGHT: dict[str, tuple[Check, ...]] = {
    "cr_line_ends": (rows("num", [60], [61]),),
    "event_variable_na": (columns("v", "HR", "mask->HR"), quarantined("no variable", "row 3", "NA")),
    "events_inch_marks": (rows("v", *([60 + n, 1] for n in range(12))),),
    "exif_rotated_jpeg": (alike("photo"),),
    "h5ad_before_0.7": (columns("rna", "a", "b"), lambda cache: cache.modality("rna").values.shape == (8, 2)),
    "ids_as_floats": (rows("rna", *([n] for n in range(6))),),
    "keep_age_na": (sample("age", 60, 71, None, 51),),
    "label_dot_stata": (labels("label", "binary", 0, 1, NAN, 1, 0, NAN),),
    "label_na_r": (labels("label", "binary", 0, 1, NAN, 1, 0, NAN),),
    "labels_1_and_1.0": (labels("label", "multiclass", 0, 1, 2, 0, 1, 2),),
    "meds_static_number": (lambda cache: cache.modality("static").values[:, 1].tolist() == [*range(155, 181, 5)],),
    "mimic4_age": (sample("age", 69, 60, 60, 60),),
    "mimic_charttime_year_off": (quarantined("outside the stay", "220045", count=12),),
    "mimic_cxr_split": (
        lambda cache: cache.splits["split"]["part"].to_list() == ["train", "validation", "test", "train"],
    ),
    "mimic_expire_flag": (lambda cache: cache.task("mortality").y[0, 0] == 1,),
    "mimic_hospice_same_day": (lambda cache: cache.task("mortality").y[0, 0] == 0,),
    "p12_decimal_comma": (quarantined("more than three fields", "132501.txt, row 9", "05:00,K,4,2"),),
    "p12_outcomes_float_ids": (labels("mortality", "binary", 1, 0),),
    "parquet_list_column": (columns("rna", "embedding_0", "embedding_1", "embedding_2"),),
    "pet_start_in_utc": (alike("pet"),),
    "pet_two_tracers": (quarantined("2 radiopharmaceuticals", "P2/PET"),),
    "quoted_newlines_row": (quarantined("no finite number", "row 13, num:age"),),
    "r_row_names": (columns("rna", "TP53"),),
    "semicolons_r": (rows("num", [60.5], [61.5], [62.5], [63.5]),),
    "text_nan": (lengths("note", 3, 0, 0, 0),),
    "tiff_one_nan_pixel": (alike("photo"),),
}

REFUSED = {
    "events_shifted_row": "events.csv, line 5 has 6 fields, the header 5",
    "meds_label_times_utc": "prediction_time of row 2, '2020-01-10T12:00:00Z', has a time zone",
    "mimic_times_utc": "INTIME of row 2, '2150-03-01 10:00:00 UTC', cannot be read",
    "p12_record_id_mismatch": "132501.txt, row 2: the file says that it is record 132540",
    "repeated_header": "rna.csv has two columns 'TP53'",
    "t0_us_dates": "row 2: '1/10/2020 12:00'",
    "text_encoder_lfs_pointer": "enc/model.safetensors is a pointer of Git LFS",
    "text_encoder_nan_weights": "The weights in enc are damaged",
    "utf16_excel": "samples.tsv is UTF-16",
}


def called(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Run the command of an input on a copy of it; return exit code and messages."""
    shutil.copytree(folder, tmp_path / "input")
    monkeypatch.chdir(tmp_path / "input")
    command = (folder / "README").read_text().splitlines()[0]
    result = CliRunner().invoke(main, shlex.split(command)[1:])
    return result.exit_code, result.stderr


@pytest.mark.parametrize("name", RIGHT)
def test_values_are_right(name: str, shared_data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exit_code, messages = called(shared_data("awkward") / name, tmp_path, monkeypatch)
    assert exit_code == 0, messages
    cache = FeatureCache.open("cache")
    assert [number for number, check in enumerate(RIGHT[name]) if not check(cache)] == []


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_meant_is_refused(
    name: str, shared_data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exit_code, messages = called(shared_data("awkward") / name, tmp_path, monkeypatch)
    assert exit_code == 2 and REFUSED[name] in messages, messages
    assert not Path("cache").exists()


def test_every_input_has_its_check(shared_data) -> None:
    assert {path.name for path in shared_data("awkward").iterdir() if path.is_dir()} == RIGHT.keys() | REFUSED.keys()
