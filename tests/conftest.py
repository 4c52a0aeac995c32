"""Fixtures that every part of the suite shares."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does


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
