"""What the columns of a user's table hold, by their names or by a YAML file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import yaml

from ...cache_schema import InputError, MissingInputError
from .feature_files import SAMPLE_ID
from .imported_labels import check_name
from .sample_table import SUBJECT_ID

LABEL = "label"
NUMBERS = "num"
KINDS = "text:NAME, image:NAME, num:COLUMN and num.GROUP:COLUMN"

Kind = Literal["text", "image", "num"]


@dataclass(frozen=True)
class Content:
    """One column of contents: its kind, the modality it belongs to, its name in there, and in the table."""

    kind: Kind
    modality: str
    name: str
    column: str


def read_mapping(path: Path) -> dict[str, str]:
    """Return the columns that a YAML file names: ours as keys, those of the table as values.

    Raises
    ------
    MissingInputError
        If there is no such file.
    InputError
        If it is no mapping of text to text, or has a key that is neither an id, the label nor a kind of content.
    """
    if not path.is_file():
        raise MissingInputError(f"There is no file {path}; give a YAML file of columns with --columns.")
    try:
        mapping = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no YAML: {error}") from error
    if not isinstance(mapping, dict) or not mapping:
        raise InputError(f"{path} names no columns; write lines such as `text:note: Findings`.")
    for key, column in mapping.items():
        if not isinstance(key, str) or not isinstance(column, str):
            raise InputError(f"{path}: {key!r}: {column!r} is not the name of a column; write numbers in quotes.")
        if key not in (SAMPLE_ID, SUBJECT_ID, LABEL):
            parse_content(key, column, path)
    return cast("dict[str, str]", mapping)


def contents_of(header: Sequence[str], mapping: Mapping[str, str] | None, path: Path) -> list[Content]:
    """Return the columns of contents that ``mapping`` names, or without one those of ``header`` with a colon.

    Raises
    ------
    InputError
        For an unknown kind, a modality of two columns that are not numbers, or no column at all.
    """
    named = mapping or dict(zip(header, header, strict=True))
    contents = [parse_content(name, column, path) for name, column in named.items() if ":" in name]
    if not contents:
        raise InputError(f"{path} has no column of contents. Name some {KINDS}, or say with --columns which are.")
    kinds: dict[str, Kind] = {}
    for content in contents:
        if kinds.setdefault(content.modality, content.kind) != content.kind:
            raise InputError(
                f"{path}: the modality {content.modality!r} is both {kinds[content.modality]} and "
                f"{content.kind}; give one of the columns another name."
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
    if kind not in ("text", "image", NUMBERS) or (dot and kind != NUMBERS) or not rest.strip():
        raise InputError(f"{path}: unknown column {name!r}; known are {KINDS}.")
    modality = rest if kind != NUMBERS else group if dot else NUMBERS
    return Content(cast("Kind", kind), check_name(modality, f"{path}: the modality of {name!r},"), rest, column)
