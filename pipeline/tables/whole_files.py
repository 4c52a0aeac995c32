"""Compressed tables that were cut or damaged are found by reading them to their end, before any work is done."""

from collections.abc import Sequence
from pathlib import Path

from ...progress import progress
from .delimited_text import reading_text

AT_ONCE = 1 << 22


def refuse_cut_files(paths: Sequence[Path]) -> None:
    """Read every ``.gz`` file to its end and its checksum; raises :class:`InputError` naming the first that is cut."""
    compressed = [path for path in paths if path.name.lower().endswith(".gz")]
    for path in progress(compressed, "compressed tables", unit="files"):
        with reading_text(path) as file:
            while file.read(AT_ONCE):
                pass
