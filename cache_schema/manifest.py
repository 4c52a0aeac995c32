"""The manifest: what a complete cache consists of, file by file, with checksums. It is always written last."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .errors import CacheNotFoundError, CorruptCacheError, UnknownVersionError
from .layout import MANIFEST_FILE, METADATA_FILE, SCHEMA_VERSION
from .recipe import digest, digest_file


@dataclass(frozen=True)
class StoredFile:
    """Size and sha256 of one file."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Node:
    """A group (its metadata file) or an array (metadata and chunks) of the cache."""

    kind: str
    files: dict[str, StoredFile]
    """By path relative to the node."""

    @property
    def bytes(self) -> int:
        """Bytes on disk of all files of the node."""
        return sum(file.bytes for file in self.files.values())

    @property
    def checksum(self) -> str:
        """One digest for the whole node."""
        return digest({name: file.sha256 for name, file in self.files.items()})


@dataclass(frozen=True)
class Manifest:
    """All nodes of a cache by path (the root group is ``""``) and the keys that decide what must be done again."""

    nodes: dict[str, Node]
    keys: dict[str, Any] = field(default_factory=dict)
    """For the cohort and each modality: recipe and digests of the inputs, readable."""
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """Return the text of ``manifest.json``."""
        nodes = {
            path: {
                "kind": node.kind,
                "bytes": node.bytes,
                "sha256": node.checksum,
                "files": {name: asdict(file) for name, file in sorted(node.files.items())},
            }
            for path, node in sorted(self.nodes.items())
        }
        content = {"schema_version": self.schema_version, "keys": self.keys, "nodes": nodes}
        return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def describe_tree(root: Path) -> dict[str, Node]:
    """Return every zarr node below a folder with the checksums of its files. Reads all bytes once."""
    nodes = {}
    for metadata in sorted(root.rglob(METADATA_FILE)):
        folder = metadata.parent
        kind = json.loads(metadata.read_text())["node_type"]
        files = [metadata] if kind == "group" else sorted(path for path in folder.rglob("*") if path.is_file())
        path = folder.relative_to(root).as_posix()
        nodes["" if path == "." else path] = Node(
            kind,
            {file.relative_to(folder).as_posix(): StoredFile(file.stat().st_size, digest_file(file)) for file in files},
        )
    return nodes


def read_manifest(root: Path) -> Manifest:
    """Read ``manifest.json`` of a cache folder.

    Raises
    ------
    CacheNotFoundError
        If the folder or its manifest is missing: nothing is there, or an extraction has not finished.
    UnknownVersionError
        If the schema version is not one that this version of OmniFuse reads.
    CorruptCacheError
        If the file cannot be read as a manifest.
    """
    path = root / MANIFEST_FILE
    if not path.is_file():
        raise CacheNotFoundError(_absence(root))
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["schema_version"]
        check_version(version, path)
        nodes = {
            name: Node(node["kind"], {file: StoredFile(**stored) for file, stored in node["files"].items()})
            for name, node in content["nodes"].items()
        }
        return Manifest(nodes, content["keys"], version)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptCacheError(f"{path} is not a manifest ({error!r}). Run `omnifuse extract` again.") from error


def check_version(version: object, where: Path | str) -> None:
    """Raise :class:`UnknownVersionError` unless this version of OmniFuse reads the schema version."""
    if version != SCHEMA_VERSION:
        raise UnknownVersionError(
            f"{where} has cache schema version {version!r}; this OmniFuse reads version {SCHEMA_VERSION}. "
            "Update OmniFuse, or extract the cache again."
        )


def _absence(root: Path) -> str:
    if not root.exists():
        return f"There is no cache at {root}. Make one with `omnifuse extract`, or name another with --cache."
    if not (root / METADATA_FILE).is_file():
        return f"{root} is not an OmniFuse cache (it has no {METADATA_FILE}). Name the folder that `extract` wrote."
    return f"The cache {root} is incomplete (it has no {MANIFEST_FILE}). Run the same `omnifuse extract` again."


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Write ``manifest.json`` so that it is either there whole or not at all."""
    write_durably(root / MANIFEST_FILE, manifest.to_json().encode())


def write_durably(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, flush it to disk and rename it into place."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    flush_folder(path.parent)


def flush_folder(path: Path) -> None:
    """Flush a folder's own entries to disk, so that a rename survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
