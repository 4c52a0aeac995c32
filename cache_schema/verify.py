"""Does the cache still hold what was written? Every byte is compared with the manifest."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .errors import CacheError
from .files import MEND, entries_below, problem, quick_problem, real_path
from .layout import EXTRACTION_FILE, MANIFEST_FILE, METADATA_FILE, modality_path, task_path
from .manifest import read_manifest
from .read import StoredCache


@dataclass(frozen=True)
class Finding:
    """One file that is not what the manifest says."""

    file: str
    problem: str


@dataclass(frozen=True)
class Verification:
    """Result of a verification: how much was compared, and what was found wrong."""

    arrays: int
    files: int
    bytes: int
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether every file is as it was written."""
        return not self.findings


def verify_cache(path: Path) -> Verification:
    """Compare size and sha256 of every file of a cache with its manifest, and look for files that it does not list.

    Raises
    ------
    CacheNotFoundError, UnknownVersionError, CorruptCacheError
        If there is no readable manifest to compare with.
    """
    manifest, root = read_manifest(path), real_path(path)
    expected = manifest.files
    findings = [Finding(name, wrong) for name, stored in expected.items() if (wrong := problem(root, name, stored))]
    present = {file.relative_to(root).as_posix() for file in entries_below(root)}
    unlisted = sorted(present - expected.keys() - {MANIFEST_FILE, EXTRACTION_FILE})
    findings += [Finding(name, "is not listed in the manifest") for name in unlisted]
    arrays = sum(node.kind == "array" for node in manifest.nodes.values())
    size = sum(stored.bytes for stored in expected.values())
    return Verification(arrays, len(expected), size, tuple(findings or _misfits(path)))


def _misfits(path: Path) -> Iterator[Finding]:
    """Yield what was written as it is, but does not fit together: names and columns, items and rows, labels."""
    try:
        cache = StoredCache.open(path)
    except CacheError as error:
        yield Finding(METADATA_FILE, f"cannot be used: {error}")
        return
    reads: dict[str, Callable[[], object]] = {"samples": lambda: cache.samples, "splits": lambda: cache.splits}
    reads |= {modality_path(name): partial(cache.row_numbers, name) for name in cache.modalities}
    reads |= {task_path(name): partial(cache.task, name) for name in cache.tasks}
    for place, read in reads.items():
        try:
            read()
        except CacheError as error:
            yield Finding(place, f"does not fit together: {error.__cause__ or error}")


def damaged_files(path: Path) -> tuple[Finding, ...]:
    """Return the metadata that differ from what was written, and the chunks that are missing or of the wrong size.

    A quick look that reads no data.
    """
    root = real_path(path)
    return tuple(
        Finding(name, wrong)
        for name, stored in read_manifest(path).files.items()
        if (wrong := (problem if name.endswith(METADATA_FILE) else quick_problem)(root, name, stored))
    )


def verification_text(result: Verification) -> str:
    """Return the result in words, one line for each finding."""
    scope = f"{result.arrays} arrays, {result.files} files, {result.bytes / 2**20:,.1f} MiB"
    if result.passed:
        return f"Every byte is as it was written: {scope}."
    lines = [f"{len(result.findings)} of {scope} are damaged:"]
    lines += [f"  {finding.file} {finding.problem}" for finding in result.findings]
    return "\n".join([*lines, MEND])
