"""What commands share: unknown words answered with the nearest, sizes, options that several commands have."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import click

from .results import failure, show

PATH: Any = click.Path(path_type=Path)


class Commands(click.Group):
    """Commands whose errors of usage are JSON, too, where ``--json`` is given."""

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
    from ..cache_schema import unknown

    return click.UsageError(str(unknown(what, name, known)))


def split_names(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Parse a comma-separated list of names."""
    return tuple(name.strip() for name in value.split(",") if name.strip()) if value else None


def named_paths(_context: click.Context, _parameter: click.Parameter, values: Sequence[str]) -> dict[str, Path]:
    """Parse NAME=PATH, each name once."""
    found: dict[str, Path] = {}
    for value in values:
        name, equals, path = value.partition("=")
        if not (name and equals and path):
            raise click.UsageError(f"{value!r} is not NAME=CACHE, such as east=./east.")
        if name in found:
            raise click.UsageError(f"{name!r} names two caches.")
        found[name] = Path(path)
    return found


def part_or_share(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | float | None:
    """Parse a share such as 0.3; anything else is the name of a part."""
    try:
        return None if value is None else float(value)
    except ValueError:
        return value


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
run_option = click.option("--run", type=PATH, required=True, help="Folder of a finished run.")
align_option = click.option(
    "--align",
    type=PATH,
    metavar="FILE",
    help="YAML of what the cache calls columns of the run, of the same unit, such as `labs: {glucose: Glukose}`.",
)
drop_option = click.option("--drop", callback=split_names, metavar="A,B", help="Modalities to hide.")
device_option = click.option("--device", help="A torch device, such as cuda.  [default: that of the training]")
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


def encoder_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that name frozen encoders."""
    return reduce(lambda made, option: option(made), reversed(ENCODERS), command)


class StudyCommand(click.Command):
    """A command whose help ends with the names of the presets, those of other packages too."""

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Name them."""
        from ..fusion.study.presets import preset_names
        from ..reproductions.names import reproduction_names

        formatter.write_paragraph()
        formatter.write_text(
            f"Presets: {', '.join(preset_names())}. Published work, done again: {', '.join(reproduction_names())}."
        )
