"""The manifest: what a complete cache consists of, file by file, with checksums. It is always written last."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from .errors import CacheNotFoundError, CorruptCacheError, UnknownVersionError
from .files import StoredFile, entries_below, write_durably
from .layout import MANIFEST_FILE, METADATA_FILE, READ_VERSIONS, SCHEMA_VERSION
from .recipe import digest, digest_file

FIELDS = {"schema_version", "keys", "nodes"}
"""What the first manifests held; later ones also have ``sha256``, a digest of everything else."""


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

    @property
    def files(self) -> dict[str, StoredFile]:
        """Every file by its path relative to the cache."""
        return {
            (PurePosixPath(path) / name).as_posix(): stored
            for path, node in self.nodes.items()
            for name, stored in node.files.items()
        }

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
        checksum = digest(json.loads(json.dumps(content)))  # of what a reader will find
        return json.dumps({**content, "sha256": checksum}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def describe_tree(root: Path) -> dict[str, Node]:
    """Return every zarr node below a folder that was just written, with the checksums of its files. Reads all bytes."""
    nodes = {}
    for metadata in sorted(file for file in entries_below(root) if file.name == METADATA_FILE):
        folder = metadata.parent
        kind = json.loads(metadata.read_text(encoding="utf-8"))["node_type"]
        files = [metadata] if kind == "group" else sorted(entries_below(folder))
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
    return parse_manifest(manifest_bytes(root), root / MANIFEST_FILE)


def manifest_bytes(root: Path) -> bytes:
    """Return the content of ``manifest.json``; raises :class:`CacheNotFoundError` as :func:`read_manifest`."""
    path = root / MANIFEST_FILE
    if not path.is_file():
        raise CacheNotFoundError(_absence(root))
    return path.read_bytes()


def parse_manifest(text: bytes, path: Path) -> Manifest:
    """Return the manifest that a file holds; raises as :func:`read_manifest`."""
    try:
        content = json.loads(text.decode("utf-8"))
        check_version(content["schema_version"], path)
        _check_sum(content)
        nodes = {name: _node(name, node) for name, node in content["nodes"].items()}
        return Manifest(nodes, dict(content["keys"]), content["schema_version"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"[:80]
        raise CorruptCacheError(f"{path} is damaged ({reason}). Remove it and run `omnifuse extract` again.") from error


def _check_sum(content: dict[str, Any]) -> None:
    """Raise :class:`ValueError` if a manifest was edited, or is not a manifest at all."""
    rest = {name: value for name, value in content.items() if name != "sha256"}
    if "sha256" in content and content["sha256"] != digest(rest):
        raise ValueError("it was edited")
    if "sha256" not in content and rest.keys() != FIELDS:
        raise ValueError("unknown fields")


def _node(path: str, content: dict[str, Any]) -> Node:
    node = Node(content["kind"], {name: StoredFile(**stored) for name, stored in content["files"].items()})
    for name in ((PurePosixPath(path) / file) for file in node.files):
        if name.is_absolute() or ".." in name.parts or b"\0" in os.fsencode(name):
            raise ValueError("a path leads outside")
    if content["sha256"] != node.checksum:
        raise ValueError(f"{path} was edited")
    return node


def check_version(version: object, where: Path | str) -> None:
    """Raise :class:`UnknownVersionError` unless this version of OmniFuse reads the schema version."""
    if type(version) is not int or version not in READ_VERSIONS:
        known = " and ".join(map(str, READ_VERSIONS))
        raise UnknownVersionError(
            f"{where} has cache schema version {version!r:.20}; this OmniFuse reads versions {known}. "
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
