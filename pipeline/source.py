"""What a data set must offer to be extracted: samples, labels, tables of timed values, and items to encode."""

import hmac
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from ..cache_schema import Column, ModalityKind, Task

STORED_PER_REASON = 1000
"""At most this many quarantined rows are stored for one source and reason; the counts stay complete."""

LONGEST_VALUE = 80
MOST_LETTERS = 4
"""A value with more letters may be what somebody wrote about a patient; ``<5``, ``33,9 kg`` and ``1e39`` have fewer."""

LARGEST = float(np.finfo(np.float32).max)
"""A cache holds float32."""
TOO_LARGE = "too large: more than a number of 32 bits can be"


def keyed_hash(key: bytes, kind: str, name: str) -> str:
    """Return HMAC-SHA256 of a name of some kind, which nobody can compute or compare without the key."""
    return hmac.new(key, f"{kind}:{name}".encode(), sha256).hexdigest()


def pseudonym_key(dataset: "DataSet") -> bytes | None:
    """Return the key of a data set whose cache must not name anybody, None of another."""
    key: bytes | None = getattr(dataset, "pseudonym_key", None)
    return key


class UnreadableItem(Exception):  # noqa: N818  (it is an outcome of one item, not an error of the program)
    """One item (image, text, series) cannot be read; it is quarantined with this reason and the rest goes on."""


@contextmanager
def unreadable(reason: str) -> Iterator[None]:
    """Make whatever a reader raises an :class:`UnreadableItem`: what damaged bytes lead to has no common class.

    ``reason`` is what is said of bytes that are damaged. Warnings are not shown, because they quote header
    values, which may name a patient.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except UnreadableItem:
        raise
    except FileNotFoundError as error:
        raise UnreadableItem("the file is missing") from error
    except MemoryError as error:
        raise UnreadableItem("decoding it needs more memory than there is") from error
    except Exception as error:
        system = error.strerror if isinstance(error, OSError) and error.errno else None
        raise UnreadableItem(f"cannot be read: {system}" if system else reason) from error


class Quarantine:
    """Rows and items that are left out, with the reason; bounded in memory however many there are."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, str, str, str, str]] = []
        self._stored: Counter[tuple[str, str, str]] = Counter()
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def add(self, stage: str, source: str, where: str, value: str, reason: str, count: int = 1) -> None:
        """Record ``count`` rows or items of one kind; ``where`` and ``value`` show one of them.

        Of a value that is a text only its length is kept: it lies at ``where``, for those who may see it.
        """
        self._counts[stage, source, reason] += count
        self._store(stage, source, where, _shown(value), reason)

    def _store(self, stage: str, source: str, where: str, value: str, reason: str) -> None:
        if self._stored[stage, source, reason] < STORED_PER_REASON:
            self._stored[stage, source, reason] += 1
            self._rows.append((stage, source, where, value, reason))

    def frame(self) -> pl.DataFrame:
        """Return the stored rows, sorted: stage, source, where, value, reason."""
        columns = ["stage", "source", "where", "value", "reason"]
        return pl.DataFrame(self._rows, schema=dict.fromkeys(columns, pl.String), orient="row").sort(columns)

    def counts(self) -> pl.DataFrame:
        """Return how many there were: stage, source, reason, count."""
        rows = [(*kind, count) for kind, count in sorted(self._counts.items())]
        schema = {"stage": pl.String, "source": pl.String, "reason": pl.String, "count": pl.Int64}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def to_json(self) -> dict[str, list[list[str | int]]]:
        """Return everything as JSON values, for :meth:`extend`."""
        return {
            "rows": [list(row) for row in self._rows],
            "counts": [[*kind, count] for kind, count in self._counts.items()],
        }

    def extend(self, other: dict[str, list[list[Any]]]) -> None:
        """Add what another quarantine holds (as its :meth:`to_json` gave it)."""
        for stage, source, where, value, reason in other["rows"]:
            self._store(stage, source, where, value, reason)
        for stage, source, reason, count in other["counts"]:
            self._counts[stage, source, reason] += count

    def clear(self) -> None:
        """Forget everything, after it was handed on."""
        self._rows.clear()
        self._stored.clear()
        self._counts.clear()

    @property
    def total(self) -> int:
        """Number of rows and items that were left out."""
        return self._counts.total()


def _shown(value: str) -> str:
    letters = [sign for sign in value if sign.isalpha()]
    if len(letters) <= MOST_LETTERS and all(map(str.isascii, letters)):
        return value[:LONGEST_VALUE]
    return f"text ({len(value)})"


@dataclass(frozen=True)
class Block:
    """Rows of some samples of a table modality.

    Blocks come in any order, each sample in at most one; a sample in none has no rows.
    ``sample_ids`` ``[n]``, ``lengths`` ``[n]`` int64, ``values`` ``[sum(lengths), D]`` float32, ``time``
    ``[sum(lengths)]`` float32 hours since t0; ``first_hours`` ``[n]`` float64 hours since t0 of the first observation,
    None where no task asks for it.
    """

    sample_ids: npt.NDArray[Any]
    lengths: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    time: npt.NDArray[np.float32]
    first_hours: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True)
class TableModality:
    """A modality computed from tables, always whole.

    It is keyed by its ``recipe``, the names of its columns, the samples, the resources of the data set, and the files
    in ``inputs``. These must be all that decide its rows, and no others: a change elsewhere computes nothing anew.
    """

    name: str
    kind: ModalityKind
    columns: tuple[Column, ...]
    row_meaning: str
    recipe: dict[str, Any]
    inputs: tuple[Path, ...]
    blocks: Callable[[Quarantine], Iterator[Block]]
    title: str | None = None
    """What it is in words for a reader."""


@dataclass(frozen=True)
class ItemModality:
    """A modality whose items go through a frozen encoder, each distinct content once.

    ``content`` is what they are: ``text``, ``image``, or another kind for which a package brings an encoder.

    ``items`` has the columns sample_id, item_id, path, time (float32 hours since t0, null without) and any attributes.
    One whose ``sample_id`` is null is not encoded, but a change of its file makes the next extraction read it again.
    A column ``place`` says where an item was listed, for the quarantine; without it, by its id and file.
    ``read_text`` gives the text to encode and raises :class:`UnreadableItem`. Texts that are cells of an input table
    are given in ``texts`` by their sha256 instead; ``items`` then has the column ``digest``, and ``path`` is the table.
    ``read`` gives what the encoder encodes of a file or a folder, instead of the encoder's own reading, and raises the
    same; it is called in other processes. An image that has several slices is their grey levels ``[S, 224, 224]``.
    ``large``: an item is megabytes in memory and minutes of work, such as a series of slices. ``windowed``: one longer
    than a window of the encoder is encoded in several windows instead of cut. ``digest_key``: the cache must not tell
    which file or text an item was, except to who has this key.
    """

    name: str
    content: str
    row_meaning: str
    items: pl.DataFrame
    recipe: dict[str, Any]
    read_text: Callable[[Path], str] | None = None
    texts: Mapping[str, str] | None = None
    read: Callable[[Path], Any] | None = None
    large: bool = False
    windowed: bool = False
    digest_key: bytes | None = None
    title: str | None = None
    """What it is in words for a reader."""

    def shown_digest(self, digest: str) -> str:
        """Return what a cache calls a content: its sha256, or a hash of that which only the key can make."""
        return digest if self.digest_key is None else keyed_hash(self.digest_key, "content", digest)


FirstHours = Mapping[str, npt.NDArray[np.float64]]
"""By name of a modality: hours since t0 of each sample's first observation or item ``[N]``.

NaN without any, and where a table does not say it; -inf for an item that has no time.
"""


Splits = Mapping[str, pl.DataFrame]
"""By name: sample_id and part (train, validation, test)."""


@dataclass(frozen=True)
class Records:
    """Everything that a data set holds, apart from the rows of its tables and the contents of its items.

    ``samples`` is sorted by its unique ``sample_id`` and has ``subject_id`` and descriptive columns. ``tasks`` labels
    them when the tables have been read, ``counts`` then says what every step left, from the tasks, the counts of the
    quarantine and the splits: scope, step, unit, count, published and source (both null where nothing was published).
    ``notes`` say what the user may have expected and was not found, or has to know.
    """

    samples: pl.DataFrame
    tasks: Callable[[FirstHours], tuple[Task, ...]]
    tables: tuple[TableModality, ...] = ()
    items: tuple[ItemModality, ...] = ()
    splits: dict[str, pl.DataFrame] = field(default_factory=dict)
    counts: Callable[[Sequence[Task], pl.DataFrame, Splits], pl.DataFrame] | None = None
    notes: tuple[str, ...] = ()


class DataSet(Protocol):
    """One data set in the raw folder ``raw``; every file right in the folders ``resources`` decides its values."""

    name: str
    raw: Path

    @property
    def resources(self) -> tuple[Path, ...]:
        """Return folders of the package: a change of a file in them that is no code makes everything anew."""
        ...

    def inputs(self) -> list[Path]:
        """Return the tables that decide the result; raises MissingInputError naming what is missing."""
        ...

    def settings(self) -> dict[str, Any]:
        """Return everything else that decides the result, as JSON values, a hand-raised version number included."""
        ...

    def read(self, quarantine: Quarantine) -> Records:
        """Read cohort and lists of items, files that are missing included; seconds, in bounded memory."""
        ...
