"""Compressed tables that were cut or damaged are found by reading them to their end, before any work is done."""

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from ..cache_schema import InputError

AT_ONCE = 1 << 22


def refuse_cut_files(paths: Sequence[Path]) -> None:
    """Read every ``.gz`` file to its end and its checksum; raises :class:`InputError` naming the first that is cut."""
    compressed = [path for path in paths if path.name.lower().endswith(".gz")]
    for path in tqdm(compressed, "compressed tables", disable=None):
        try:
            with gzip.open(path) as file:
                while file.read(AT_ONCE):
                    pass
        except (EOFError, OSError, zlib.error) as error:
            raise InputError(
                f"{path} cannot be read to its end: {error}. It is cut or damaged; get it again."
            ) from error
