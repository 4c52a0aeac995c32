"""What the columns of a user's table hold, by their names or by a YAML file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from ....cache_schema import InputError, MissingInputError, shown
from ....yaml_file import load_yaml
from ...tables.feature_files import SAMPLE_ID
from ...tables.headers import meant_columns
from ...tables.labels import check_name
from ...tables.sample_table import SUBJECT_ID

LABEL = "label"
NUMBERS = "num"
CATEGORIES = "cat"
T0 = "t0"
"""The column with the time from which events count."""
EVENTS = "events:"
LEVELS = "levels:"
KINDS = "text:NAME, image:NAME, num:COLUMN, cat:COLUMN, num.GROUP:COLUMN and cat.GROUP:COLUMN"

Kind = Literal["text", "image", "num", "cat"]


@dataclass(frozen=True)
class Content:
    """One column of contents: its kind, the modality it belongs to, its name in there, and in the table."""

    kind: Kind
    modality: str
    name: str
    column: str

    @property
    def tabular(self) -> bool:
        """Whether its cells are columns of a modality, and not items to encode."""
        return self.kind in (NUMBERS, CATEGORIES)


@dataclass(frozen=True)
class Description:
    """What a YAML file says of a user's tables.

    ``columns``: our names of the columns as keys, those of the table as values; None if they are the same.
    ``variables``: of tables of events those to read, by modality. ``levels``: of categories those that are known, by
    the name of the column.
    """

    columns: dict[str, str] | None = None
    variables: dict[str, tuple[str, ...]] = field(default_factory=dict)
    levels: dict[str, tuple[str, ...]] = field(default_factory=dict)


def read_description(path: Path) -> Description:
    """Return what a YAML file says of the columns of a table, levels of categories, and variables of events.

    Raises
    ------
    MissingInputError
        If there is no such file.
    InputError
        If a column is no text, or a key neither an id, t0, the label nor a kind of content.
    """
    columns: dict[str, str] = {}
    variables: dict[str, tuple[str, ...]] = {}
    levels: dict[str, tuple[str, ...]] = {}
    for key, value in read_yaml(path, "text:note: Findings").items():
        if isinstance(key, str) and key.startswith(EVENTS):
            variables[key.removeprefix(EVENTS)] = read_names(value, key, path)
            continue
        if isinstance(key, str) and key.startswith(LEVELS):
            levels[key.removeprefix(LEVELS)] = read_names(value, key, path)
            continue
        if not isinstance(key, str) or not isinstance(value, str):
            raise InputError(
                f"{path}: {shown(key)}: {shown(value)} is not the name of a column; write numbers in quotes."
            )
        if key not in (SAMPLE_ID, SUBJECT_ID, T0, LABEL):
            parse_content(key, value, path)
        columns[key] = value
    return Description(columns or None, variables, levels)


def read_yaml(path: Path, example: str) -> dict[Any, Any]:
    """Return what a YAML file of columns holds; ``example`` shows a line of such a file.

    Raises
    ------
    MissingInputError
        If there is no such file.
    InputError
        If it is no YAML of plain values, no mapping, or an empty one.
    """
    if not path.is_file():
        raise MissingInputError(f"There is no file {path}; give a YAML file of columns with --columns.")
    mapping = load_yaml(path)
    if not isinstance(mapping, dict) or not mapping:
        raise InputError(f"{path} names no columns; write lines such as `{example}`.")
    return mapping


def read_names(names: Any, key: str, path: Path) -> tuple[str, ...]:
    """Return the names that a YAML file lists under a key; :class:`InputError` for anything but different texts."""
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path}: {key!r} needs a list of names, such as [HR, Temp]; write numbers in quotes.")
    if len(set(names)) < len(names):
        raise InputError(f"{path}: {key!r} lists a name twice.")
    return tuple(names)


def contents_of(header: Sequence[str], mapping: Mapping[str, str] | None, path: Path) -> list[Content]:
    """Return the columns of contents that ``mapping`` names, or without one those of ``header`` with a colon.

    Raises
    ------
    InputError
        For an unknown kind, or a modality of two columns that are neither numbers nor categories.
    """
    meant = meant_columns(header, path)
    named = mapping or dict(zip(meant, meant, strict=True))
    contents = [parse_content(name, column, path) for name, column in named.items() if ":" in name]
    first: dict[str, Content] = {}
    for content in contents:
        other = first.setdefault(content.modality, content)
        if other.kind != content.kind and not (other.tabular and content.tabular):
            raise InputError(
                f"{path}: the modality {content.modality!r} is both {other.kind} and {content.kind}; give one of the "
                "columns another name."
            )
    seen: set[tuple[str, str]] = set()
    for content in contents:
        if (content.modality, content.name) in seen:
            raise InputError(f"{path}: {content.modality!r} has two columns {content.name!r}; rename one.")
        seen.add((content.modality, content.name))
    return contents


def parse_content(name: str, column: str, path: Path) -> Content:
    """Return what a column such as ``text:note`` or ``num.labs:Sodium`` holds; ``column`` is its name in the table."""
    prefix, _, rest = name.partition(":")
    kind, dot, group = prefix.partition(".")
    tabular = kind in (NUMBERS, CATEGORIES)
    if not (tabular or kind in ("text", "image")) or (dot and not tabular) or not rest.strip():
        raise InputError(f"{path}: unknown column {name!r}; known are {KINDS}.")
    modality = (group if dot else kind) if tabular else rest
    return Content(cast("Kind", kind), check_name(modality, f"{path}: the modality of {name!r},"), rest, column)
