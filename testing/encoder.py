"""What a frozen encoder has to keep, whoever brings it."""

import pickle
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..cache_schema import InputError, canonical_json
from ..pipeline.frozen_encoders import NAME, Encode, FrozenEncoder
from ..pipeline.source import UnreadableItem
from ..processes import worker_pool

SHA256 = re.compile(r"[0-9a-f]{64}")
BATCH = 32
UNREADABLE = {"empty": b"", "of random bytes": b"\xff\xfe\x00\x9f\xc3" * 40}
"""Files that no encoder can read; a file that is missing is another."""

Rows = npt.NDArray[np.floating[Any]]


def check_encoder(
    encoder: FrozenEncoder,
    items: Sequence[Path],
    *,
    other_weights: FrozenEncoder | None = None,
    without_weights: FrozenEncoder | None = None,
    tolerance: float = 0.01,
) -> None:
    """Check that an encoder keeps the contract of :class:`FrozenEncoder`.

    Parameters
    ----------
    encoder
        Its weights must be here.
    items
        Files that it can read, of several lengths.
    other_weights
        The same encoder with other weights, to see that its recipe is another.
    without_weights
        One whose weights are not here, to see that the recipe says so.
    tolerance
        Bound of the error of a row by what else is in its batch, relative to its length.

    Raises
    ------
    AssertionError
        Naming the encoder and what it does not keep.
    """
    suite = _Suite(encoder)
    suite.can_be_sent()
    suite.recipe_is_canonical()
    suite.recipe_names_the_weights()
    if other_weights:
        suite.holds(_made_by(other_weights) != _made_by(encoder), "has the same recipe with other weights")
    if without_weights:
        suite.missing_weights_are_said(without_weights)
    suite.unreadable_items_are_told()
    suite.rows_are_the_same(items, tolerance)


class _Suite:
    def __init__(self, encoder: FrozenEncoder) -> None:
        self.encoder = encoder

    def holds(self, kept: object, otherwise: str) -> None:
        if not kept:
            raise AssertionError(f"The encoder {self.encoder!r} {otherwise}.")

    def can_be_sent(self) -> None:
        """See that it survives a pickle, as worker processes get it."""
        family = type(self.encoder)
        self.holds(NAME.fullmatch(family.content), f"reads {family.content!r}, which is no word")
        try:
            sent = pickle.loads(pickle.dumps(self.encoder))  # noqa: S301  (made a moment ago)
        except Exception as error:
            raise AssertionError(f"The encoder {self.encoder!r} cannot be sent to another process: {error}.") from error
        self.holds(sent == self.encoder, "is another when it comes out of a pickle")
        self.holds(hash(sent) == hash(self.encoder), "has another hash when it comes out of a pickle")

    def recipe_is_canonical(self) -> None:
        """See that the recipe is JSON, and the same when it is asked again."""
        recipe = self.encoder.recipe()
        try:
            canonical_json(recipe)
        except (TypeError, ValueError) as error:
            raise AssertionError(f"The encoder {self.encoder!r} has a recipe that is no JSON: {error}.") from error
        self.holds(recipe == self.encoder.recipe(), "has another recipe when it is asked again")

    def recipe_names_the_weights(self) -> None:
        """See that other weights would give another recipe."""
        none = self.encoder.recipe().get("weights_sha256", "") is None
        named = none or SHA256.search(_made_by(self.encoder))
        self.holds(
            named,
            "names no sha256 of its weights in the recipe, and seeded_by names no packages; one without weights has "
            "weights_sha256 = None in its recipe",
        )

    def missing_weights_are_said(self, without: FrozenEncoder) -> None:
        """See that weights that are not here end in a message."""
        try:
            without.recipe()
        except InputError as error:
            self.holds(str(error), "says nothing of weights that are missing")
            return
        self.holds(False, f"has a recipe without its weights, as {without!r}")

    def unreadable_items_are_told(self) -> None:
        """See that files that cannot be read have a reason each, in which no file is named."""
        with tempfile.TemporaryDirectory() as folder:
            self.is_unreadable(Path(folder) / "missing", "a file that is missing")
            for what, content in UNREADABLE.items():
                path = Path(folder) / what
                path.write_bytes(content)
                self.is_unreadable(path, f"a file that is {what}")

    def is_unreadable(self, path: Path, what: str) -> None:
        """See that one file has a reason."""
        try:
            self.encoder.read(path)
        except UnreadableItem as reason:
            self.holds(str(reason), f"gives no reason for {what}")
            self.holds(
                str(path) not in str(reason), f"names the file in its reason for {what}; that may name a patient"
            )
        except Exception as error:
            raise AssertionError(
                f"The encoder {self.encoder!r} raises {type(error).__name__}, not UnreadableItem, for {what}."
            ) from error
        else:
            self.holds(False, f"reads {what}")

    def rows_are_the_same(self, items: Sequence[Path], tolerance: float) -> None:
        """See that rows are the same again, in any batch, and of what another process has read."""
        contents = [self.encoder.read(item) for item in items]
        encode = self.encoder.load()
        together = self.rows(encode, contents)
        again = self.rows(self.encoder.load(), contents)
        self.holds(all(map(np.array_equal, together, again)), "gives other rows when it is loaded again")
        self.batch_decides_nothing(encode, contents, tolerance)
        with worker_pool(1) as pool:
            elsewhere = self.rows(encode, list(pool.map(self.encoder.read, items)))
        self.holds(all(map(np.array_equal, together, elsewhere)), "gives other rows of what another process has read")

    def batch_decides_nothing(self, encode: Encode, contents: Sequence[Any], tolerance: float) -> None:
        """See that rows differ by no more than the tolerance from those of an item alone."""
        alone = [rows for content in contents for rows in self.rows(encode, [content])]
        places = [number % len(contents) for number in range(BATCH)]
        batch = self.rows(encode, [contents[place] for place in places])
        for rows, place in zip(batch, places, strict=True):
            self.holds(rows.shape == alone[place].shape, "gives another number of rows in a batch than alone")
            error = np.linalg.norm(rows - alone[place], axis=1)
            bound = tolerance * np.linalg.norm(alone[place], axis=1)
            self.holds(
                (error <= bound).all(), f"gives rows that differ by up to {error.max():.2g} in a batch of {BATCH}"
            )

    def rows(self, encode: Encode, contents: Sequence[Any]) -> list[npt.NDArray[np.float64]]:
        """Return the rows of each item, which are such as a cache can hold."""
        given = list(encode(iter(contents)))
        self.holds(len(given) == len(contents), f"gives {len(given)} results for {len(contents)} items")
        for rows in given:
            self.holds(isinstance(rows, np.ndarray) and rows.ndim == 2, "does not give rows [rows, D]")
            assert isinstance(rows, np.ndarray)
            self.holds(rows.dtype.kind == "f" and len(rows), "gives no rows of floating-point numbers")
            with np.errstate(over="ignore"):
                self.holds(np.isfinite(rows.astype(np.float16)).all(), "gives values that float16 cannot hold")
        doubles = [np.asarray(rows, np.float64) for rows in given]
        self.holds(len({rows.shape[1] for rows in doubles}) == 1, "gives rows of several widths")
        return doubles


def _made_by(encoder: FrozenEncoder) -> str:
    """Return the whole recipe as text, the digest of seeded weights included."""
    weights = {"weights_sha256": encoder.weights_digest()} if encoder.seeded_by() else {}
    return canonical_json({**encoder.recipe(), **weights})
