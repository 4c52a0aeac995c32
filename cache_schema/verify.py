"""Does the cache still hold what was written? Every byte is compared with the manifest."""

from dataclasses import dataclass
from pathlib import Path

from .layout import EXTRACTION_FILE, MANIFEST_FILE
from .manifest import StoredFile, read_manifest
from .recipe import digest_file

MEND = "To lay the cache out anew, remove its manifest.json and run the same `omnifuse extract` again."
"""A later extraction looks at sizes only; without the manifest it trusts nothing that is there."""


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
    manifest = read_manifest(path)
    expected = {
        (Path(node_path) / name).as_posix(): stored
        for node_path, node in manifest.nodes.items()
        for name, stored in node.files.items()
    }
    findings = [
        Finding(name, problem) for name, stored in expected.items() if (problem := _problem(path / name, stored))
    ]
    present = {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()}
    unlisted = sorted(present - expected.keys() - {MANIFEST_FILE, EXTRACTION_FILE})
    findings += [Finding(name, "is not listed in the manifest") for name in unlisted]
    arrays = sum(node.kind == "array" for node in manifest.nodes.values())
    return Verification(arrays, len(expected), sum(stored.bytes for stored in expected.values()), tuple(findings))


def _problem(file: Path, stored: StoredFile) -> str | None:
    wrong_size = size_problem(file, stored)
    if wrong_size:
        return wrong_size
    return None if digest_file(file) == stored.sha256 else "differs from what was written (sha256)"


def size_problem(file: Path, stored: StoredFile) -> str | None:
    """Return what is wrong with a file without reading it: missing, or another size than the manifest says."""
    if not file.is_file():
        return "is missing"
    size = file.stat().st_size
    return None if size == stored.bytes else f"has {size} bytes instead of {stored.bytes}"


def damaged_files(path: Path) -> tuple[Finding, ...]:
    """Return the files that are missing or have the wrong size; a quick look that reads no data."""
    manifest = read_manifest(path)
    return tuple(
        Finding((Path(node_path) / name).as_posix(), problem)
        for node_path, node in manifest.nodes.items()
        for name, stored in node.files.items()
        if (problem := size_problem(path / node_path / name, stored))
    )


def verification_text(result: Verification) -> str:
    """Return the result in words, one line for each finding."""
    scope = f"{result.arrays} arrays, {result.files} files, {result.bytes / 2**20:,.1f} MiB"
    if result.passed:
        return f"Every byte is as it was written: {scope}."
    lines = [f"{len(result.findings)} of {scope} are damaged:"]
    lines += [f"  {finding.file} {finding.problem}" for finding in result.findings]
    return "\n".join([*lines, MEND])
