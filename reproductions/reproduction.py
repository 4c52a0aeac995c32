"""A published study as a file of this folder: how to extract and train as it did, what it counted and what it found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from ..cache_schema import unknown
from ..yaml_file import load_yaml
from .names import FOLDER, reproduction_names

Known = Literal["read", "second-hand"]
"""Whether a number was read where it was published, or is what others say of it."""


@dataclass(frozen=True)
class Expected:
    """How many samples, and positive ones, a part of a cohort had on a release; None where it was not published."""

    release: str
    task: str
    cohort: str
    source: str
    known: Known
    part: str = "all"
    samples: int | None = None
    positive: int | None = None


@dataclass(frozen=True)
class Published:
    """A result of a method on a cohort, with its 95 % interval if there is one."""

    task: str
    cohort: str
    modalities: str
    method: str
    measure: str
    value: float
    source: str
    known: Known
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Reproduction:
    """What is known of a published study, and what is done here.

    ``mimic`` is the version of MIMIC, 3 or 4; ``releases`` are those that its numbers are of; ``extract`` the options
    of `omnifuse extract` that make its cohort, ``grid`` the study; ``definition`` says aspect by aspect how it was
    published and how it is here. ``not_compared`` are comparisons that would mislead, and are not made.
    """

    name: str
    title: str
    paper: str
    mimic: int
    releases: tuple[str, ...]
    tasks: tuple[str, ...]
    modalities: tuple[str, ...]
    extract: tuple[str, ...]
    grid: Mapping[str, Any]
    definition: tuple[tuple[str, str, str], ...]
    bugs_kept: tuple[str, ...] = ()
    bugs_mended: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()
    expected: tuple[Expected, ...] = ()
    published: tuple[Published, ...] = ()


@cache
def read_reproduction(name: str) -> Reproduction:
    """Return a description by name; an unknown name raises InputError that lists the known ones."""
    if name not in reproduction_names():
        raise unknown("published cohort", name, reproduction_names())
    content = load_yaml(FOLDER / f"{name}.yaml")
    rows = {"expected": Expected, "published": Published}
    tables = {
        key: tuple(kind(**{**content.get(f"all_{key}", {}), **row}) for row in content.get(key, ()))
        for key, kind in rows.items()
    }
    plain = {key: value for key, value in content.items() if not key.startswith("all_") and key not in rows}
    lists = {key: tuple(value) for key, value in plain.items() if isinstance(value, list)}
    lists["definition"] = tuple((row["aspect"], row["published"], row["here"]) for row in plain["definition"])
    return Reproduction(**{"name": name, **plain, **lists, **tables})
