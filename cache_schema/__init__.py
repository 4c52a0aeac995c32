"""What a feature cache is: how it is laid out, written, read and verified. Needs neither torch nor the other rooms."""

from .elements import Column, ColumnRole, ModalityKind, ModalitySpec, Task, TaskKind
from .errors import (
    CacheChangedError,
    CacheError,
    CacheLockedError,
    CacheNotFoundError,
    CorruptCacheError,
    InputError,
    MissingInputError,
    OmniFuseError,
    UnknownVersionError,
)
from .layout import SCHEMA_VERSION
from .lock import cache_lock
from .ragged import RaggedArray, offsets_of, row_indices
from .read import FeatureCache, Modality
from .recipe import Recipe, canonical_json, difference, digest, digest_file
from .verify import Finding, Verification, damaged_files, verify_cache
from .write import Commit, StagedCache, write_extraction_report

__all__ = [
    "SCHEMA_VERSION",
    "CacheChangedError",
    "CacheError",
    "CacheLockedError",
    "CacheNotFoundError",
    "Column",
    "ColumnRole",
    "Commit",
    "CorruptCacheError",
    "FeatureCache",
    "Finding",
    "InputError",
    "MissingInputError",
    "Modality",
    "ModalityKind",
    "ModalitySpec",
    "OmniFuseError",
    "RaggedArray",
    "Recipe",
    "StagedCache",
    "Task",
    "TaskKind",
    "UnknownVersionError",
    "Verification",
    "cache_lock",
    "canonical_json",
    "damaged_files",
    "difference",
    "digest",
    "digest_file",
    "offsets_of",
    "row_indices",
    "verify_cache",
    "write_extraction_report",
]
