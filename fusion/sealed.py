"""Files of a run: written so that a full disk is named, and with checksums by which any later damage is found."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl

from ..cache_schema import InputError, MissingInputError, digest_file

SEAL = "checksums.json"
"""The last file of a folder that is complete: the sha256 of every other, by its path below the folder."""


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write.

    Raises
    ------
    OSError
        That names the file, which the system does not do once it is open: a full disk is found while writing.
    """
    try:
        with path.open("wb") as file:
            yield file
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_file(path: Path, content: bytes) -> None:
    """Write a file and flush it to disk: it is there whole or not at all; raises as `writing`."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        with writing(partial) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    partial.replace(path)


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file that people read; raises as `writing`."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_file(path, f"{text}\n".encode())


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Write a parquet file; raises as `writing`."""
    buffer = BytesIO()  # polars has errors of its own for what the system refuses
    table.write_parquet(buffer)
    write_file(path, buffer.getvalue())


def seal(folder: Path, files: Iterable[Path]) -> None:
    """Write down the checksums of files below a folder, by which `check_seal` knows that it is complete."""
    sums = {file.relative_to(folder).as_posix(): digest_file(file) for file in sorted(files)}
    write_json(folder / SEAL, sums)


def check_seal(folder: Path) -> None:
    """Compare a folder's files with their checksums.

    Raises
    ------
    MissingInputError
        If the checksums or a file are missing.
    InputError
        If a file is not what was written, or lies outside of the folder by way of a link.
    """
    for name, expected in _checksums(folder).items():
        file = folder / name
        if not file.is_file():
            raise MissingInputError(f"{file} is missing: the run is incomplete. Restore the file, or train again.")
        if not file.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"{file} is a link that leads out of the run. Put the file itself there, or train again.")
        if digest_file(file) != expected:
            raise InputError(f"{file} is damaged: it is not what was written. Restore the file, or train again.")


def is_sealed(folder: Path) -> bool:
    """Return whether a folder is complete and undamaged."""
    try:
        check_seal(folder)
    except InputError:
        return False
    return True


def _checksums(folder: Path) -> dict[str, str]:
    path = folder / SEAL
    if not path.is_file():
        raise MissingInputError(
            f"{folder} is no finished run: {SEAL} is missing. Give the folder that `train` made; a run of an earlier "
            "version has to be trained again."
        )
    try:
        sums = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is damaged: it is not what was written. Restore the file, or train again.") from error
    if not isinstance(sums, dict):
        raise InputError(f"{path} is damaged: it is not what was written. Restore the file, or train again.")
    return sums
