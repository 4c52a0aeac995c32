"""Damaged images of every format: grey levels or a reason, and nothing else.

``benchmarks/fuzz_images.py`` runs the same on many more examples.
"""

import gzip
import io
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omnifuse.pipeline.image.decode import decode_image
from omnifuse.pipeline.image.dicom import read_header
from omnifuse.pipeline.image.slices import read_ct, read_pet
from omnifuse.pipeline.source import UnreadableItem
from PIL import Image
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    PositronEmissionTomographyImageStorage,
)

EXAMPLES = int(os.environ.get("OMNIFUSE_FUZZ_EXAMPLES", "15"))

PLANE = np.arange(96, dtype=np.uint8).reshape(12, 8)
EXIF_OF_A_PHONE = Image.Exif()
EXIF_OF_A_PHONE[0x112] = 6

INTERESTING = [0, 1, 2, 127, 128, 255, 256, 32767, 32768, 65535, 2**31 - 1, 2**31, 2**32 - 1]

thorough = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def picture(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def dicom(syntax: str = ExplicitVRLittleEndian, **elements: Any) -> bytes:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, "1.2.3.4"
    pixels = PLANE.astype(np.int16) * 20
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.PixelData = pixels.tobytes()
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.PixelPaddingValue = 1, -1024, 0
    dataset.ImageOrientationPatient, dataset.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 0]
    dataset.update(elements)
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def packaged(name: str) -> bytes:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    return Path(path).read_bytes()


def table() -> list[Dataset]:
    item = Dataset()
    item.LUTDescriptor, item.LUTData = [4, 0, 8], bytes([0, 90, 180, 255])
    return [item]


GREY, COLOURS = Image.fromarray(PLANE), Image.fromarray(np.stack([PLANE] * 3, axis=2))
IMAGES: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: picture(COLOURS, "JPEG", exif=EXIF_OF_A_PHONE),
    "progressive jpeg": lambda: picture(GREY, "JPEG", progressive=True),
    "png": lambda: picture(COLOURS, "PNG", exif=EXIF_OF_A_PHONE),
    "png of 16 bits": lambda: picture(Image.fromarray(PLANE.astype(np.uint16) * 600), "PNG"),
    "tiff": lambda: picture(GREY, "TIFF"),
    "tiff of floats": lambda: picture(Image.fromarray(PLANE.astype(np.float32)), "TIFF"),
    "compressed tiff": lambda: picture(COLOURS, "TIFF", compression="tiff_lzw"),
    "bmp": lambda: picture(COLOURS, "BMP"),
    "gif": lambda: picture(GREY, "GIF"),
    "dicom": dicom,
    "implicit dicom": lambda: dicom(ImplicitVRLittleEndian, WindowCenter=40, WindowWidth=400),
    "deflated dicom": lambda: dicom(DeflatedExplicitVRLittleEndian),
    "dicom with tables": lambda: dicom(VOILUTSequence=table(), ModalityLUTSequence=table()),
    "jpeg in dicom": lambda: packaged("SC_rgb_small_odd_jpeg.dcm"),
    "jpeg 2000 in dicom": lambda: packaged("MR_small_jp2klossless.dcm"),
    "rle in dicom": lambda: packaged("MR_small_RLE.dcm"),
}
bytes_of = cache(lambda kind: IMAGES[kind]())


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Change single bytes, or whole header fields of 2 or 4 bytes, repeat or take out a piece, cut the end."""
    bytes_ = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.one_of(st.integers(0, min(len(bytes_), 700) - 1), st.integers(0, len(bytes_) - 1)))
        match draw(st.sampled_from(["flip", "field", "field", "take out", "repeat"])):
            case "flip":
                bytes_[at] ^= draw(st.integers(1, 255))
            case "field":
                form = draw(st.sampled_from(["<H", ">H", "<I", ">I"]))
                value = draw(st.sampled_from(INTERESTING)) % (1 << 8 * struct.calcsize(form))
                bytes_[at : at + struct.calcsize(form)] = struct.pack(form, value)
            case "take out":
                del bytes_[at : at + draw(st.integers(1, 9))]
            case "repeat":
                bytes_[at:at] = bytes_[at : at + draw(st.integers(1, 99))]
        bytes_ = bytes_ or bytearray(b"\0")
    return bytes(bytes_[: draw(st.one_of(st.none(), st.integers(0, len(bytes_))))])


def grey_or_reason(read: Callable[[Path], Any], path: Path, shape: tuple[int, ...]) -> None:
    try:
        grey = read(path)
    except UnreadableItem as reason:
        assert 0 < len(str(reason)) < 200
    else:
        assert (grey.dtype, grey.shape[-2:]) == (np.uint8, shape)


@pytest.mark.parametrize("kind", IMAGES)
def test_the_image_is_readable_before_it_is_damaged(tmp_path: Path, kind: str) -> None:
    (tmp_path / "image").write_bytes(bytes_of(kind))
    assert decode_image(tmp_path / "image").max() > 0


@pytest.mark.parametrize("kind", IMAGES)
@thorough
@given(data=st.data())
def test_a_damaged_image_gives_grey_levels_or_a_reason(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    path = tmp_path / "image"
    path.write_bytes(data.draw(damaged(bytes_of(kind))))
    grey_or_reason(decode_image, path, (224, 224))


@thorough
@given(data=st.data())
def test_a_damaged_header_gives_text_or_a_reason(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "image.dcm"
    path.write_bytes(data.draw(damaged(bytes_of("dicom"))))
    with suppress(UnreadableItem):
        assert all(isinstance(text, str) for text in read_header(path, ["Modality", "StudyDate", "PixelPaddingValue"]))


VALUES = st.one_of(
    st.none(),
    st.sampled_from([0, -1, 1e308, -1e308, 1e-308, float("nan"), float("inf"), 65536, 2**31]),
    st.floats(-1e9, 1e9),
)


@thorough
@given(slope=VALUES, intercept=VALUES, centre=VALUES, width=VALUES, padding=st.integers(-(2**15), 2**15 - 1))
def test_numbers_of_a_header_that_cannot_be_meant_give_no_image_or_a_whole_one(
    tmp_path: Path,
    slope: float | None,
    intercept: float | None,
    centre: float | None,
    width: float | None,
    padding: int,
) -> None:
    named = {"RescaleSlope": slope, "RescaleIntercept": intercept, "WindowCenter": centre, "WindowWidth": width}
    content = dicom(**dict.fromkeys(named), PixelPaddingValue=padding)
    for name, value in named.items():
        if value is not None:
            content = filled(content, name, f"{value:.8g}")
    path = tmp_path / "image.dcm"
    path.write_bytes(content)
    grey_or_reason(decode_image, path, (224, 224))


def filled(content: bytes, name: str, text: str) -> bytes:
    """Put a text where an element is empty, as pydicom would refuse to write it."""
    tag = tag_for_keyword(name)
    assert tag is not None
    head, value = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, b"DS"), text.encode() + b" " * (len(text) % 2)
    assert head + b"\0\0" in content
    return content.replace(head + b"\0\0", head + struct.pack("<H", len(value)) + value)


def nifti(kind: Any = np.int16) -> bytes:
    volume = (np.arange(4 * 5 * 3).reshape(4, 5, 3) - 30).astype(kind)
    return nibabel.Nifti1Image(volume, np.eye(4)).to_bytes()


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("read", [read_ct, read_pet])
@thorough
@given(data=st.data())
def test_a_damaged_volume_gives_grey_levels_or_a_reason(
    tmp_path: Path, read: Callable[[Path], Any], packed: bool, data: st.DataObject
) -> None:
    path = tmp_path / ("a.nii.gz" if packed else "a.nii")
    content = data.draw(damaged(nifti(data.draw(st.sampled_from([np.int16, np.float32])))))
    path.write_bytes(gzip.compress(content) if packed else content)
    grey_or_reason(read, path, (224, 224))


DRUG = Dataset()
DRUG.RadionuclideTotalDose, DRUG.RadionuclideHalfLife = 1e8, 3600
DRUG.RadiopharmaceuticalStartDateTime = "20200101080000+0100"
PET = {
    "SOPClassUID": PositronEmissionTomographyImageStorage,
    "SeriesInstanceUID": "1.2.3",
    "Units": "BQML",
    "DecayCorrection": "START",
    "PatientWeight": 50,
    "SeriesDate": "20200101",
    "SeriesTime": "100000",
    "TimezoneOffsetFromUTC": "+0100",
    "RadiopharmaceuticalInformationSequence": [DRUG],
}


@thorough
@given(data=st.data())
def test_a_series_with_a_damaged_slice_gives_grey_levels_or_a_reason(tmp_path: Path, data: st.DataObject) -> None:
    read, elements = data.draw(st.sampled_from([(read_ct, {"SeriesInstanceUID": "1.2.3"}), (read_pet, PET)]))
    for z in range(3):
        whole = dicom(**elements, ImagePositionPatient=[0, 0, z])
        (tmp_path / f"{z}.dcm").write_bytes(data.draw(damaged(whole)) if z == 1 else whole)
    grey_or_reason(read, tmp_path, (224, 224))
