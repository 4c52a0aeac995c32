"""Parts are whole or absent, and the same list of items is always cut the same way."""

from pathlib import Path

import numpy as np
import pytest
from omnifuse.cache_schema import CorruptCacheError
from omnifuse.pipeline.core.parts import PART_ITEMS, PartStore
from omnifuse.pipeline.tensor_file import DamagedFilesError

RECIPE = {"encoder": "toy", "version": 1}


def rows_of(item: str) -> np.ndarray:
    """Return as many rows as the item's number says: item "i3" has 3."""
    return np.full((int(item[1:]) % 5, 4), int(item[1:]), dtype=np.float16)


def encode(store: PartStore, parts: list[tuple[str, ...]]) -> None:
    for part in parts:
        store.write(part, [rows_of(item) for item in part], {})


def items(number: int) -> list[str]:
    return [f"i{index}" for index in range(number)]


def test_what_was_written_is_loaded(tmp_path: Path) -> None:
    store = PartStore(tmp_path, RECIPE)
    encode(store, store.unfinished(items(200)))
    loaded = store.load(["i7", "i199", "i0"])
    assert set(loaded) == {"i7", "i199", "i0"}
    for item, encoded in loaded.items():
        np.testing.assert_array_equal(encoded.values, rows_of(item))


def test_parts_have_a_limited_size_and_cover_the_list_in_order(tmp_path: Path) -> None:
    parts = PartStore(tmp_path, RECIPE).unfinished(items(300))
    assert [len(part) for part in parts] == [PART_ITEMS, PART_ITEMS, 300 - 2 * PART_ITEMS]
    assert [item for part in parts for item in part] == items(300)


def test_an_interrupted_run_keeps_its_parts(tmp_path: Path) -> None:
    undisturbed = PartStore(tmp_path / "a", RECIPE).unfinished(items(300))
    store = PartStore(tmp_path / "b", RECIPE)
    encode(store, store.unfinished(items(300))[1:2])  # killed after the second part
    assert PartStore(tmp_path / "b", RECIPE).unfinished(items(300)) == [undisturbed[0], undisturbed[2]]


def test_a_part_whose_items_came_otherwise_is_finished(tmp_path: Path) -> None:
    store = PartStore(tmp_path, RECIPE)
    first, second, third = store.unfinished(items(300))
    encode(store, [first[:64], first[64:] + second[:1]])
    assert store.unfinished(items(300)) == [second, third]
    encode(store, [second, third])
    assert store.unfinished(items(300)) == []
    assert store.load(items(300)).keys() == set(items(300))


def test_items_whose_part_was_lost_later_are_encoded_again(tmp_path: Path) -> None:
    store = PartStore(tmp_path, RECIPE)
    encode(store, store.unfinished(items(200)))
    encode(store, store.unfinished(items(210)))
    for path in store.folder.glob("*.safetensors"):
        path.unlink()
    encode(store, store.unfinished(items(210)))
    assert store.load(items(210)).keys() == set(items(210))


def test_new_items_do_not_touch_old_parts(tmp_path: Path) -> None:
    store = PartStore(tmp_path, RECIPE)
    encode(store, store.unfinished(items(200)))
    more = store.unfinished(items(210))
    assert [item for part in more for item in part] == items(210)[200:]


def test_another_recipe_shares_nothing(tmp_path: Path) -> None:
    store = PartStore(tmp_path, RECIPE)
    encode(store, store.unfinished(items(3)))
    assert PartStore(tmp_path, {**RECIPE, "version": 2}).missing(items(3)) == items(3)


def test_failed_items_have_a_reason_and_no_rows(tmp_path: Path) -> None:
    store = PartStore(tmp_path, RECIPE)
    (part,) = store.unfinished(["i1", "i2"])
    store.write(part, [rows_of("i1"), np.empty((0, 4), np.float16)], {"i2": "truncated image"})
    loaded = store.load(part)
    assert loaded["i2"].reason == "truncated image" and loaded["i2"].values.shape == (0, 4)
    assert loaded["i1"].reason == ""


def test_a_damaged_part_is_removed_and_made_again(tmp_path: Path) -> None:
    store = PartStore(tmp_path, RECIPE)
    parts = store.unfinished(items(10))
    encode(store, parts)
    (path,) = store.folder.glob("*.safetensors")
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedFilesError, match=r"1 damaged files in .* have been removed") as raised:
        store.load(items(10))
    assert raised.value.count == 1
    assert store.unfinished(items(10)) == parts


def test_a_part_with_a_damaged_description_is_missing(tmp_path: Path) -> None:
    store = PartStore(tmp_path, RECIPE)
    (part,) = store.unfinished(["i1", "i2"])
    store.write(part, [rows_of("i1"), np.empty((0, 4), np.float16)], {"i2": "truncated image"})
    (path,) = store.folder.glob("*.safetensors")
    path.write_bytes(path.read_bytes().replace(b"truncated", b"trumcated"))
    assert store.missing(part) == ["i1", "i2"]
    assert (store.remove_damaged(), store.remove_damaged()) == (1, 0)


def test_lost_parts_are_cut_as_they_were_when_another_list_brought_them(tmp_path: Path) -> None:
    store = PartStore(tmp_path, RECIPE)
    first = store.unfinished(items(200))
    encode(store, first)
    more = [f"i{index}" for index in range(-10, 200)]
    encode(store, store.unfinished(more))
    for path in store.folder.glob("*.safetensors"):
        path.unlink()
    assert {*first} < {*store.unfinished(more)}


def test_a_damaged_plan_of_parts_is_made_again(tmp_path: Path) -> None:
    store = PartStore(tmp_path, RECIPE)
    parts = store.unfinished(items(200))
    (journal,) = store.folder.glob("*.plan")
    journal.write_bytes(journal.read_bytes().replace(b"i7", b"i9", 1))
    assert store.unfinished(items(200)) == parts


def test_a_missing_item_is_named(tmp_path: Path) -> None:
    store = PartStore(tmp_path, RECIPE)
    encode(store, store.unfinished(items(2)))
    with pytest.raises(CorruptCacheError, match="1 items have no part"):
        store.load(["i9"])
