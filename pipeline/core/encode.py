"""The second stage: every distinct item through its frozen encoder, once, into parts."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ...cache_schema import InputError
from ...cluster import cluster
from ...processes import as_done
from ...progress import progress
from ..ahead import ahead
from ..frozen_encoders import Encode
from ..source import UnreadableItem
from .item_encoder import ItemEncoder, Outcome
from .parts import PART_ITEMS, PART_LARGE, Part, PartStore
from .plan import PlannedItems
from .remote_parts import RemoteParts


@dataclass(frozen=True)
class Machines:
    """Where items are encoded: here, with ``workers`` processes (or none) that read items, or on a Dask cluster.

    ``devices`` are those of this machine; none of them stands for the first GPU, or the CPU without one. The workers of
    the ``scheduler`` at an address must see the raw files under the same paths; and the folder of parts, unless they
    leave these at the URL ``parts``.
    """

    workers: int = 0
    scheduler: str | None = None
    parts: str | None = None
    devices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.devices and self.scheduler:
            raise InputError("--device is about this machine; the workers of a --scheduler have devices of their own.")
        if self.parts and not self.scheduler:
            raise InputError("--parts says where the workers of a --scheduler leave what they encoded; name that, too.")

    def connect(self) -> AbstractContextManager[Executor | None]:
        """Provide the processes of the cluster, None without one."""
        return cluster(self.scheduler) if self.scheduler else nullcontext()


def encode_items(planned: PlannedItems, machines: Machines, executor: Executor | None) -> None:
    """Encode what has no part yet; ``executor`` is what :meth:`Machines.connect` provides.

    Killed at any time, only the parts in work are lost.
    """
    remote = RemoteParts.of(planned.store, machines.parts) if machines.parts else None
    if remote:
        remote.fetch_all(planned.store)
    parts = planned.store.unfinished(planned.digests, PART_LARGE if planned.modality.large else PART_ITEMS)
    if not parts:
        return
    encoder = ItemEncoder.of(planned.modality, planned.encoder)
    contents = [contents_of(part, planned) for part in parts]
    if executor is None:
        done = _make_here(encoder, planned.store, parts, contents, machines)
    else:
        done = _make_on(executor, encoder, planned.store, remote, parts, contents)
    total = sum(map(len, parts))
    with progress(name=planned.modality.name, total=total, unit=f"{planned.modality.content}s") as bar:
        for part in done:
            bar.update(len(part))


@dataclass(frozen=True)
class PartContents(Sequence[str]):
    """What is encoded of each item of a part, taken when it is asked for: the texts of all parts need much memory."""

    part: Part
    contents: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.part)

    def __getitem__(self, place: Any) -> Any:
        return self.contents[self.part[place]]


def contents_of(part: Part, planned: PlannedItems) -> Sequence[str]:
    """Return the text of every item of a part where texts are given, else its file."""
    texts = planned.modality.texts
    return PartContents(part, planned.paths if texts is None else texts)


def _make_here(
    encoder: ItemEncoder, store: PartStore, parts: Sequence[Part], contents: Sequence[Sequence[str]], machines: Machines
) -> Iterator[Part]:
    """Yield parts as they are done; where several are encoded at a time, threads write them meanwhile."""

    def write(made: tuple[Part, list[Outcome]]) -> Part:
        _write(store, *made)
        return made[0]

    encoders = encoder.load_onto(machines.devices)
    store.make_folder()  # before several threads would
    with closing(encoder.outcomes(encoders, contents, machines.workers)) as encoded:
        made = zip(parts, encoded, strict=True)
        yield from map(write, made) if len(encoders) == 1 else ahead(made, write)


def _make_on(
    executor: Executor,
    encoder: ItemEncoder,
    store: PartStore,
    remote: RemoteParts | None,
    parts: Sequence[Part],
    contents: Sequence[Sequence[str]],
) -> Iterator[Part]:
    """Yield parts as they are done; a worker that is lost costs its parts in work, which others make again."""
    into = remote or store
    futures = {
        executor.submit(_make_part, encoder, into, part, list(items)): part
        for part, items in zip(parts, contents, strict=True)
    }
    for future in as_done(futures):
        if remote:
            remote.fetch(futures[future], store)
        yield futures[future]


def _make_part(encoder: ItemEncoder, into: PartStore | RemoteParts, part: Part, items: Sequence[str]) -> None:
    """Make one part in a process of a cluster, which keeps the encoder for the next one."""
    encode = _loaded(ItemEncoder(encoder.encoder, read=None))  # whatever reads: one encoder serves several modalities
    [outcomes] = encoder.outcomes([encode], [items], workers=0)
    _write(into, part, outcomes)


@lru_cache(maxsize=1)
def _loaded(encoder: ItemEncoder) -> Encode:
    return encoder.load()


def _write(into: PartStore | RemoteParts, part: Part, outcomes: Sequence[Outcome]) -> None:
    """Write a part, with no rows for the items that could not be encoded."""
    failed = {
        item: str(outcome) for item, outcome in zip(part, outcomes, strict=True) if isinstance(outcome, UnreadableItem)
    }
    dim = next((outcome.shape[1] for outcome in outcomes if not isinstance(outcome, UnreadableItem)), 0)
    empty = np.empty((0, dim), np.float16)
    into.write(part, [empty if isinstance(outcome, UnreadableItem) else outcome for outcome in outcomes], failed)
