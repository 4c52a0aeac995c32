"""The second stage: every distinct image and text through its frozen encoder, once, into parts."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from .parts import Rows
from .plan import PlannedItems
from .source import UnreadableItem


def encode_items(planned: PlannedItems, workers: int) -> None:
    """Encode what has no part yet.

    ``workers`` processes decode images beside the encoder, 0 decodes in this process. Killed at any time, only the part
    in work is lost.
    """
    parts = planned.store.unfinished(planned.digests)
    if not parts:
        return
    path_of = dict(planned.unique.iter_rows())
    modality = planned.modality
    if modality.texts is not None:
        encoded = _encode_texts(parts, planned.encoder, modality.texts.__getitem__)
    elif (read_text := modality.read_text) is not None:
        encoded = _encode_texts(parts, planned.encoder, lambda item: read_text(Path(path_of[item])))
    else:
        encoded = _encode_images([[Path(path_of[item]) for item in part] for part in parts], planned.encoder, workers)
    total, unit = sum(map(len, parts)), modality.content
    with tqdm(total=total, desc=modality.name, unit=unit, disable=None) as bar:
        for part, outcomes in zip(parts, encoded, strict=True):
            pairs = zip(part, outcomes, strict=True)
            failed = {item: str(outcome) for item, outcome in pairs if isinstance(outcome, UnreadableItem)}
            planned.store.write(part, _with_empty(outcomes), failed)
            bar.update(len(part))


Outcome = Rows | UnreadableItem


def _encode_images(parts: Sequence[Sequence[Path]], name: str, workers: int) -> Iterator[list[Outcome]]:
    """Yield for each part the row ``[1, D]`` of every image, or why it has none."""
    from .image.decode import decode_all
    from .image.encoder import ImageEncoder

    encoder = ImageEncoder(name)
    decoded = decode_all([path for part in parts for path in part], workers)
    for part in parts:
        images = list(islice(decoded, len(part)))
        readable = [image for image in images if not isinstance(image, UnreadableItem)]
        vectors = iter(encoder.encode(np.stack(readable)) if readable else ())  # [n, D]
        yield [image if isinstance(image, UnreadableItem) else next(vectors)[None] for image in images]


def _encode_texts(parts: Sequence[Sequence[str]], name: str, text_of: Callable[[str], str]) -> Iterator[list[Outcome]]:
    """Yield for each part the token rows ``[tokens, D]`` of every text."""
    from .text.encoder import TextEncoder

    encoder = TextEncoder(name)
    for part in parts:
        yield list(encoder.encode([text_of(item) for item in part]))


def _with_empty(outcomes: Sequence[Outcome]) -> list[Rows]:
    """Return the rows of all items of a part, no rows for those that failed."""
    dim = next((outcome.shape[1] for outcome in outcomes if not isinstance(outcome, UnreadableItem)), 0)
    empty = np.empty((0, dim), np.float16)
    return [empty if isinstance(outcome, UnreadableItem) else outcome for outcome in outcomes]
