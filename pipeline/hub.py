"""Files of the Hugging Face hub, what stands in their place where a download was not finished, and how to get them."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

from ..cache_schema import InputError

TIMEOUT_SECONDS = 5.0
LONGEST_REASON = 160

POINTER = b"version https://git-lfs"
"""Start of the few lines that a repository has in place of a large file until Git LFS fetches it."""


def fetch_from_hub(repository: str, files: Sequence[str]) -> Path:
    """Fetch the files that fit the patterns ``files`` and return their folder; raises :class:`OSError` if it cannot.

    One short question comes first, because a download tries again for half a minute.
    """
    from huggingface_hub import constants, snapshot_download

    if not constants.HF_HUB_OFFLINE:
        address = f"{constants.ENDPOINT}/api/models/{quote(repository)}"
        urlopen(address, timeout=TIMEOUT_SECONDS).close()  # noqa: S310  (the scheme is the hub's own)
    return Path(snapshot_download(repository, allow_patterns=list(files)))


def download_text(command: Sequence[str], option: Sequence[str]) -> str:
    """Return the end of a message: what to run on a machine with network, and the option for what it leaves."""
    lines = [" Or on a machine with network run", f"    {shlex.join(command)}"]
    return "\n".join([*lines, "copy what it leaves to this one, and name it:", f"    {shlex.join(option)}"])


def first_line(error: OSError) -> str:
    """Return what an error says, without the advice that follows."""
    return str(error).partition("\n")[0].rstrip(". ")


def refuse_stand_in(path: Path) -> None:
    """Raise :class:`InputError` if a file of an encoder is empty, or the pointer of Git LFS to it."""
    with path.open("rb") as file:
        start = file.read(len(POINTER))
    if not start:
        raise InputError(f"{path} is empty. Get the file again.")
    if start == POINTER:
        raise InputError(f"{path} is a pointer of Git LFS, not the file itself. Fetch it with `git lfs pull`.")


def cut(error: Exception) -> str:
    """Return the start of what an error of a library says, on one line."""
    text = " ".join(str(error).split())
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}..."
