"""Data sets, one folder each: where the raw files are and what they hold.

A data set is a module with a ``title``, a class of ``Options`` and ``open``; a package of somebody else adds one by an
entry point ``omnifuse.datasets`` (docs/data-sets.md). `extract --help` imports these modules, so that nothing heavy is
imported before ``open``.
"""

from __future__ import annotations

import inspect
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, get_type_hints

from ...registry import Registry
from .options import value_of

if TYPE_CHECKING:
    from ...cache_schema import InputError
    from ..check import Check
    from ..source import DataSet

LOG = logging.getLogger(__name__)

OPTION = re.compile(r"[a-z][a-z0-9_]*[a-z0-9]|[a-z]")

TAKEN = frozenset({
    *("dataset", "raw", "cache", "splits", "pseudonymise", "text_encoder", "image_encoder", "encoder", "workers"),
    *("device", "scheduler", "parts", "reuse", "drop_items", "dry_run", "progress", "json", "as_json", "help"),
    *("options", "preset", "strict"),
})  # fmt: skip
"""What no option of a data set can be called: an extraction has these itself, on the command line or in Python."""


class DataSetModule(Protocol):
    """What a module offers that is a data set.

    It may also have ``text_encoder``, the encoder of texts that are not English; ``has_folder`` = False if it is named
    by options of its own; and ``look(raw)``, the checks of a folder (`check.py`) if it is this data set's and none if
    not, with the ``sign`` that it is known by.
    """

    title: str
    """What it is, in one line."""
    Options: type[Any]
    """A frozen dataclass; see `options.py`."""

    def open(self, raw: Path, options: Any) -> DataSet:
        """Return the data set that lies in a folder."""
        ...


def flaw(module: DataSetModule) -> str | None:
    """Return what a module lacks of the contract of a data set."""
    if not isinstance(getattr(module, "title", None), str):
        return "it has no title, a text of one line"
    options = getattr(module, "Options", None)
    if not (isinstance(options, type) and is_dataclass(options) and options.__dataclass_params__.frozen):  # type: ignore[attr-defined]
        return "its Options are no frozen dataclass"
    for field in fields(options):
        if not OPTION.fullmatch(field.name):
            return f"its option {field.name!r} is no word of small letters, digits and _"
        if field.name in TAKEN:
            return f"its option {field.name!r} has the name of one that every data set has"
    try:
        types = get_type_hints(options)
        for field in fields(options):
            value_of(types[field.name])
    except (NameError, TypeError) as error:
        return f"its Options cannot be options of the command line: {error}"
    if not callable(opened := getattr(module, "open", None)) or len(inspect.signature(opened).parameters) != 2:
        return "it has no function open(raw, options)"
    return None


DATASETS: Registry[DataSetModule] = Registry(
    "omnifuse.datasets",
    "data set",
    {
        name: f"pipeline.sources.{name}"
        for name in ("mimic", "physionet2012", "lung", "meds", "synthetic", "files", "imported")
    },
    flaw,
)


def usable() -> Iterator[tuple[str, DataSetModule]]:
    """Yield every data set by name; of one whose package cannot be used that is said, and the others go on."""
    for name in DATASETS.names():
        try:
            yield name, DATASETS.get(name)
        except ValueError as error:  # an InputError; `extract --help` has no time to import its class
            LOG.warning("%s", error)


def has_folder(module: DataSetModule) -> bool:
    """Return whether a data set is a folder; without one it is named by options of its own."""
    return bool(getattr(module, "has_folder", True))


def language_encoder(module: DataSetModule, default: str) -> str:
    """Return the encoder of a data set's texts: the default, unless they are in another language than English."""
    return str(getattr(module, "text_encoder", default))


def raw_folder(dataset: str, raw: Path | None = None) -> Path:
    """Return the folder of raw files: the given one, else ``$OMNIFUSE_DATA/<dataset>``, else ``./data/<dataset>``.

    Raises
    ------
    InputError
        If there is no data set of this name, or a folder is given to one that has none.
    MissingInputError
        If the folder does not exist; the message says what to do.
    """
    from ...cache_schema import InputError, MissingInputError

    if not has_folder(DATASETS.get(dataset)):
        if raw is not None:
            raise InputError(f"The data set {dataset} reads the tables that its options name; leave --raw out.")
        return Path()
    roots = [Path(root) for root in (os.environ.get("OMNIFUSE_DATA"), "data") if root]
    candidates = [raw] if raw else [root / dataset for root in roots]
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise MissingInputError(
        f"There is no folder {' or '.join(map(str, candidates))} with the raw files of {dataset}. Name it with --raw, "
        f"or set OMNIFUSE_DATA to the folder that contains {dataset}/. `omnifuse demo` needs no data."
    )


def flag(field: str) -> str:
    """Return the option of the command line that a field of a class of options is."""
    return f"--{field.replace('_', '-')}"


def having(field: str) -> list[str]:
    """Return the data sets that have an option."""
    return [name for name, module in usable() if field in _names(module)]


def lacking(dataset: str, field: str) -> InputError:
    """Return the error of an option that a data set does not have: which have it, or the nearest of its own."""
    from ...cache_schema import InputError, unknown

    if others := having(field):
        return InputError(f"The data set {dataset} has no option {flag(field)}, which is for: {', '.join(others)}.")
    return unknown(f"option of the data set {dataset}", flag(field), map(flag, _names(DATASETS.get(dataset))))


def _names(module: DataSetModule) -> list[str]:
    return [field.name for field in fields(module.Options)]


def make_options(dataset: str, given: Mapping[str, Any]) -> Any:
    """Return the options of a data set.

    Raises
    ------
    InputError
        If there is no such data set, it has no such option, or one that it needs is not given.
    """
    from ...cache_schema import InputError

    kind = DATASETS.get(dataset).Options
    known = {field.name: field for field in fields(kind)}
    for name in given:
        if name not in known:
            raise lacking(dataset, name)
    for name, field in known.items():
        if name not in given and field.default is MISSING and field.default_factory is MISSING:
            raise InputError(f"The data set {dataset} needs {flag(name)}: {field.metadata.get('help', 'no default')}")
    return kind(**given)


def open_dataset(
    dataset: str,
    raw: Path | None = None,
    options: Mapping[str, Any] | None = None,
    splits: tuple[Path, ...] = (),
) -> DataSet:
    """Return the data set of a name.

    Parameters
    ----------
    raw
        Its folder; see :func:`raw_folder`.
    options
        Values of fields of its ``Options``.
    splits
        Lists of subjects and their part.

    Raises
    ------
    InputError
        As :func:`raw_folder` and :func:`make_options`.
    """
    from ..tables.splits import SplitDataSet

    opened = DATASETS.get(dataset).open(raw_folder(dataset, raw), make_options(dataset, options or {}))
    return SplitDataSet(opened, splits) if splits else opened


def looks() -> Iterator[tuple[str, str, Callable[[Path], list[Check]]]]:
    """Yield name, sign and ``look`` of every data set that can tell its folder from others."""
    for name, module in usable():
        if hasattr(module, "look"):
            yield name, str(getattr(module, "sign", module.title)), module.look
