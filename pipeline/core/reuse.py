"""Items that an older cache holds already: copied from its arrays into parts instead of being encoded again.

What is read is the cache itself, so its own parts may be gone. Items match by digest, in modalities of the same name
and recipe; items that could not be encoded then are tried again. A cache with pseudonyms shows digests that only its
key can make: it is reused with the same key, and one without pseudonyms with any.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from ...cache_schema import CacheError, FeatureCache, InputError, difference
from ...progress import progress
from ..pseudonym_key import made_with
from .parts import PART_ITEMS
from .plan import PlannedItems

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 1 << 16
"""About 100 MB of token embeddings."""


def open_older(path: Path) -> FeatureCache:
    """Open the cache to reuse; raises :class:`InputError` where there is no complete one."""
    try:
        return FeatureCache.open(path)
    except CacheError as error:
        raise InputError(f"{path} cannot be reused. {error}") from error


def find_reusable(planned: PlannedItems, older: FeatureCache) -> pl.DataFrame:
    """Return which missing items the older cache holds, in its order: digest, first_row, rows.

    Where it holds the modality by another recipe it has none, and the difference is logged.
    """
    nothing = pl.DataFrame(schema={"digest": pl.String, "first_row": pl.Int64, "rows": pl.Int64})
    name = planned.modality.name
    held = older.items(name) if name in older.modalities else None
    if held is None:
        logger.warning("%s: nothing is reused, %s has no items of it", name, older.path)
        return nothing
    if lines := difference(older.modality_spec(name).recipe, planned.recipe):
        logger.warning("%s: nothing of %s is reused, its recipe differs: %s", name, older.path, "; ".join(lines))
        return nothing
    missing = planned.store.missing(planned.digests)
    shown = map(planned.modality.shown_digest, missing) if _has_pseudonyms(older) else missing
    schema = {"shown": pl.String, "digest": pl.String}
    wanted = pl.DataFrame({"shown": list(shown), "digest": missing}, schema=schema)
    return (
        held.select("first_row", "rows", shown="digest")
        .join(wanted, on="shown")
        .select(nothing.columns)
        .sort("first_row")
        .unique("digest", keep="first", maintain_order=True)
    )


def _has_pseudonyms(cache: FeatureCache) -> bool:
    return made_with(cache.manifest) is not None


def reuse_items(planned: PlannedItems, older: FeatureCache) -> int:
    """Write the items that the older cache holds into parts, bit by bit as they are, and return how many there were.

    Raises
    ------
    CorruptCacheError
        If stored bytes of the older cache are missing or damaged.
    """
    found, name = find_reusable(planned, older), planned.modality.name
    with progress(name=f"{name} reused", total=found.height) as bar:
        for items in _windows(found):
            first, end = items["first_row"][0], items["first_row"][-1] + items["rows"][-1]
            values = older.rows(name, first, end)
            places = zip(items["first_row"] - first, items["rows"], strict=True)
            rows = [values[start : start + length] for start, length in places]
            planned.store.write(items["digest"].to_list(), rows, {})
            bar.update(items.height)
    logger.info("%s: %s items are reused from %s", name, f"{found.height:,}", older.path)
    return found.height


def _windows(found: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Cut items into runs for one part each, that lie within ``ROWS_AT_ONCE`` rows (a longer item alone)."""
    ends = found["first_row"] + found["rows"]
    start = 0
    while start < found.height:
        fitting = ends.search_sorted(found["first_row"][start] + ROWS_AT_ONCE, side="right")
        stop = max(start + 1, min(int(fitting), start + PART_ITEMS))
        yield found[start:stop]
        start = stop
