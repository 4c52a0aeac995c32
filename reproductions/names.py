"""Which publications are described, each by a file of this folder."""

from pathlib import Path

FOLDER = Path(__file__).parent


def reproduction_names() -> list[str]:
    """Return the names of the studies that are described."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))
