"""Parts: immutable files of encoded items. Which items have no part yet is the only question that a resume asks.

A part holds up to ``PART_ITEMS`` items of one recipe. Its name is the digest of the list of its items.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...cache_schema import CorruptCacheError, Recipe, digest, offsets_of, write_durably
from ...cache_schema.files import flush
from ..sealed_file import read_sealed, write_sealed
from ..tensor_file import DamagedFilesError, read_metadata, read_tensors, tensor_bytes

PART_ITEMS = 128
PART_LARGE = 8
"""Items in a part where each is large, such as a series of slices: minutes of work for a processor."""

SUFFIX = ".safetensors"
JOURNAL = ".plan"

Part = tuple[str, ...]
"""The digests of the items of one part."""

Rows = npt.NDArray[np.float16]


@dataclass(frozen=True)
class EncodedItem:
    """The rows ``[rows, D]`` of one item; none where it could not be encoded, with the reason."""

    values: Rows
    reason: str = ""


class PartStore:
    """All parts of one recipe, in ``<folder>/<digest of the recipe>``."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self.folder = folder.absolute() / digest(recipe)[:16]
        self._recipe = recipe

    def missing(self, items: Sequence[str]) -> list[str]:
        """Return the items that are in no part, in their order."""
        available = {item for path in self._files() for item in _items_of(path)}
        return [item for item in items if item not in available]

    def remove_damaged(self) -> int:
        """Remove the parts that cannot be whole, by their size and description alone, and return how many."""
        damaged = [path for path in self._files() if not _items_of(path)]
        for path in damaged:
            path.unlink()
        return len(damaged)

    def unfinished(self, items: Sequence[str], size: int = PART_ITEMS) -> list[Part]:
        """Return the parts, of at most ``size`` items, to be made before every one of these items is in one.

        The first answer is written down, and later ones for the same list keep to it, however far an interrupted run
        came: which items share a batch, and so every bit of the result, does not depend on when a run was killed. So is
        a part that was lost since then, also one of another list; only items of which nothing is written come in new
        ones.
        """
        missing = self.missing(items)
        self._assign(items, missing, size)
        needed, known, parts = set(missing), set(items), []
        for part in self._assigned(items):
            if not needed.isdisjoint(part) and known.issuperset(part):
                parts.append(part)
                needed.difference_update(part)
        return parts + _cut([item for item in missing if item in needed], size)

    def _assign(self, items: Sequence[str], missing: Sequence[str], size: int) -> None:
        """Write down how missing items are cut into parts, unless that has been done for this list."""
        if read_sealed(self._journal(items)) is None:
            self.make_folder()
            write_sealed(self._journal(items), json.dumps(_cut(missing, size)).encode())

    def _assigned(self, items: Sequence[str]) -> Iterator[Part]:
        """Yield the parts that were written down, those for this list first."""
        first = self._journal(items)
        others = sorted(path for path in self.folder.glob(f"*{JOURNAL}") if path != first)
        for journal in (first, *others):
            yield from map(tuple, json.loads(read_sealed(journal) or b"[]"))

    def _journal(self, items: Sequence[str]) -> Path:
        return self.folder / f"{digest(list(items))[:16]}{JOURNAL}"

    def write(self, part: Sequence[str], rows: Sequence[Rows], failed: Mapping[str, str]) -> None:
        """Write the part of the given items: rows ``[n, D]`` of each (none where it ``failed``, with the reason)."""
        self.make_folder()
        write_durably(self.folder / part_name(part), part_content(part, rows, failed))

    def take(self, name: str, content: bytes) -> bool:
        """Write a part that was made elsewhere; return whether it was whole, otherwise it is not kept."""
        self.make_folder()
        write_durably(self.folder / name, content)
        try:
            read_tensors(self.folder / name)
        except CorruptCacheError:
            (self.folder / name).unlink()
            return False
        return True

    def load(self, items: Iterable[str]) -> dict[str, EncodedItem]:
        """Return the given items, their rows as read-only memory maps.

        Raises
        ------
        DamagedFilesError
            If parts are damaged; these have been removed.
        CorruptCacheError
            If an item is in no part.
        """
        wanted = set(items)
        found: dict[str, EncodedItem] = {}
        damaged = 0
        for path in self._files():
            if wanted.isdisjoint(_items_of(path)):
                continue
            try:
                found |= {item: encoded for item, encoded in _read_part(path).items() if item in wanted}
            except CorruptCacheError:
                path.unlink()
                damaged += 1
        if damaged:
            raise DamagedFilesError(self.folder, damaged)
        if absent := wanted - found.keys():
            raise CorruptCacheError(f"{len(absent)} items have no part in {self.folder}, the first {min(absent)}.")
        return found

    def make_folder(self) -> None:
        """Make the folder, with the recipe in it, unless it is there."""
        if not self.folder.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            flush(self.folder.parent)
        recipe, content = self.folder / "recipe.json", json.dumps(self._recipe, indent=1, sort_keys=True).encode()
        if not recipe.exists() or recipe.read_bytes() != content:
            write_durably(recipe, content)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{SUFFIX}"))


def part_name(part: Sequence[str]) -> str:
    """Return the name of a part's file."""
    return f"{digest(list(part))[:32]}{SUFFIX}"


def part_content(part: Sequence[str], rows: Sequence[Rows], failed: Mapping[str, str]) -> bytes:
    """Return the content of a part's file; the arguments as in :meth:`PartStore.write`."""
    values = np.concatenate(rows)  # [R, D]
    offsets = offsets_of(np.array([len(matrix) for matrix in rows]))
    metadata = {"items": json.dumps(part), "failed": json.dumps(failed, sort_keys=True)}
    return tensor_bytes({"values": values, "offsets": offsets}, metadata)


def _cut(items: Sequence[str], size: int) -> list[Part]:
    return [tuple(items[start : start + size]) for start in range(0, len(items), size)]


def _items_of(path: Path) -> list[str]:
    """Return the items of a part, none of one that is damaged."""
    try:
        items: list[str] = json.loads(read_metadata(path)["items"])
    except CorruptCacheError:
        return []
    return items


def _read_part(path: Path) -> dict[str, EncodedItem]:
    metadata, tensors = read_tensors(path)
    values, offsets = tensors["values"], tensors["offsets"]
    failed = json.loads(metadata["failed"])
    return {
        item: EncodedItem(values[start:end], failed.get(item, ""))
        for item, start, end in zip(json.loads(metadata["items"]), offsets[:-1], offsets[1:], strict=True)
    }
