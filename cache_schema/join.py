"""Caches of several places as one: the same modalities and tasks, and a column that says where each sample is from."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from .elements import Task
from .errors import InputError
from .files import remove
from .joined_samples import JoinedSamples, after, together
from .layout import check_name
from .lock import cache_lock
from .ragged import offsets_of, row_indices
from .read import StoredCache
from .recipe import difference
from .write import DTYPES, StagedCache

DATASET = "joined"

ROWS_COPIED = 1 << 16
"""Rows that are read and written at once."""


@dataclass(frozen=True)
class Joined:
    """What a joined cache holds: samples of each place, and names of what was left out, as not all places have it.

    ``patients_in_several`` have one subject_id in several places and are the same people there, ``ids_in_several`` are
    taken for different people.
    """

    samples: Mapping[str, int]
    patients_in_several: int
    ids_in_several: int
    left_out: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{name}: {count:,} samples" for name, count in self.samples.items()]
        if self.patients_in_several:
            lines.append(f"{self.patients_in_several:,} patients are in several of them, by their subject_id")
        if self.ids_in_several:
            lines.append(
                f"{self.ids_in_several:,} subject_ids are in several of them, and taken for different people; "
                "--shared-patients says that they are the same"
            )
        return "\n".join([*lines, *(f"left out, as not all have it: {name}" for name in self.left_out)])


def join_caches(
    places: Mapping[str, StoredCache], out: Path, column: str = "site", shared_patients: bool = False
) -> Joined:
    """Write the samples of several caches as one cache of the data set "joined".

    Samples are called PLACE-ID, and so are subjects, for two hospitals may give one number to two patients;
    ``shared_patients`` keeps the ids of subjects, who are then the same people wherever an id occurs. A modality that a
    place has not got is missing there; tasks and splits are joined if all places have them.

    Raises
    ------
    InputError
        If fewer than two places are named, or the same cache twice; if a modality or task is not the same everywhere
        (every difference is named); if no task is left; or if a cache has a column of the name ``column`` already.
    """
    if len(places) < 2:
        raise InputError("Name at least two caches to join, as NAME=CACHE.")
    for name, cache in places.items():
        check_name(name, "Place")
        if column in cache.samples.columns:
            raise InputError(f"{cache.path} has a column {column!r} already. Name another with --column.")
    if len({cache.digest for cache in places.values()}) < len(places):
        raise InputError("Two of these caches are the same: every patient would be there twice, as two people.")
    tasks, absent = _shared([cache.tasks for cache in places.values()])
    if not tasks:
        raise InputError(f"No task is in all of {', '.join(places)}. Extract them with the same tasks.")
    cohort = JoinedSamples(places, column, shared_patients)
    made_of = {name: {"dataset": cache.dataset, "digest": cache.digest} for name, cache in places.items()}
    with cache_lock(out):
        staged = StagedCache(out, DATASET, next(iter(places.values())).versions)
        try:
            staged.add_samples(cohort.samples)
            for name in sorted({name for cache in places.values() for name in cache.modalities}):
                _add_modality(staged, cohort, name)
            for name in tasks:
                staged.add_task(_task(cohort, name))
            without = _add_splits(staged, cohort)
            _add_accounts(staged, cohort)
            settings = {"column": column, "shared_patients": shared_patients, "places": made_of}
            staged.commit({"cohort": {"dataset": DATASET, "settings": settings}})
        except BaseException:
            remove(staged.staging)
            raise
    left_out = [*(f"task {name}" for name in absent), *(f"split {name}" for name in without)]
    several = _in_several(places.values())
    samples = {name: cache.samples.height for name, cache in places.items()}
    alike, apart = (several, 0) if shared_patients else (0, several)
    return Joined(samples, alike, apart, tuple(left_out))


def renamed_here(cache: StoredCache) -> dict[str, str]:
    """Return the digests of the caches whose patients have other ids in a joined one, by place; none of any other."""
    settings = cache.manifest.keys.get("cohort", {}).get("settings", {}) if cache.dataset == DATASET else {}
    if not settings or settings["shared_patients"]:
        return {}
    return {name: place["digest"] for name, place in settings["places"].items()}


def _in_several(caches: Collection[StoredCache]) -> int:
    """Return how many subject ids are in more than one cache."""
    ids = [cache.samples["subject_id"].cast(pl.String).unique() for cache in caches]
    return int((pl.concat(ids).value_counts()["count"] > 1).sum())


def _add_modality(staged: StagedCache, cohort: JoinedSamples, name: str) -> None:
    having = {place: cache for place, cache in cohort.places.items() if name in cache.modalities}
    first, spec = next((place, cache.modality_spec(name)) for place, cache in having.items())
    _refuse_difference(
        f"Modality {name!r}",
        {
            place: {**_plain(cache.modality_spec(name), without="title"), "columns_of_values": cache.dim(name)}
            for place, cache in having.items()
        },
    )
    offsets = {place: cache.offsets(name) for place, cache in having.items()}
    places = {place: cohort.of(place) for place in having}
    lengths = np.zeros(cohort.samples.height, dtype=np.int64)
    for place, (here, there) in places.items():
        lengths[here] = np.diff(offsets[place])[there]
    joined = offsets_of(lengths)
    time = np.empty(joined[-1], dtype=np.float32)
    for place, (here, there) in places.items():
        time[row_indices(joined, here)] = having[place].times(name)[row_indices(offsets[place], there)]

    def blocks() -> Iterator[npt.NDArray[Any]]:
        cuts = np.flatnonzero(np.diff(joined[:-1] // ROWS_COPIED)) + 1
        for some in np.split(np.arange(len(lengths)), cuts):
            within = offsets_of(lengths[some])
            rows = np.empty((within[-1], having[first].dim(name)), dtype=DTYPES[spec.kind])
            for place, (here, there) in places.items():
                inside = (here >= some[0]) & (here <= some[-1])
                numbers = row_indices(offsets[place], there[inside])
                wanted, back = np.unique(numbers, return_inverse=True)
                read = np.empty((len(wanted), rows.shape[1]), dtype=rows.dtype)
                for _ in having[place].fill(name, wanted, read):
                    pass
                rows[row_indices(within, here[inside] - some[0])] = read[back]
            yield rows

    staged.add_modality(spec, lengths, having[first].dim(name), blocks(), time, _items(cohort, having, name, joined))


def _items(
    cohort: JoinedSamples, having: Mapping[str, StoredCache], name: str, joined: npt.NDArray[np.int64]
) -> pl.DataFrame | None:
    """Return the items of a modality, of their samples and rows here; None where rows come from no items."""
    parts = []
    for place, cache in having.items():
        if (items := cache.items(name)) is None:
            return None
        here, there = cohort.of(place)
        of_sample = np.empty(len(here), dtype=np.int64)
        of_sample[there] = here
        old = items["sample"].to_numpy()
        moved = joined[of_sample[old]] - cache.offsets(name)[old]
        parts.append(
            items.with_columns(
                sample=pl.Series(of_sample[old], dtype=items["sample"].dtype),
                first_row=pl.Series(items["first_row"].to_numpy() + moved, dtype=items["first_row"].dtype),
            )
        )
    return together(parts).sort("sample", maintain_order=True)


def _task(cohort: JoinedSamples, name: str) -> Task:
    tasks = {place: cache.task(name) for place, cache in cohort.places.items()}
    decided = ("kind", "labels", "window_hours", "history_hours", "select", "unit", "long")
    _refuse_difference(
        f"Task {name!r}", {place: {key: _json(getattr(task, key)) for key in decided} for place, task in tasks.items()}
    )
    first = next(iter(tasks.values()))
    steps = [step for step, _ in first.counts]
    same = all([step for step, _ in task.counts] == steps for task in tasks.values())
    counts = tuple((step, sum(task.counts[i][1] for task in tasks.values())) for i, step in enumerate(steps) if same)
    y = np.full((cohort.samples.height, first.y.shape[1]), np.nan, dtype=np.float32)
    samples, times, labels = [], [], []
    for place, task in tasks.items():
        here, there = cohort.of(place)
        if task.sample is None or task.time is None:
            y[here] = task.y[there]
            continue
        of_sample = np.empty(len(here), dtype=np.int64)
        of_sample[there] = here
        samples.append(of_sample[task.sample])
        times.append(task.time)
        labels.append(task.y)
    if not samples:
        return replace(first, y=y, counts=counts)
    sample, time, y = np.concatenate(samples), np.concatenate(times), np.concatenate(labels)
    order = np.argsort(sample, kind="stable")
    return replace(first, y=y[order], sample=sample[order], time=time[order], counts=counts)


def _add_splits(staged: StagedCache, cohort: JoinedSamples) -> list[str]:
    """Join the splits that all places have; return the names of the others."""
    splits = {place: cache.splits for place, cache in cohort.places.items()}
    shared, absent = _shared(splits.values())
    for name in shared:
        parts = [found[name].select(after(f"{place}-", "sample_id"), "part") for place, found in splits.items()]
        staged.add_split(name, pl.concat(parts).sort("sample_id"))
    return absent


def _shared(of_places: Collection[Collection[str]]) -> tuple[list[str], list[str]]:
    """Return which names all places have, and which only some."""
    names = sorted({name for found in of_places for name in found})
    shared = [name for name in names if all(name in found for found in of_places)]
    return shared, [name for name in names if name not in shared]


def _add_accounts(staged: StagedCache, cohort: JoinedSamples) -> None:
    """Join what was left out and what every step left, each under the name of its place."""
    rows, numbers, counts = [], [], []
    for place, cache in cohort.places.items():
        of_place = after(f"{place}: ", "source")
        rows.append(cache.quarantine.with_columns(of_place))
        numbers.append(cache.quarantine_counts.with_columns(of_place))
        if cache.counts.columns:
            counts.append(cache.counts.with_columns(after(f"{place}: ", "scope")))
    staged.add_quarantine(together(rows), together(numbers))
    if counts:
        staged.add_counts(together(counts))


def _plain(spec: Any, without: str) -> dict[str, Any]:
    found = asdict(spec)
    del found[without]
    found["columns"] = [" ".join(filter(None, column.values())) for column in found["columns"]]
    return found


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _json(one) for key, one in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _refuse_difference(what: str, described: Mapping[str, dict[str, Any]]) -> None:
    (first, expected), *others = described.items()
    for place, found in others:
        if lines := difference(expected, found):
            raise InputError(
                "\n".join([f"{what} is not the same in {first} and {place} ({first} -> {place}):", *lines])
            )
