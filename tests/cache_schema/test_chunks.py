"""Rows that go straight from chunk files to their place are those that zarr reads."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from numcodecs.zstd import Zstd
from omnifuse.cache_schema import CorruptCacheError, FeatureCache, layout
from omnifuse.cache_schema.checked_store import CheckedStore
from omnifuse.cache_schema.chunks import RowChunks
from omnifuse.cache_schema.manifest import Manifest, describe_tree, write_manifest
from zarr.codecs import GzipCodec

ROWS, COLUMNS = 10, 3

Make = Callable[[zarr.Group], zarr.Array]


def by_another_writer(**options: object) -> Make:
    """Return what makes an array that is laid out in another way than ours."""
    return lambda group: group.create_array("values", shape=(ROWS, COLUMNS), dtype="f4", **options)


LAYOUTS: dict[str, Make] = {
    "uncompressed": lambda group: layout.create_array(group, "values", (ROWS, COLUMNS), np.float16),
    "zstd": lambda group: layout.create_array(group, "values", (ROWS, COLUMNS), np.float32),
    "parts of rows": by_another_writer(chunks=(4, 2)),
    "gzip": by_another_writer(chunks=(4, COLUMNS), compressors=GzipCodec()),
    "another order": by_another_writer(
        chunks=(4, COLUMNS), filters=[{"name": "transpose", "configuration": {"order": [1, 0]}}]
    ),
    "big-endian": by_another_writer(
        chunks=(4, COLUMNS), serializer={"name": "bytes", "configuration": {"endian": "big"}}
    ),
}


@pytest.fixture(scope="module", params=LAYOUTS)
def chunks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RowChunks:
    """An array of ten rows, four a chunk or two; the last chunk of four is not full."""
    path = tmp_path_factory.mktemp("chunks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "CHUNK_BYTES", 24)
        LAYOUTS[request.param](zarr.create_group(path, zarr_format=3))[:] = np.arange(30).reshape(ROWS, COLUMNS)
    store = CheckedStore(path, Manifest(describe_tree(path)).files)
    return RowChunks(store, "values", zarr.open_group(store, mode="r", zarr_format=3)["values"])


@given(numbers=st.sets(st.integers(0, ROWS - 1)).map(sorted))
def test_any_rows_come_in_order_and_in_parts(chunks: RowChunks, numbers: list[int]) -> None:
    into = np.full((len(numbers), COLUMNS), -1, chunks.array.dtype)
    seen = 0
    for part in chunks.fill(np.array(numbers, dtype=np.int64), into):
        assert part.start == seen < part.stop
        np.testing.assert_array_equal(into[part, 0], [3 * number for number in numbers[part]])
        seen = part.stop
    assert seen == len(numbers)
    np.testing.assert_array_equal(into, chunks.array[:][numbers])


def test_chunks_without_a_row_that_is_wanted_are_not_read(cache_path: Path) -> None:
    (cache_path / "modalities/rep/values/c/0/0").unlink()
    cache = FeatureCache.open(cache_path)
    assert list(cache.fill("rep", np.empty(0, np.int64), np.empty((0, 4), np.float16))) == []
    with pytest.raises(CorruptCacheError, match="values/c/0/0 is missing"):
        cache.rows("rep", 4)


@pytest.mark.parametrize("modality", ["rep", "ehr"])
def test_a_chunk_of_another_size_is_refused_even_where_its_checksum_is_right(cache_path: Path, modality: str) -> None:
    chunk = cache_path / f"modalities/{modality}/values/c/0/0"
    content = chunk.read_bytes()
    chunk.write_bytes(content[:-2] if modality == "rep" else Zstd(checksum=True).encode(Zstd().decode(content)[:-8]))
    write_manifest(cache_path, Manifest(describe_tree(cache_path)))
    with pytest.raises(CorruptCacheError, match=f"modalities/{modality}/values"):
        FeatureCache.open(cache_path).modality(modality)
