"""What a run holds is what was written: every damage is one refusal that names the file, and so is a full disk."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.cache_schema import InputError, MissingInputError
from omnifuse.fusion.files import write_file, write_table
from omnifuse.fusion.inputs.stored import StoredArray
from omnifuse.fusion.report import write_report
from omnifuse.fusion.runs.run import load_run
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.sealed_folder import SEAL, check_seal, is_sealed, seal
from omnifuse.fusion.training.config import make_config
from safetensors.numpy import load_file, save_file

FULL = Path("/dev/full")
"""Where every write fails as on a full disk."""


@pytest.fixture(scope="module")
def finished(toy_cache: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sealed")
    train(toy_cache(folder / "cache"), make_config("concat", overrides=["fit.epochs=1", "folds=2"]), folder / "run")
    return folder / "run"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


def flip_a_bit(run: Path) -> str:
    path = run / "folds/1/model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    return "folds/1/model.safetensors is damaged"


def swap_models(run: Path) -> str:
    one, two = (run / f"folds/{fold}/model.safetensors" for fold in "01")
    contents = one.read_bytes(), two.read_bytes()
    two.write_bytes(contents[0])
    one.write_bytes(contents[1])
    return "folds/0/model.safetensors is damaged"


def swap_normalisers(run: Path) -> str:
    shutil.copy(run / "folds/0/normaliser.safetensors", run / "folds/1/normaliser.safetensors")
    return "folds/1/normaliser.safetensors is damaged"


def put_nan(run: Path) -> str:
    path = run / "folds/0/model.safetensors"
    weights = load_file(path)
    name = next(name for name, array in weights.items() if array.ndim == 2)
    weights[name] = np.full_like(weights[name], np.nan)
    save_file(weights, path)
    return "folds/0/model.safetensors is damaged"


def cut(run: Path) -> str:
    path = run / "splits.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    return "splits.parquet is damaged"


def edit_settings(run: Path) -> str:
    path = run / "config.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    return "config.json is damaged"


def empty_the_checksums(run: Path) -> str:
    (run / SEAL).write_bytes(b"")
    return f"{SEAL} is damaged"


def list_in_the_checksums(run: Path) -> str:
    (run / SEAL).write_bytes(b"[]")
    return f"{SEAL} is damaged"


def lead_outside(run: Path) -> str:
    moved = run.parent / "elsewhere"
    (run / "metrics.json").rename(moved)
    (run / "metrics.json").symlink_to(moved)
    return "metrics.json is a link that leads out of the run"


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_bit,
        swap_models,
        swap_normalisers,
        put_nan,
        cut,
        edit_settings,
        empty_the_checksums,
        list_in_the_checksums,
        lead_outside,
    ],
)
def test_a_damaged_run_is_refused_by_the_name_of_the_file(run: Path, damage: Callable[[Path], str]) -> None:
    message = damage(run)
    with pytest.raises(InputError) as refusal:
        load_run(run)
    assert message in str(refusal.value) and "train again" in str(refusal.value)


@pytest.mark.parametrize("name", ["folds/1/model.safetensors", "config.json"])
def test_a_missing_file_is_named(run: Path, name: str) -> None:
    (run / name).unlink()
    with pytest.raises(MissingInputError, match=rf"{name} is missing"):
        load_run(run)


def test_a_run_without_checksums_is_refused_with_the_mend(run: Path) -> None:
    (run / SEAL).unlink()
    with pytest.raises(MissingInputError, match=r"checksums\.json is missing.*trained again"):
        load_run(run)


def test_the_sealed_files_are_all_that_a_training_leaves(run: Path) -> None:
    left = {file.relative_to(run).as_posix() for file in run.rglob("*") if file.is_file()}
    assert set(json.loads((run / SEAL).read_text())) == left - {SEAL}


@pytest.mark.parametrize("name", ["predictions.parquet", "metrics.json", "splits.parquet"])
def test_a_report_of_a_damaged_run_is_refused(run: Path, name: str) -> None:
    content = (run / name).read_bytes()
    (run / name).write_bytes(content.replace(b"0", b"1", 1) if name == "metrics.json" else content[:-1] + b"?")
    with pytest.raises(InputError, match=f"{name} is damaged"):
        write_report(run)


def test_what_is_added_to_a_run_later_does_not_matter(run: Path) -> None:
    (run / "report.html").write_text("a page")
    assert load_run(run).config.method == "concat"


def test_a_run_behind_a_link_is_read(run: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(run)
    assert load_run(tmp_path / "latest").config.method == "concat"


@given(contents=st.lists(st.binary(max_size=20), min_size=1, max_size=4), data=st.data())
def test_any_change_of_any_file_is_found(
    contents: list[bytes], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    files = [folder / f"{number}.bin" for number in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    seal(folder, files)
    check_seal(folder)
    number = data.draw(st.integers(0, len(files) - 1))
    other = data.draw(st.binary(max_size=20).filter(lambda content: content != contents[number]))
    files[number].write_bytes(other)
    with pytest.raises(InputError, match=files[number].name):
        check_seal(folder)
    assert not is_sealed(folder)


@pytest.mark.parametrize(
    ("partial", "write"),
    [
        (True, lambda path: write_file(path, b"x")),
        (True, lambda path: write_table(path, pl.DataFrame({"x": [1]}))),
        (False, lambda path: StoredArray.write(path, [np.ones((2, 2))])),
    ],
    ids=["bytes", "a table", "rows"],
)
def test_a_full_disk_names_the_file(partial: bool, write: Callable[[Path], object], tmp_path: Path) -> None:
    (tmp_path / (f"file.{os.getpid()}.partial" if partial else "file")).symlink_to(FULL)
    with pytest.raises(OSError, match="No space left on device") as refusal:
        write(tmp_path / "file")
    assert refusal.value.filename == str(tmp_path / "file")


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path: Path) -> None:
    write_file(tmp_path / "file", b"before")
    (tmp_path / f"file.{os.getpid()}.partial").symlink_to(FULL)
    with pytest.raises(OSError, match="No space left"):
        write_file(tmp_path / "file", b"after")
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and (tmp_path / "file").read_bytes() == b"before"


def test_the_checksums_are_those_of_sha256(run: Path) -> None:
    (run / "two").mkdir()
    (run / "two" / "abc").write_bytes(b"abc")
    seal(run / "two", [run / "two" / "abc"])
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert json.loads((run / "two" / SEAL).read_text()) == {"abc": expected}
