"""What a feature cache is: how it is laid out, written, read and verified. Needs neither torch nor the other rooms."""

from .aligned import AlignedCache
from .compare import Comparison, compare_caches, comparison_text
from .elements import CLASS_KINDS, Column, ColumnRole, ModalityKind, ModalitySpec, Task, TaskKind, by_preference
from .errors import (
    CacheChangedError,
    CacheError,
    CacheLockedError,
    CacheNotFoundError,
    CorruptCacheError,
    InputError,
    LockedError,
    MissingInputError,
    OmniFuseError,
    UnknownVersionError,
    meant,
    naming,
    shown,
    system_reason,
    unknown,
)
from .feature_cache import FeatureCache
from .files import write_durably
from .info import cache_text, describe_cache
from .join import Joined, join_caches, renamed_here
from .layout import EXTRACTION_FILE, SCHEMA_VERSION
from .lock import cache_lock, folder_lock
from .manifest import Manifest, read_manifest
from .ragged import Modality, RaggedArray, offsets_of, row_indices
from .recipe import Recipe, canonical_json, difference, digest, digest_file
from .selection import input_rows, known_rows
from .verify import Finding, Verification, damaged_files, verification_text, verify_cache
from .write import Commit, StagedCache, refuse_foreign_folder

__all__ = [
    "CLASS_KINDS",
    "EXTRACTION_FILE",
    "SCHEMA_VERSION",
    "AlignedCache",
    "CacheChangedError",
    "CacheError",
    "CacheLockedError",
    "CacheNotFoundError",
    "Column",
    "ColumnRole",
    "Commit",
    "Comparison",
    "CorruptCacheError",
    "FeatureCache",
    "Finding",
    "InputError",
    "Joined",
    "LockedError",
    "Manifest",
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
    "by_preference",
    "cache_lock",
    "cache_text",
    "canonical_json",
    "compare_caches",
    "comparison_text",
    "damaged_files",
    "describe_cache",
    "difference",
    "digest",
    "digest_file",
    "folder_lock",
    "input_rows",
    "join_caches",
    "known_rows",
    "meant",
    "naming",
    "offsets_of",
    "read_manifest",
    "refuse_foreign_folder",
    "renamed_here",
    "row_indices",
    "shown",
    "system_reason",
    "unknown",
    "verification_text",
    "verify_cache",
    "write_durably",
]
