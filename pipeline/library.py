"""The library on this side: what ``omnifuse extract`` does, for programs; ``omnifuse`` itself offers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from ..cache_schema import CacheError, InputError, read_manifest
from ..progress import Told, telling
from ..registry import Package
from .core.encode import Machines
from .core.encoders import DEFAULT_TEXT, Encoders
from .core.stages import Extraction
from .core.stages import extract as extract_dataset
from .pseudonym_key import secret_key
from .sources import DATASETS, language_encoder, open_dataset, raw_folder
from .sources.pseudonyms import PseudonymousDataSet

Place = str | Path


def extract(
    dataset: str,
    raw: Place | None = None,
    cache: Place = "cache",
    *,
    text_encoder: str | Sequence[str] = (),
    image_encoder: str | Sequence[str] = (),
    encoder: str | Sequence[str] = (),
    splits: Place | Sequence[Place] = (),
    pseudonymise: bool = False,
    workers: int = 0,
    device: str = "",
    scheduler: str | None = None,
    parts: str | None = None,
    reuse: Place | None = None,
    drop_items: bool = False,
    dry_run: bool = False,
    progress: bool | Told = True,
    **options: Any,
) -> Extraction:
    """Turn raw records into a cache; killed at any time, the same call goes on from there.

    Parameters
    ----------
    dataset
        Name of the data set.
    raw
        Its folder; by default ``$OMNIFUSE_DATA/<dataset>``, then ``./data/<dataset>``.
    text_encoder, image_encoder
        An encoder, and any others as ``NAME=ID``.
    encoder
        Encoders of items that are neither, as ``CONTENT=ID``.
    splits
        Tables of ``subject_id`` and ``split``, or folders of the benchmark's lists.
    pseudonymise
        Replace ids by hashes with the secret key beside the cache.
    workers
        Processes that read items, one for each core at most.
    device
        Where items are encoded, such as ``cpu``, or ``cuda:0,1`` for two GPUs that share the work; by default the first
        GPU, the CPU without one.
    scheduler, parts
        A Dask scheduler whose workers encode, and where they leave what they encoded if not on a shared disk.
    reuse
        An older cache whose items are taken over where their recipe is the same.
    drop_items
        Delete what only a later extraction would use again.
    dry_run
        Stop after the plan; nothing is written.
    progress
        Whether to show how far it is, or who is told (see `Told`).
    options
        Options of the data set, such as ``limit=100``.

    Raises
    ------
    InputError
        If the data set has no such option, its files or the cache cannot be used, or this machine has not got the
        device.
    """
    machines = Machines(workers, scheduler, parts, _devices(device))
    refuse_absent(dataset, Path(cache))
    with DATASETS.blamed(dataset):
        source = open_dataset(dataset, _path(raw), _typed(dataset, options), tuple(map(Path, _several(splits))))
    if pseudonymise:
        source = PseudonymousDataSet(source, secret_key(Path(cache), keep=not dry_run))
    default = language_encoder(DATASETS.get(dataset), DEFAULT_TEXT)
    encoders = Encoders.parse(_several(text_encoder), _several(image_encoder), default, _several(encoder))
    with telling(progress), DATASETS.blamed(dataset):
        return extract_dataset(
            source, Path(cache), encoders, machines,
            dry_run=dry_run, drop_items=drop_items, reuse=_path(reuse), package=str(DATASETS.package(dataset) or ""),
        )  # fmt: skip


def refuse_other_mimic(version: int, whose: str, raw: Place | None = None) -> None:
    """Raise :class:`InputError` if the raw folder of MIMIC is of another version, 3 or 4, than ``whose`` cohort."""
    from .sources.mimic.folder import MimicFolder

    folder, roman = MimicFolder.find(raw_folder("mimic", _path(raw))), {3: "III", 4: "IV"}
    if folder.version != version:
        raise InputError(
            f"{folder.raw} is MIMIC-{roman[folder.version]}; {whose} is of MIMIC-{roman[version]}. Name its folder "
            "with --raw."
        )


def refuse_absent(dataset: str, cache: Path) -> None:
    """Raise :class:`InputError` if a cache holds a data set of a package that is not installed any more."""
    try:
        made = read_manifest(cache).keys.get("cohort")
    except CacheError:
        return
    if isinstance(made, dict) and made.get("dataset") == dataset and (package := made.get("package")):
        name, _, version = str(package).partition(" ")
        if dataset not in DATASETS:
            raise InputError(f"{cache} needs {DATASETS.absence(dataset, Package(name, version))}")


def _devices(names: str) -> tuple[str, ...]:
    if not names:
        return ()
    from ..device import named_devices  # imports torch

    return named_devices(names)


def _typed(dataset: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with paths where a data set takes paths, and tuples in place of lists and of one alone."""
    hints = get_type_hints(DATASETS.get(dataset).Options)
    return {name: _as(value, hints.get(name)) for name, value in options.items()}


def _as(value: Any, hint: Any) -> Any:
    if isinstance(value, list):
        value = tuple(value)
    if isinstance(value, str) and any(get_origin(one) is tuple for one in (hint, *get_args(hint))):
        value = (value,)
    if hint is Path or Path in get_args(hint):
        if isinstance(value, str):
            return Path(value)
        if isinstance(value, Mapping):
            return {name: Path(file) for name, file in value.items()}
    return value


def _path(given: Place | None) -> Path | None:
    return None if given is None else Path(given)


def _several(given: Place | Sequence[Place]) -> tuple[Any, ...]:
    return (given,) if isinstance(given, str | Path) else tuple(given)
