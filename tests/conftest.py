"""Fixtures that every part of the suite shares."""

import importlib
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pytest
from hypothesis import settings

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

LONGEST = frozenset({
    *("test_kill.py", "test_cluster.py", "test_plugins.py", "test_packaging.py", "test_cli.py", "test_kinds.py"),
    *("test_folds.py", "test_stopped.py", "test_run.py", "test_contract.py", "test_page.py"),
})  # fmt: skip
"""Files that take longest. They come first, so that at the end nobody waits for one that has just begun."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Return a folder of real, openly licensed data below ``$OMNIFUSE_TEST_DATA``, or skip and say why."""

    def find(name: str) -> Path:
        root = os.environ.get("OMNIFUSE_TEST_DATA")
        if not root:
            pytest.skip("OMNIFUSE_TEST_DATA is not set")
        folder = Path(root) / name
        if not folder.exists():
            pytest.skip(f"{name} is not in {root}")
        return folder

    return find


@pytest.fixture(scope="session")
def write_dicom() -> Callable[..., Path]:
    """Write grey pixels ``[rows, columns]`` (uint8, uint16 or int16) as a DICOM file, with further elements by name."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    def write(path: Path, pixels: npt.NDArray[Any], **elements: Any) -> Path:
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
        dataset.Rows, dataset.Columns = pixels.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.itemsize
        dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(pixels.dtype.kind == "i")
        dataset.PixelData = pixels.tobytes()
        dataset.update(elements)
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.fixture(scope="session", autouse=True)
def digests_of_seeded_weights() -> None:
    """Digest the weights of an encoder that is seeded once; for every new cache anew it would take a second."""
    from omnifuse.pipeline.image.encoder import ImageModels
    from omnifuse.pipeline.text.encoder import Transformers

    for family in (ImageModels, Transformers):
        family.weights_digest = cache(family.weights_digest)


@pytest.fixture(scope="session")
def synthetic_raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MIMIC-IV-shaped raw folder of 60 stays with images and reports; read-only for tests."""
    from omnifuse.pipeline.synthetic import SynthSettings, write_cohort

    raw = tmp_path_factory.mktemp("synthetic") / "raw"
    write_cohort(raw, SynthSettings(stays=60, events_per_stay=40, images=30))
    return raw


@pytest.fixture(scope="session")
def synthetic_cache(synthetic_raw: Path) -> Path:
    """The cache of the synthetic raw folder, made with random encoders; read-only for tests."""
    from omnifuse.pipeline.core.plan import Encoders
    from omnifuse.pipeline.core.stages import extract
    from omnifuse.pipeline.sources import open_dataset

    cache = synthetic_raw.parent / "cache"
    dataset = open_dataset("synthetic", synthetic_raw)
    extract(dataset, cache, Encoders("random", "random"))
    return cache


@pytest.fixture(scope="session")
def trained_run(synthetic_cache: Path) -> Path:
    """A short OmniFuse run of two folds on the synthetic cache; read-only for tests."""
    from omnifuse.fusion.runs.train import train
    from omnifuse.fusion.training.config import make_config

    run = synthetic_cache.parent / "run"
    train(synthetic_cache, make_config("omnifuse", overrides=["fit.epochs=2"], task="mortality", folds=2), run)
    return run


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str, str], None]]:
    """Return what installs a package of one module with entry points, as pip leaves it; it is gone after the test."""

    from omnifuse.fusion.methods import METHODS
    from omnifuse.fusion.parts.encoders import ENCODERS

    def forget() -> None:
        for registry in (METHODS, ENCODERS):
            vars(registry).pop("offered", None)
        importlib.invalidate_caches()

    def installed(package: str, entries: str, module: str) -> None:
        information = tmp_path / package / f"{package}-1.2.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(f"Name: {package}\nVersion: 1.2\n")
        (information / "entry_points.txt").write_text(f"{entries}\n")
        (tmp_path / package / f"{package}.py").write_text(module.strip())
        monkeypatch.syspath_prepend(str(tmp_path / package))
        forget()

    yield installed
    forget()
