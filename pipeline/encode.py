"""The second stage: every distinct image and text through its frozen encoder, once, into parts."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from tqdm import tqdm

from ..processes import as_done
from .item_encoder import ItemEncoder, Outcome
from .parts import PART_ITEMS, PART_SERIES, Part, PartStore
from .plan import PlannedItems
from .remote_parts import RemoteParts
from .source import UnreadableItem


@dataclass(frozen=True)
class Cluster:
    """Processes that make whole parts, on other machines perhaps.

    They must see the raw files under the same paths; and the folder of parts, unless they leave these at ``url``.
    """

    executor: Executor
    url: str | None = None


def encode_items(planned: PlannedItems, workers: int, cluster: Cluster | None = None) -> None:
    """Encode what has no part yet: here, with ``workers`` processes (or none) that decode images, or on a cluster.

    Killed at any time, only the parts in work are lost.
    """
    remote = RemoteParts.of(planned.store, cluster.url) if cluster and cluster.url else None
    if remote:
        remote.fetch_all(planned.store)
    parts = planned.store.unfinished(planned.digests, PART_SERIES if planned.modality.read_slices else PART_ITEMS)
    if not parts:
        return
    encoder = ItemEncoder.of(planned.modality, planned.encoder)
    contents = [_contents(part, planned) for part in parts]
    if cluster is None:
        done = _make_here(encoder, planned.store, parts, contents, workers)
    else:
        done = _make_on(cluster.executor, encoder, planned.store, remote, parts, contents)
    total = sum(map(len, parts))
    with tqdm(total=total, desc=planned.modality.name, unit=planned.modality.content, disable=None) as bar:
        for part in done:
            bar.update(len(part))


def _contents(part: Part, planned: PlannedItems) -> list[str]:
    """Return the text of every item of a part where texts are given, else its file."""
    if (texts := planned.modality.texts) is not None:
        return [texts[item] for item in part]
    paths = planned.paths
    return [paths[item] for item in part]


def _make_here(
    encoder: ItemEncoder, store: PartStore, parts: Sequence[Part], contents: Sequence[Sequence[str]], workers: int
) -> Iterator[Part]:
    encoded = encoder.outcomes(encoder.load(), contents, workers)
    for part, outcomes in zip(parts, encoded, strict=True):
        _write(store, part, outcomes)
        yield part


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
        executor.submit(_make_part, encoder, into, part, items): part
        for part, items in zip(parts, contents, strict=True)
    }
    for future in as_done(futures):
        if remote:
            remote.fetch(futures[future], store)
        yield futures[future]


def _make_part(encoder: ItemEncoder, into: PartStore | RemoteParts, part: Part, items: Sequence[str]) -> None:
    """Make one part in a process of a cluster, which keeps the encoder for the next one."""
    model = _loaded(ItemEncoder(encoder.content, encoder.encoder))
    [outcomes] = encoder.outcomes(model, [items], workers=0)
    _write(into, part, outcomes)


@lru_cache(maxsize=1)
def _loaded(encoder: ItemEncoder) -> Any:
    return encoder.load()


def _write(into: PartStore | RemoteParts, part: Part, outcomes: Sequence[Outcome]) -> None:
    """Write a part, with no rows for the items that could not be encoded."""
    failed = {
        item: str(outcome) for item, outcome in zip(part, outcomes, strict=True) if isinstance(outcome, UnreadableItem)
    }
    dim = next((outcome.shape[1] for outcome in outcomes if not isinstance(outcome, UnreadableItem)), 0)
    empty = np.empty((0, dim), np.float16)
    into.write(part, [empty if isinstance(outcome, UnreadableItem) else outcome for outcome in outcomes], failed)
