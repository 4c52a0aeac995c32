"""Checksums of a run, by which any later damage of it is found."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from ..cache_schema import InputError, MissingInputError, digest_file
from .files import write_json

SEAL = "checksums.json"
"""The last file of a folder that is complete: the sha256 of every other, by its path below the folder."""


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


def sealed_files(folder: Path) -> list[str]:
    """Return the files that a folder has checksums of, by their paths below it; raises as `check_seal`."""
    return list(_checksums(folder))


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
