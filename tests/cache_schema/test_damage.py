"""A damaged cache is never read as another one: every reader gives what was written, or says that it cannot."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omnifuse.cache_schema import (
    CacheError,
    CorruptCacheError,
    FeatureCache,
    StagedCache,
    damaged_files,
    digest_file,
    layout,
    verify_cache,
)
from omnifuse.cache_schema.files import StoredFile
from omnifuse.cache_schema.manifest import Manifest, describe_tree, read_manifest, write_manifest

from . import archive
from .conftest import stage
from .damage import DAMAGES, edit_json, read_all

KEYS = {"cohort": {"limit": None}}
EXAMPLES = int(os.environ.get("OMNIFUSE_DAMAGES", "3"))
"""Of each kind of damage; `benchmarks/fuzz_cache.py` tries many."""

LONGEST_MESSAGE = 500


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The toy cache with two rows of reports a chunk, and what every reader finds in it."""
    path = tmp_path_factory.mktemp("whole") / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "CHUNK_BYTES", 16)
        stage(path).commit(KEYS)
    return path, read_all(path)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@settings(max_examples=EXAMPLES, deadline=None)
@given(random=st.randoms())
def test_every_reader_gives_what_was_written_or_refuses(
    whole: tuple[Path, dict[str, Any]], damage: Callable[[Path, Random], str], random: Random
) -> None:
    original, expected = whole
    with TemporaryDirectory() as folder:
        path = Path(folder) / "cache"
        shutil.copytree(original, path)
        damage(path, random)
        found = read_all(path)
        refusals = {name: error for name, error in found.items() if isinstance(error, CacheError)}
        assert found == expected | refusals
        assert max(map(len, map(str, refusals.values())), default=0) < LONGEST_MESSAGE + len(str(path))
        assert not (refusals and passes(path))


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_laying_a_damaged_cache_out_again_mends_it(
    whole: tuple[Path, dict[str, Any]], damage: Callable[[Path, Random], str], tmp_path: Path
) -> None:
    original, _ = whole
    path = tmp_path / "cache"
    shutil.copytree(original, path)
    damage(path, Random(7))
    stage(path).commit(KEYS)
    assert passes(path)


def passes(path: Path) -> bool:
    try:
        return verify_cache(path).passed
    except CacheError:
        return False


def edit(path: Path, **changes: Any) -> None:
    """Change fields of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_swapped_chunks_are_not_read(whole: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    path = tmp_path / "cache"
    shutil.copytree(whole[0], path)
    first, second = (path / "modalities/rep/values/c" / number / "0" for number in "01")
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    cache = FeatureCache.open(path)
    for read in (lambda: cache.modality("rep"), lambda: cache.rows("rep", 3, 4), lambda: cache.to_torch("mortality")):
        with pytest.raises(
            CorruptCacheError, match=r"c/[01]/0 differs from what was written.*`omnifuse extract` again"
        ):
            read()
    np.testing.assert_array_equal(cache.rows("rep", 4, 5), [[16, 17, 18, 19]])  # its chunk is as it was


def test_edited_metadata_of_the_same_size_are_not_read(cache_path: Path) -> None:
    metadata = cache_path / "modalities/ehr/zarr.json"
    content = metadata.read_bytes()
    metadata.write_bytes(content.replace(b"beats/min", b"beats/day"))
    cache = FeatureCache.open(cache_path)
    with pytest.raises(CorruptCacheError, match=r"ehr/zarr.json differs from what was written"):
        cache.modality_spec("ehr")
    assert [finding.file for finding in damaged_files(cache_path)] == ["modalities/ehr/zarr.json"]


def test_the_root_is_compared_when_a_cache_is_opened(cache_path: Path) -> None:
    metadata = cache_path / "zarr.json"
    metadata.write_bytes(metadata.read_bytes().replace(b'"toy"', b'"tot"'))
    with pytest.raises(CorruptCacheError, match=r"zarr.json differs from what was written"):
        FeatureCache.open(cache_path)


def test_a_task_that_was_dropped_from_the_manifest_is_missed(cache_path: Path) -> None:
    manifest = cache_path / "manifest.json"
    nodes = json.loads(manifest.read_text())["nodes"]
    edit(manifest, nodes={name: node for name, node in nodes.items() if not name.startswith("tasks/")})
    with pytest.raises(CorruptCacheError, match=r"manifest.json is damaged \(ValueError: it was edited\)\. Remove it"):
        FeatureCache.open(cache_path)


def test_a_manifest_of_before_it_had_a_checksum_is_read(cache_path: Path) -> None:
    manifest = cache_path / "manifest.json"
    content = json.loads(manifest.read_text())
    del content["sha256"]
    manifest.write_text(json.dumps(content))
    assert FeatureCache.open(cache_path).tasks == ("mortality",)
    content["nodes"]["tasks/mortality"]["files"] = {}  # each node had a checksum from the beginning
    manifest.write_text(json.dumps(content))
    with pytest.raises(CorruptCacheError, match="tasks/mortality was edited"):
        FeatureCache.open(cache_path)


@pytest.mark.parametrize("path", ["../elsewhere", "/etc/passwd", "a/../../b", "nul\0"])
def test_a_manifest_names_nothing_outside_of_its_cache(cache_path: Path, path: str) -> None:
    manifest = read_manifest(cache_path)
    write_manifest(cache_path, Manifest({**manifest.nodes, path: manifest.nodes["tasks/mortality/y"]}))
    with pytest.raises(CorruptCacheError, match="leads outside"):
        FeatureCache.open(cache_path)


def test_a_link_is_neither_read_nor_verified_nor_kept(
    cache_path: Path, tmp_path: Path, staged: Callable[..., StagedCache]
) -> None:
    y = cache_path / "tasks/mortality/y"
    y.rename(tmp_path / "outside")
    y.symlink_to(tmp_path / "outside")
    cache = FeatureCache.open(cache_path)
    with pytest.raises(CorruptCacheError, match="is a link, or lies below one"):
        cache.task("mortality")
    assert {finding.file for finding in verify_cache(cache_path).findings} >= {"tasks/mortality/y"}
    assert "tasks/mortality/y" in staged(cache_path).commit(KEYS).written
    assert (tmp_path / "outside/zarr.json").exists() and not y.is_symlink()
    assert verify_cache(cache_path).passed


def test_a_cache_whose_description_is_damaged_can_be_laid_out_anew(
    cache_path: Path, staged: Callable[..., StagedCache]
) -> None:
    (cache_path / "zarr.json").write_bytes(b"\xff\x00")
    (cache_path / "manifest.json").unlink()  # as the message says
    staged(cache_path).commit(KEYS)
    assert verify_cache(cache_path).passed


def test_an_archive_without_a_checksum_is_what_version_1_is(tmp_path: Path) -> None:
    """What was written before manifests had one differs in nothing else."""
    archive.write(tmp_path / "cache")
    content = json.loads((tmp_path / "cache/manifest.json").read_text())
    assert content.keys() == {"schema_version", "keys", "nodes", "sha256"}


@settings(max_examples=5 * EXAMPLES, deadline=None)
@given(random=st.randoms())
def test_metadata_that_mean_nothing_are_refused_even_where_their_checksum_is_right(
    whole: tuple[Path, dict[str, Any]], random: Random
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "cache"
        shutil.copytree(whole[0], path)
        metadata = random.choice(sorted(path.rglob("zarr.json")))
        edit_json(metadata, random)
        manifest, place = read_manifest(path), metadata.parent.relative_to(path).as_posix()
        node = manifest.nodes["" if place == "." else place]
        node.files["zarr.json"] = StoredFile(metadata.stat().st_size, digest_file(metadata))
        write_manifest(path, manifest)
        read_all(path)  # whatever is no CacheError is raised
        passes(path)


@pytest.mark.parametrize("rows", [10**9, 10**13, 10**30])
def test_an_array_that_claims_more_than_its_files_hold_is_refused_before_memory_is_taken(
    cache_path: Path, rows: int
) -> None:
    metadata = cache_path / "modalities/rep/values/zarr.json"
    edit(metadata, shape=[rows, 4])
    write_manifest(cache_path, Manifest(describe_tree(cache_path)))
    with pytest.raises(CorruptCacheError, match=r"it claims \d+ chunks and has 1"):
        FeatureCache.open(cache_path).modality("rep")


def test_a_mask_that_is_shorter_than_its_column_is_refused(cache_path: Path) -> None:
    mask = cache_path / "modalities/rep/items/view_position__valid/zarr.json"
    edit(mask, shape=[2])
    write_manifest(cache_path, Manifest(describe_tree(cache_path)))
    with pytest.raises(CorruptCacheError, match="modalities/rep/items cannot be read"):
        FeatureCache.open(cache_path).items("rep")
