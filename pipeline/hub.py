"""Files of the Hugging Face hub."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

TIMEOUT_SECONDS = 5.0


def fetch_from_hub(repository: str, files: Sequence[str]) -> Path:
    """Fetch the files that fit the patterns ``files`` and return their folder; raises :class:`OSError` if it cannot.

    One short question comes first, because a download tries again for half a minute.
    """
    from huggingface_hub import constants, snapshot_download

    if not constants.HF_HUB_OFFLINE:
        address = f"{constants.ENDPOINT}/api/models/{quote(repository)}"
        urlopen(address, timeout=TIMEOUT_SECONDS).close()  # noqa: S310  (the scheme is the hub's own)
    return Path(snapshot_download(repository, allow_patterns=list(files)))


def first_line(error: OSError) -> str:
    """Return what an error says, without the advice that follows."""
    return str(error).partition("\n")[0].rstrip(". ")
