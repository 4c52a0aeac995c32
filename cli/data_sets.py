"""The options of a data set as options of a command."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, get_type_hints

import click
from click.core import ParameterSource

from .options import DEFAULT_CACHE, PATH, Choice, split_names


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
        from ..pipeline.sources import DATASETS, usable

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
        from ..pipeline.sources import DATASETS

        try:
            if dataset not in DATASETS:
                from ..pipeline.library import refuse_absent

                refuse_absent(dataset, Path(_last(args, "--cache") or DEFAULT_CACHE))
            kind = DATASETS.get(dataset).Options
        except ValueError as error:  # an InputError, whose module would take half a second to import for --help
            raise click.UsageError(str(error)) from error
        types = get_type_hints(kind)
        wanted = [field for field in fields(kind) if not self.only or field.name in self.only]
        return dataset, [option_of(field, types[field.name]) for field in wanted]

    def _refused(self, dataset: str, error: click.NoSuchOption) -> click.UsageError:
        """Return what is said of an option that this data set does not have, but another has."""
        from ..pipeline.sources import having, lacking

        field = error.option_name.removeprefix("--").replace("-", "_")
        if not dataset or self.dataset or not having(field):
            return error
        return click.UsageError(str(lacking(dataset, field)), error.ctx)


class PresetCommand(DataSetCommand):
    """A command whose ``--preset`` stands for the options of a publication, before those that are given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the options of the preset in front: of an option that stands twice the last counts."""
        preset = _last(args, "--preset")
        if preset is None:
            return super().parse_args(ctx, args)
        from ..cache_schema import InputError
        from ..reproductions.reproduction import read_reproduction

        try:
            stored = read_reproduction(preset)
        except InputError as error:
            raise click.UsageError(str(error), ctx) from error
        return super().parse_args(ctx, [*stored.extract, *args])


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
    from ..pipeline.sources import flag
    from ..pipeline.sources.options import value_of

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
    from ..cache_schema import InputError
    from ..pipeline.sources.pairs import named_files

    try:
        return named_files(parameter.opts[0], value)
    except InputError as error:
        raise click.UsageError(str(error)) from error
