"""What a command found, as text or JSON; its errors as one message and an exit code."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from functools import partial, wraps
from typing import Any, NamedTuple

import click

LONGEST_LINE, MOST_LINES = 1000, 100
"""Characters of a line, and lines, of an error message."""


class Result(NamedTuple):
    """What a command found: for a machine, for a person, and the exit code."""

    content: dict[str, Any]
    text: str
    exit_code: int = 0


def reporting(kept: str = "") -> Callable[[Callable[..., Result]], Callable[..., None]]:
    """Print a command's result, as JSON with ``--json``, and turn errors into one message and an exit code.

    ``kept`` says what is left of the work of a command that was stopped, by an interrupt or a full disk.
    """

    def decorate(command: Callable[..., Result]) -> Callable[..., None]:
        @click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output, nothing else.")
        @wraps(command)
        def run(*, as_json: bool, **options: Any) -> None:
            logging.basicConfig(level=logging.WARNING if as_json else logging.INFO, format="%(message)s", force=True)
            logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # of a full disk each writer of zarr would say so
            try:
                with printing_elsewhere() if as_json else nullcontext():
                    result = attempt(partial(command, **options), kept)
            except KeyboardInterrupt:
                result = failure(f"Interrupted. {kept}".rstrip(), 130)
            show(result, as_json)
            sys.exit(result.exit_code)

        return run

    return decorate


@contextmanager
def printing_elsewhere() -> Iterator[None]:
    """Send whatever libraries, packages of others and worker processes print to standard error, where JSON is due."""
    if sys.stdout is None or sys.stderr is None:  # closed by whoever started this process
        yield
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def attempt(command: Callable[[], Result], kept: str) -> Result:
    """Return a command's result, or what went wrong; an error that is no message to a person goes on."""
    try:
        return command()
    except Exception as error:
        from ..cache_schema import OmniFuseError, system_reason

        if isinstance(error, OmniFuseError):
            return failure(f"Error: {error}", error.exit_code)
        if (reason := system_reason(error)) is None:
            raise
        place = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        return failure(f"Error: {place}{reason}. {kept}".rstrip(), 2)


def show(result: Result, as_json: bool) -> None:
    """Print a result: JSON or text on standard output, errors in words on standard error."""
    if as_json:
        click.echo(json.dumps(result.content, ensure_ascii=False))
    else:
        click.echo(result.text, err="error" in result.content)


def failure(message: str, exit_code: int) -> Result:
    """Return the result of a command that could not do its work; a line that echoes long input is cut."""
    lines = [line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} ..." for line in message.splitlines()]
    text = "\n".join([*lines[:MOST_LINES], *(["..."] if len(lines) > MOST_LINES else [])])
    return Result({"error": text, "exit_code": exit_code}, text, exit_code)
