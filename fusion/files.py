"""Files of runs, studies and reports: written whole or not at all, and read under the very name that was given."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
import psutil

from ..cache_schema import InputError, MissingInputError, system_reason

PARTIAL = ".partial"


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Provide a file to write that appears as ``path`` when the block ends well, and leaves nothing if it does not.

    What a killed process left of the same file is removed.

    Raises
    ------
    OSError
        That names the file, whatever library met the full disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}{PARTIAL}")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except Exception as error:
        if (reason := system_reason(error)) is None or getattr(error, "filename", None):
            raise
        raise OSError(getattr(error, "errno", None) or errno.EIO, reason, str(path)) from error
    finally:
        partial.unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    for left in path.parent.iterdir():
        if left.name.startswith(f"{path.name}.") and left.name.endswith(PARTIAL):
            owner = left.name.removeprefix(f"{path.name}.").removesuffix(PARTIAL)
            if owner.isdecimal() and not psutil.pid_exists(int(owner)):
                left.unlink(missing_ok=True)


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; raises as `whole_file`."""
    with whole_file(path) as file:
        file.write(content)


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file that people read; raises as `whole_file`."""
    write_file(path, f"{json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)}\n".encode())


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Write a parquet file; raises as `whole_file`."""
    with whole_file(path) as file:
        table.write_parquet(file)


def write_whole(path: Path, text: str) -> None:
    """Write a text file, UTF-8, whole or not at all."""
    write_file(path, text.encode("utf-8", "replace"))


def read_json(path: Path, required: Mapping[str, type] | None = None) -> dict[str, Any]:
    """Read an object from a JSON file of a run or a study.

    Raises
    ------
    MissingInputError
        There is no such file.
    InputError
        It holds anything else, or one of the ``required`` entries is not there or not of its type.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise MissingInputError(f"{path} is missing. Restore the file or train again.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({error}). Restore the file or train again.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}, not an object. Restore the file or train again.")
    wrong = [name for name, kind in (required or {}).items() if not isinstance(content.get(name), kind)]
    if wrong:
        raise InputError(
            f"{path} lacks {', '.join(wrong)}: not as `omnifuse` wrote it. Restore the file or start anew."
        )
    return content


def read_table(path: Path, required: Iterable[str] = (), columns: list[str] | None = None) -> pl.DataFrame:
    """Read a parquet file of a run, or some columns of it.

    Raises
    ------
    MissingInputError
        There is no such file.
    InputError
        It is damaged or lacks a column.
    """
    try:
        with path.open("rb") as file:  # a path would be read as a pattern, an address or a name of a home folder
            table = pl.read_parquet(file, columns=columns)
    except FileNotFoundError as error:
        raise MissingInputError(f"{path} is missing. Restore the file or train again.") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path} cannot be read as parquet ({error}). Restore the file or train again.") from error
    require_columns(table, required, path)
    return table


def require_columns(table: pl.DataFrame, columns: Iterable[str], path: Path) -> None:
    """Raise `InputError` if a table that was read from ``path`` lacks a column."""
    absent = sorted(set(columns) - set(table.columns))
    if absent:
        raise InputError(
            f"{path} lacks the columns {', '.join(absent)}; it has {', '.join(table.columns)}. Train again."
        )
