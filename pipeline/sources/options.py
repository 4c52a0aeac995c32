"""The options of a data set: a frozen dataclass, of which the command line makes options of its own.

A field ``window_hours`` is the option ``--window-hours``. Its type says what may be given: a number, a text, a
``Literal`` of choices, a ``Path``, a tuple (the option may be repeated), or a mapping of names to paths (NAME=FILE,
repeated). `extract --help` imports this and every class of options, so they must be quick to import.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin


def about(text: str, *, metavar: str | None = None, commas: bool = False) -> dict[str, Any]:
    """Return the metadata of a field of a class of options.

    Parameters
    ----------
    text
        What it is for, as ``--help`` says it; of a field without default, also what is said where it is missing.
    metavar
        What stands for the value in ``--help``.
    commas
        A tuple is given once, ``A,B``, instead of repeatedly.
    """
    return {"help": text, "metavar": "A,B" if commas else metavar, "commas": commas}


Shape = Literal["one", "many", "named", "choice"]


def value_of(annotation: Any) -> tuple[Shape, Any]:
    """Return what may be given for a field of this type: one value, several, files by name, or one of some words.

    And the type of a value (of a choice: the words). Raises TypeError for a type that is none of those above.
    """
    inner = [part for part in get_args(annotation) if part is not type(None)]
    if len(inner) < len(get_args(annotation)):  # or None
        return value_of(inner[0])
    origin = get_origin(annotation)
    if annotation in (int, float, str, bool, Path):
        return "one", annotation
    if origin is tuple and inner[0] in (int, float, str, Path) and inner[1:] == [...]:
        return "many", inner[0]
    if origin is Mapping and inner == [str, Path]:
        return "named", Path
    if origin is Literal and all(isinstance(word, str) for word in inner):
        return "choice", inner
    raise TypeError(f"{annotation!r} is no type of an option")


@dataclass(frozen=True, kw_only=True)
class UsualOptions:
    """What can be said of most data sets."""

    modalities: tuple[str, ...] | None = field(default=None, metadata=about("Default: all there are.", commas=True))
    limit: int | None = field(default=None, metadata=about("Only the first samples, in order of their id."))

    def __post_init__(self) -> None:
        from ...cache_schema import InputError

        if self.limit is not None and self.limit < 1:
            raise InputError(f"--limit {self.limit} leaves no sample; give a number of at least 1.")


@dataclass(frozen=True, kw_only=True)
class BinnedOptions(UsualOptions):
    """What can be said of a data set with timed values."""

    bin_hours: float = field(default=2.0, metadata=about("Hours of a bin of timed values."))

    def __post_init__(self) -> None:
        from ...cache_schema import InputError

        super().__post_init__()
        if self.bin_hours <= 0 or 24 % self.bin_hours:
            raise InputError(f"--bin-hours {self.bin_hours:g} does not divide a day; use 1, 2, 3, 4, 6, 8, 12 or 24.")


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """What can be said of a user's own table of samples."""

    samples: Path = field(metadata=about("Your own table: sample_id, subject_id, labels, contents.", metavar="TABLE"))
    label: tuple[str, ...] = field(
        default=(), metadata=about("What to predict, one or several labels.", metavar="COL|NAME=COL,COL[:KIND]")
    )
    split: str | None = field(default=None, metadata=about("Column of train, validation, test.", metavar="COL"))
    keep: tuple[str, ...] = field(default=(), metadata=about("Columns to store that no model sees.", commas=True))


Files = Mapping[str, Path]
"""Files by a name that each is given, ``NAME=FILE``."""


def check_modalities(dataset: str, wanted: Iterable[str] | None, known: Collection[str]) -> None:
    """Raise :class:`InputError` if a modality is asked for that a data set does not have."""
    from ...cache_schema import InputError, meant

    if unknown := sorted(set(wanted or ()) - set(known)):
        hint = meant(unknown[0], known)
        raise InputError(f"{dataset} has no modality {unknown[0]!r}; it has {', '.join(known)}.{hint}")
