"""A cache beside a published cohort: what every step left here and there, never across releases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..cache_schema import FeatureCache, InputError, Task, input_rows
from .reproduction import Expected, Reproduction

PARTIAL, PAIRED = "partial", "paired"
"""The cohort with whatever a sample has of the modalities, and those who have all of them."""

TABLES = {"scope": "cohort", "step": "ICU stays in the tables", "unit": "ICU stays"}
"""The count by which a release is known."""


@dataclass(frozen=True)
class Count:
    """A number found here, and the one expected of the same release, None if nothing was published of it."""

    what: str
    found: int
    expected: int | None = None
    source: str = ""
    known: str = ""

    @property
    def differs(self) -> bool:
        """Whether another number was expected."""
        return self.expected is not None and self.expected != self.found


@dataclass(frozen=True)
class Beside:
    """A cache beside a publication: its release, empty if it is none of those known, and all counts."""

    name: str
    task: str
    release: str
    counts: tuple[Count, ...]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Beside:
        """Return what :meth:`to_json` gave."""
        return cls(**{**content, "counts": tuple(Count(**count) for count in content["counts"])})

    def refuse_difference(self) -> None:
        """Raise InputError unless every expected number was found; also if none was published of this release.

        The number of stays in the tables, by which the release is known, is none.
        """
        expected = [one for one in self.counts if one.expected is not None and one.what != _words(TABLES.values())]
        if not expected:
            of = f"of {self.release}" if self.release else "of the release that these tables are of"
            raise InputError(
                f"{self.name}: no number of its cohort was published {of}, which strictly cannot be compared."
            )
        if wrong := [f"{one.what}: {one.found:,}, expected {one.expected:,}" for one in expected if one.differs]:
            raise InputError("\n".join([f"{self.name}: other numbers than expected ({self.release}):", *wrong]))

    def __str__(self) -> str:
        rows = [(one.what, f"{one.found:,}", _expected(one)) for one in self.counts]
        widths = [max(len(row[at]) for row in [*rows, ("", "found", "expected")]) for at in range(3)]
        lines = [f"{what:{widths[0]}}  {found:>{widths[1]}}  {said}" for what, found, said in rows]
        head = f"{'':{widths[0]}}  {'found':>{widths[1]}}  expected"
        return "\n".join([f"{self.name}, {self.task}: {release_words(self.release)}", head, *lines])


def _words(key: Iterable[str]) -> str:
    return ", ".join(key)


def release_words(release: str) -> str:
    """Return what release tables are of, in words."""
    return f"the tables are {release}" if release else "the tables are of no release whose numbers were published"


def _expected(count: Count) -> str:
    if count.expected is None:
        return "not published"
    return f"{count.expected:,}{'  differs' if count.differs else ''} ({count.known})"


def beside(cache: FeatureCache, reproduction: Reproduction, task: str | None = None) -> Beside:
    """Compare a cache with a published cohort.

    Raises
    ------
    InputError
        If the cache is not of MIMIC, or of its other version; if it has not got the task or the modalities.
    """
    _refuse_other_records(cache, reproduction)
    named = task or reproduction.tasks[0]
    for what, needed, there in (
        ("task", [named], cache.tasks),
        ("modality", reproduction.modalities, cache.modalities),
    ):
        if absent := [one for one in needed if one not in there]:
            raise InputError(
                f"{cache.path} has no {what} {', '.join(absent)}, which {reproduction.name} needs. Make it with "
                f"`omnifuse extract --preset {reproduction.name}`."
            )
    release = release_of(cache)
    found = cache.task(named)
    counts = (*_of_steps(cache, found), *_of_cohorts(cache, found, reproduction, release))
    return Beside(reproduction.name, named, release, counts)


def release_of(cache: FeatureCache) -> str:
    """Return the release that a cache is of, as far as its number of ICU stays tells; "" of any other."""
    counts = cache.counts
    if counts.is_empty():
        return ""
    source = counts.filter(**TABLES)["source"].drop_nulls()
    return str(source[0]).partition(":")[0] if len(source) else ""


def _refuse_other_records(cache: FeatureCache, reproduction: Reproduction) -> None:
    made = cache.manifest.keys.get("cohort", {})
    names = [str(name) for name in made.get("inputs", {})]
    if not any("ICUSTAYS" in name.upper() for name in names):
        raise InputError(f"{cache.path} holds {cache.dataset}, not MIMIC, which {reproduction.name} is of.")
    modules = any(name.startswith(("hosp/", "icu/")) for name in names)  # folders of MIMIC-IV alone
    version = 4 if modules else 3 if any("ICUSTAYS" in name for name in names) else reproduction.mimic
    if version != reproduction.mimic:
        roman = {3: "III", 4: "IV"}
        raise InputError(
            f"{cache.path} is of MIMIC-{roman[version]}; {reproduction.name} is of MIMIC-{roman[reproduction.mimic]}."
        )


def _of_steps(cache: FeatureCache, task: Task) -> Iterator[Count]:
    """Yield what the steps of the cohort and of a task left, beside what the extraction knows of the release."""
    if cache.counts.is_empty():
        return
    scope, step = pl.col("scope"), pl.col("step")
    wanted = cache.counts.filter(
        ((scope == "cohort") & (pl.col("unit") == "ICU stays"))
        | ((scope == task.name) & (pl.col("unit") == "samples") & ~step.str.contains("by release|seen by"))
        | (((scope == task.name) | (scope == "task") & (step == task.name)) & pl.col("published").is_not_null())
    ).unique(["scope", "step", "unit"], maintain_order=True)
    for row in wanted.iter_rows(named=True):
        source = row["source"] or ""
        known = "" if row["published"] is None else "second-hand" if "second-hand" in source else "read"
        yield Count(_words(row[name] for name in TABLES), row["count"], row["published"], source, known)


def _of_cohorts(cache: FeatureCache, task: Task, reproduction: Reproduction, release: str) -> Iterator[Count]:
    """Yield samples and positive ones of each cohort, in all and in each part of a split that came with the data."""
    if task.long:
        return
    known = np.asarray(~np.isnan(task.y).all(axis=1))
    cohorts = {PARTIAL: known}
    if len(reproduction.modalities) > 1:
        cohorts[PAIRED] = known & _having_all(cache, task, reproduction.modalities)
    parts = {"all": np.ones(len(known), dtype=bool), **_parts(cache)}
    by_key = {(one.release, one.task, one.cohort, one.part): one for one in reproduction.expected}
    for cohort, in_cohort in cohorts.items():
        for part, in_part in parts.items():
            rows = in_cohort & in_part
            expected = by_key.get((release, task.name, cohort, part))
            whom = part if len(cohorts) == 1 else f"{cohort}, {part}"
            yield _count(f"{whom}, samples", int(rows.sum()), expected, "samples")
            if task.kind == "binary":
                positive = int(np.nansum(task.y[rows, 0]))
                yield _count(f"{whom}, positive samples", positive, expected, "positive")


def _count(what: str, found: int, expected: Expected | None, field: str) -> Count:
    if expected is None or getattr(expected, field) is None:
        return Count(what, found)
    return Count(what, found, getattr(expected, field), expected.source, expected.known)


def _having_all(cache: FeatureCache, task: Task, modalities: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Return who has a row of every modality that the task may see, [N]."""
    present = [input_rows(cache.row_numbers(name), task).present for name in modalities]
    having: npt.NDArray[np.bool_] = np.all(present, axis=0)
    return having


def _parts(cache: FeatureCache) -> dict[str, npt.NDArray[np.bool_]]:
    """Return who is in each part of the cache's only split, [N]; nothing where it has none or several."""
    splits = list(cache.splits.values())
    if len(splits) != 1:
        return {}
    ids = cache.samples["sample_id"]
    return {
        part: ids.is_in(splits[0].filter(part=part)["sample_id"].implode()).to_numpy()
        for part in ("train", "validation", "test")
    }
