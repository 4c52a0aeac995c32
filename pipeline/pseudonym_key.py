"""The secret key of a cache with pseudonyms, in ``<cache>.key``: without it nobody makes the same ones again."""

import secrets
from hashlib import sha256
from pathlib import Path

from ..cache_schema import CacheError, InputError, Manifest, cache_lock, digest, read_manifest, write_durably

KEY_BYTES = 32
SETTING = "pseudonyms"
"""Where the settings of a data set tell which key it was."""


def secret_key(cache: Path, *, keep: bool) -> bytes:
    """Return the key of a cache, or a new one, which is written with ``keep``, readable by its owner alone.

    Behind the key stands its sha256; a file of the key alone, made by somebody else, is taken as it is.

    Raises
    ------
    InputError
        If the file is damaged, or the cache was made with another key: a new one would give everybody another name.
    CacheLockedError
        If the key is to be made and an extraction is writing the cache.
    """
    file = cache.with_name(f"{cache.name}.key")
    if not file.exists():
        _check(cache, file, None)
        key = secrets.token_bytes(KEY_BYTES)
        if keep:
            with cache_lock(cache):
                write_durably(file, key + sha256(key).digest(), mode=0o600)
        return key
    content = file.read_bytes()
    key, check = content[:KEY_BYTES], content[KEY_BYTES:]
    if len(key) < KEY_BYTES or check not in (b"", sha256(key).digest()):
        raise InputError(
            f"{file} is damaged ({len(content)} bytes), and no other key makes the same pseudonyms. Restore it from a "
            "copy, or remove it and the cache to begin with new ones."
        )
    _check(cache, file, key)
    return key


def digest_of(key: bytes) -> str:
    """Return what the settings say of a key."""
    return digest(key.hex())


def made_with(manifest: Manifest) -> str | None:
    """Return :func:`digest_of` the key that a cache was made with, None of a cache without pseudonyms."""
    settings = manifest.keys.get("cohort", {}).get("settings", {})
    value: str | None = settings.get(SETTING)
    return value


def _check(cache: Path, file: Path, key: bytes | None) -> None:
    """Raise unless the complete cache that there may be was made with this key, or without any."""
    try:
        made = made_with(read_manifest(cache))
    except CacheError:
        return
    if made not in (None, None if key is None else digest_of(key)):
        problem = "is gone" if key is None else "is not the key"
        raise InputError(
            f"{file} {problem} that {cache} was made with, and no other makes the same pseudonyms. Restore it from a "
            "copy, or remove the cache to begin with new ones."
        )
