"""What commands share: results and errors as text or JSON, choices, the options of data sets."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import MISSING, Field, fields
from functools import partial, reduce, wraps
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import click
from click.core import ParameterSource

PATH: Any = click.Path(path_type=Path)

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
        from .cache_schema import OmniFuseError, system_reason

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


class Commands(click.Group):
    """Commands whose errors of usage are JSON, too, where ``--json`` is given."""

    group_class = type  # groups within are of this class, too

    def main(self, args: Sequence[str] | None = None, **extra: Any) -> Any:  # type: ignore[override]
        """Run the command that the arguments name."""
        given = sys.argv[1:] if args is None else list(args)
        if "--json" not in given:
            return super().main(given, **extra)
        try:
            return super().main(given, **{**extra, "standalone_mode": False})
        except click.ClickException as error:
            show(failure(f"Error: {error.format_message()}", error.exit_code), as_json=True)
            sys.exit(error.exit_code)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is named; an unknown one is answered with the nearest known."""
        if not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise not_known("command", args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)


class Choice(click.Choice[str]):
    """One of some words; any other is answered with the nearest."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word."""
        known = list(self.choices)
        if value not in known:
            raise not_known("value" if param is None else f"value of {param.opts[0]}", value, known)
        return super().convert(value, param, ctx)


def not_known(what: str, name: Any, known: Iterable[str]) -> click.UsageError:
    """Return the error of a word that is not known, in the words of all such errors."""
    from .cache_schema import unknown

    return click.UsageError(str(unknown(what, name, known)))


def split_names(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Parse a comma-separated list of names."""
    return tuple(name.strip() for name in value.split(",") if name.strip()) if value else None


def memory_size(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    """Parse a number of bytes such as 500MB or 1.5GB."""
    if value is None:
        return None
    units = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
    number, unit = value[:-2], value[-2:].upper()
    try:
        if (size := int(float(number) * units[unit])) < 0:
            raise ValueError
        return size
    except (KeyError, ValueError, OverflowError) as error:
        raise click.BadParameter(f"{value!r} is no size; write a number and KB, MB, GB or TB, such as 8GB.") from error


# Options that several commands have.
DEFAULT_CACHE = "cache"
cache_option = click.option(
    "--cache", type=PATH, default=Path(DEFAULT_CACHE), show_default=True, help="The feature cache."
)
modalities_option = click.option("--modalities", callback=split_names, metavar="A,B", help="Default: all there are.")
ENCODERS = (
    click.option(
        "--text-encoder",
        multiple=True,
        metavar="ID|DIR|onnx:FILE|random[@TOKENS]",
        help="One, and any others as NAME=ID.  [default: bert-base-uncased, or that of the data set]",
    ),
    click.option(
        "--image-encoder",
        multiple=True,
        metavar="resnet34|FILE|LIBRARY:MODEL|random",
        help="One, and any others as NAME=...; LIBRARY is torchvision, timm, xrv, hf or onnx.  [default: resnet34]",
    ),
    click.option(
        "--encoder",
        multiple=True,
        metavar="CONTENT=ID",
        help="Of items that are neither texts nor images, from an installed package; any others as CONTENT.NAME=ID.",
    ),
)
encoder_option = click.option(
    "--encoder",
    multiple=True,
    metavar="CONTENT=ID",
    help="Of items that are neither texts nor images, from an installed package; any others as CONTENT.NAME=ID.",
)


def encoder_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that name frozen encoders."""
    return reduce(lambda made, option: option(made), reversed(ENCODERS), command)


class StudyCommand(click.Command):
    """A command whose help ends with the names of the presets, those of other packages too."""

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Name them."""
        from .fusion.study.presets import preset_names

        formatter.write_paragraph()
        formatter.write_text(f"Presets: {', '.join(preset_names())}.")


class DataSetCommand(click.Command):
    """A command that has, beside its own options, those of a data set; it is given these as ``options``.

    Parameters
    ----------
    dataset
        Whose options; None: of the one that ``--dataset`` names.
    only
        The fields of its ``Options`` to take; empty: all.
    """

    def __init__(self, *arguments: Any, dataset: str | None = None, only: Sequence[str] = (), **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.dataset, self.only = dataset, only

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read which data set it is, then its options with the others."""
        ctx.meta[__name__] = self._options_of(self.dataset or _last(args, "--dataset"), args)
        dataset, options = ctx.meta[__name__]
        try:
            rest = super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise self._refused(dataset, error) from error
        values = {option.name: ctx.params.pop(option.name) for option in options}
        given = {name for name in values if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT}
        ctx.params["options"] = {name: value for name, value in values.items() if name in given}
        return rest

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the parameters of every data set and of this one."""
        _, options = ctx.meta.get(__name__, ("", []))
        own = super().get_params(ctx)
        return [*own[:-1], *options, own[-1]]  # --help comes last

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options that all data sets have, then those of one, or which data sets there are."""
        from .pipeline.sources import DATASETS, usable

        dataset, options = ctx.meta.get(__name__, ("", []))
        if self.dataset:
            return super().format_options(ctx, formatter)
        common = [param for param in self.get_params(ctx) if param not in options]
        _write(formatter, "Options", [param.get_help_record(ctx) for param in common])
        if dataset:
            _write(formatter, f"Options of {dataset}", [option.get_help_record(ctx) for option in options])
            if language := getattr(DATASETS.get(dataset), "text_encoder", ""):
                formatter.write_paragraph()
                formatter.write_text(
                    f"Texts of {dataset} are encoded by {language} unless --text-encoder says otherwise."
                )
        else:
            _write(formatter, "Data sets", [(name, module.title) for name, module in usable()])
        return None

    def _options_of(self, dataset: str | None, args: Sequence[str]) -> tuple[str, list[click.Option]]:
        """Return the data set and its options; none where no data set is named."""
        if dataset is None:
            return "", []
        from .pipeline.sources import DATASETS

        try:
            if dataset not in DATASETS:
                from .pipeline.library import refuse_absent

                refuse_absent(dataset, Path(_last(args, "--cache") or DEFAULT_CACHE))
            kind = DATASETS.get(dataset).Options
        except ValueError as error:  # an InputError, whose module would take half a second to import for --help
            raise click.UsageError(str(error)) from error
        types = get_type_hints(kind)
        wanted = [field for field in fields(kind) if not self.only or field.name in self.only]
        return dataset, [option_of(field, types[field.name]) for field in wanted]

    def _refused(self, dataset: str, error: click.NoSuchOption) -> click.UsageError:
        """Return what is said of an option that this data set does not have, but another has."""
        from .pipeline.sources import having, lacking

        field = error.option_name.removeprefix("--").replace("-", "_")
        if not dataset or self.dataset or not having(field):
            return error
        return click.UsageError(str(lacking(dataset, field)), error.ctx)


def _last(args: Sequence[str], option: str) -> str | None:
    """Return what an option says last."""
    said = None
    for word, following in zip(args, [*args[1:], ""], strict=True):
        if word == option:
            said = following
        elif word.startswith(f"{option}="):
            said = word.partition("=")[2]
    return said


def _write(formatter: click.HelpFormatter, heading: str, records: Iterable[tuple[str, str] | None]) -> None:
    with formatter.section(heading):
        formatter.write_dl([record for record in records if record])


def option_of(field: Field[Any], annotation: Any) -> click.Option:
    """Return what a field of a class of options is on the command line; see `pipeline/sources/options.py`."""
    from .pipeline.sources import flag
    from .pipeline.sources.options import value_of

    shape, kind = value_of(annotation)
    commas, default = field.metadata.get("commas"), None if field.default is MISSING else field.default
    named: dict[str, Any] = {"metavar": field.metadata.get("metavar"), "type": PATH if kind is Path else kind}
    if commas:
        named |= {"callback": split_names, "type": str}
    elif shape == "many":
        named |= {"multiple": True}
    elif shape == "named":
        named |= {"multiple": True, "callback": named_paths, "type": str}
    else:
        named |= {"default": default, "show_default": default is not None, "is_flag": kind is bool}
    if shape == "choice":
        named |= {"type": Choice(kind)}
    words = str(field.metadata.get("help", ""))
    if named.get("multiple"):
        words = f"{words.rstrip('.')}; may be repeated."
    needed = field.default is MISSING and field.default_factory is MISSING
    return click.Option([flag(field.name)], help=f"{words}  [required]" if needed else words, **named)


def named_paths(_context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> dict[str, Path]:
    """Parse NAME=FILE, each name once."""
    from .cache_schema import InputError
    from .pipeline.sources.pairs import named_files

    try:
        return named_files(parameter.opts[0], value)
    except InputError as error:
        raise click.UsageError(str(error)) from error
