"""What turns the items of one modality, image files or texts, into rows: the same here and on another machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..source import ItemModality, UnreadableItem
from .parts import Rows

if TYPE_CHECKING:
    from ..image.encoder import ImageEncoder
    from ..text.encoder import TextEncoder

Outcome = Rows | UnreadableItem
"""The rows ``[rows, D]`` of an item, or why it has none."""

SERIES_AHEAD = 2
"""Series of slices that wait decoded for each worker: one of 300 slices takes 15 MB."""


@dataclass(frozen=True)
class ItemEncoder:
    """How items become rows; it can be sent to another process.

    ``encoder`` is the name of the frozen encoder. ``read`` gives the text of a file, or the slices of an image that has
    several; without it, an item is a text itself, or the file of one image. ``windowed`` texts are encoded in windows.
    """

    content: Literal["image", "text"]
    encoder: str
    read: Callable[[Path], Any] | None = None
    windowed: bool = False

    @classmethod
    def of(cls, modality: ItemModality, encoder: str) -> ItemEncoder:
        """Return how the items of a modality become rows with one of its encoders."""
        read = modality.read_text if modality.content == "text" else modality.read_slices
        return cls(modality.content, encoder, read, modality.windowed)

    def load(self) -> ImageEncoder | TextEncoder:
        """Load the frozen encoder; raises :class:`InputError` if that cannot be done."""
        if self.content == "text":
            from ..text.encoder import TextEncoder

            return TextEncoder(self.encoder)
        from ..image.encoder import ImageEncoder

        return ImageEncoder(self.encoder)

    def outcomes(self, model: Any, parts: Sequence[Sequence[str]], workers: int) -> Iterator[list[Outcome]]:
        """Yield what becomes of the items (paths or texts) of each part; ``workers`` processes decode images, or none.

        The rows of an item depend on the other items of its part at most, never on those of other parts.
        """
        return self._texts(model, parts) if self.content == "text" else self._images(model, parts, workers)

    def _texts(self, model: TextEncoder, parts: Sequence[Sequence[str]]) -> Iterator[list[Outcome]]:
        for part in parts:
            texts = [self.read(Path(item)) if self.read else item for item in part]
            yield list(model.encode(texts, windowed=self.windowed))

    def _images(self, model: ImageEncoder, parts: Sequence[Sequence[str]], workers: int) -> Iterator[list[Outcome]]:
        from ..image.decode import WAITING_PER_WORKER, decode_all, decode_image

        ahead = SERIES_AHEAD if self.read else WAITING_PER_WORKER
        decoded = decode_all((Path(item) for part in parts for item in part), workers, self.read or decode_image, ahead)
        for part in parts:
            images = islice(decoded, len(part))
            if self.read:  # a part of series would not fit into memory
                yield [image if isinstance(image, UnreadableItem) else model.encode(image) for image in images]
            else:
                yield _rows_of_images(model, list(images))


def _rows_of_images(model: ImageEncoder, images: Sequence[Any]) -> list[Outcome]:
    """Return one row ``[1, D]`` for every image that could be decoded; these are encoded together."""
    readable = [image for image in images if not isinstance(image, UnreadableItem)]
    vectors = iter(model.encode(np.stack(readable)) if readable else ())  # [n, D]
    return [image if isinstance(image, UnreadableItem) else next(vectors)[None] for image in images]
