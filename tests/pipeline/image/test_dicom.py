"""DICOM files show what their headers say: values worked out by hand, and the same image in every encoding."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omnifuse.pipeline.image.decode import decode_image
from omnifuse.pipeline.image.dicom import read_grey, read_header, read_rescaled
from omnifuse.pipeline.source import UnreadableItem
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_rescale, apply_voi_lut
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit

Write = Callable[..., Path]
LOSSLESS = ["RG3_J2KR.dcm", "MR2_J2KR.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_jp2klossless.dcm"]


def file(name: str) -> Path:
    """Return a file that comes with pydicom or pydicom-data."""
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str), f"{name} is not installed"
    return Path(path)


def grey(path: Path) -> npt.NDArray[np.int64]:
    return np.asarray(read_grey(path)).astype(np.int64)


@pytest.mark.parametrize(
    ("name", "at", "expected"),
    [
        ("693_UNCR.dcm", (327, 409), 0),  # stored 1014 is -10 HU, the lower end of the window 40 / 100
        ("693_UNCR.dcm", (387, 388), 3),  # -9 HU: ((-9 - 39.5) / 99 + 0.5) x 255 = 2.6
        ("693_UNCR.dcm", (329, 136), 129),  # 40 HU: ((40 - 39.5) / 99 + 0.5) x 255 = 128.8
        ("693_UNCR.dcm", (359, 398), 252),  # 88 HU: 252.4
        ("693_UNCR.dcm", (306, 156), 255),  # 89 HU, the upper end
        ("RG3_UNCR.dcm", (1, 691), 127),  # stored 550 in the window 550 / 1024 is 127.6, MONOCHROME1
        ("RG3_UNCR.dcm", (1, 846), 215),  # stored 200 is 40.4
    ],
)
def test_known_pixels_of_a_ct_and_a_radiograph(name: str, at: tuple[int, int], expected: int) -> None:
    assert grey(file(name))[at] == expected


@pytest.mark.parametrize(
    ("name", "least", "greatest"),  # of what pydicom gives for the ends of the window or table
    [
        ("MR2_UNCR.dcm", 0.000061, 4095 * 3.774114 + 0.000061),
        ("RG1_UNCR.dcm", 0, 2**15 - 1),
        ("693_UNCR.dcm", -(2**13) - 1024, 2**13 - 1 - 1024),
        ("vlut_04.dcm", 0, 2**16 - 1),
    ],
)
def test_windows_and_tables_are_those_of_pydicom(name: str, least: float, greatest: float) -> None:
    dataset = dcmread(file(name))
    shown = np.asarray(apply_voi_lut(apply_rescale(dataset.pixel_array, dataset), dataset), np.float64)
    expected = (shown - least) / (greatest - least) * 255
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        expected = 255 - expected
    assert np.abs(grey(file(name)) - expected).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_encodings_give_the_same_image(name: str) -> None:
    plain = {"RG3_J2KR.dcm": "RG3_UNCR.dcm", "MR2_J2KR.dcm": "MR2_UNCR.dcm"}.get(name, "MR_small.dcm")
    np.testing.assert_array_equal(grey(file(name)), grey(file(plain)))


def test_lossy_jpeg_2000_gives_nearly_the_same_image() -> None:
    assert np.abs(grey(file("RG3_J2KI.dcm")) - grey(file("RG3_UNCI.dcm"))).max() <= 2


def test_colours_are_weighted() -> None:
    red, white = grey(file("SC_rgb.dcm"))[5, 50], grey(file("SC_rgb.dcm"))[95, 50]
    assert (red, white) == (76, 255)  # 0.299 x 255


def test_a_dicom_file_takes_the_same_way_as_any_other(tmp_path: Path, write_dicom: Write) -> None:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (300, 400), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    dicom = write_dicom(tmp_path / "image.without-ending", pixels)
    np.testing.assert_array_equal(decode_image(dicom), decode_image(tmp_path / "image.png"))
    deep = pixels.astype(np.uint16) * 17
    Image.fromarray(deep).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(decode_image(write_dicom(tmp_path / "d", deep)), decode_image(tmp_path / "deep.png"))


RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def table(entries: npt.ArrayLike, first: int, bits: int, stored: str = "<u2") -> list[Dataset]:
    item = Dataset()
    item.LUTDescriptor = [len(np.asarray(entries)), first, bits]
    item.LUTData = np.asarray(entries).astype(stored).tobytes()
    return [item]


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"WindowCenter": 2048, "WindowWidth": 4096}, lambda x: ((x - 2047.5) / 4095 + 0.5) * 255),
        ({"WindowCenter": [2048, 9], "WindowWidth": [4096, 9]}, lambda x: ((x - 2047.5) / 4095 + 0.5) * 255),
        ({"WindowCenter": 1000, "WindowWidth": 1}, lambda x: (x > 999.5) * 255),
        (
            {"WindowCenter": 100, "WindowWidth": 200, "VOILUTFunction": "LINEAR_EXACT"},
            lambda x: np.clip(x / 200, 0, 1) * 255,
        ),
        (
            {"WindowCenter": 1000, "WindowWidth": 400, "VOILUTFunction": "SIGMOID"},
            lambda x: 255 / (1 + np.exp(-(x - 1000) / 100)),
        ),
        (
            {"RescaleSlope": 2, "RescaleIntercept": -1000, "WindowCenter": 0.5, "WindowWidth": 1001},
            lambda x: np.clip((2 * x - 1000) / 1000 + 0.5, 0, 1) * 255,
        ),
        ({"RescaleSlope": -1, "RescaleIntercept": 0}, lambda x: (4095 - x) / 4095 * 255),
        (
            {"VOILUTSequence": table(255 - np.arange(4096) // 16, 0, 8)},  # more entries than 8 bits count
            lambda x: 255 - x // 16,
        ),
        ({"VOILUTSequence": table(255 - np.arange(4096) // 16, 0, 8, "u1")}, lambda x: 255 - x // 16),
        (
            {"VOILUTSequence": table([0, 1000, 4095], 100, 12), "WindowCenter": 9, "WindowWidth": 9},  # before window
            lambda x: np.array([0, 1000, 4095])[np.clip(x - 100, 0, 2)] / 4095 * 255,
        ),
        ({"ModalityLUTSequence": table(np.arange(4095, -1, -1), 0, 16)}, lambda x: (4095 - x) / 4095 * 255),
    ],
    ids=[
        "linear",
        "first window",
        "step",
        "exact",
        "sigmoid",
        "rescale",
        "falling",
        "lut of 8",
        "packed lut",
        "lut of 12",
        "modality",
    ],
)
def test_every_rule_of_the_header(
    tmp_path: Path, write_dicom: Write, elements: dict[str, Any], expected: Callable[[Any], Any]
) -> None:
    ours = grey(write_dicom(tmp_path / "a.dcm", RAMP, **elements))
    assert np.abs(ours - expected(RAMP.astype(np.int64))).max() <= 0.5 + 1e-6
    inverted = grey(write_dicom(tmp_path / "b.dcm", RAMP, PhotometricInterpretation="MONOCHROME1", **elements))
    np.testing.assert_array_equal(ours + inverted, 255)


def test_signed_values(tmp_path: Path, write_dicom: Write) -> None:
    pixels = np.array([[-2000, -10], [90, 2000]], np.int16)
    ours = grey(write_dicom(tmp_path / "a.dcm", pixels, WindowCenter=40, WindowWidth=100))
    assert ours.tolist() == [[0, 0], [255, 255]]
    assert grey(write_dicom(tmp_path / "b.dcm", pixels)).tolist() == [[0, 127], [133, 255]]  # stretched


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("MR_truncated.dcm", "damaged or truncated DICOM image"),
        ("JPEG-LL.dcm", r"^compressed as JPEG Lossless.*: install pylibjpeg>=\S+ and pylibjpeg-libjpeg"),
        ("MR_small_jpeg_ls_lossless.dcm", r"^compressed as JPEG-LS Lossless.*: install pylibjpeg"),
        ("JPGExtended.dcm", r"^damaged, or compressed as JPEG Extended.*: install pylibjpeg"),  # of 12 bits
        ("emri_small.dcm", "10 frames in one DICOM file"),
        ("rtplan.dcm", "without an image"),
        ("examples_palette.dcm", "neither grey of at most 16 bits nor RGB"),
        ("rtdose_1frame.dcm", "neither grey of at most 16 bits nor RGB"),
    ],
)
def test_what_is_unreadable_says_why(name: str, reason: str) -> None:
    with pytest.raises(UnreadableItem, match=reason):
        decode_image(file(name))


PADDED = np.array([[0, 100], [200, 4000]], np.uint16)


@pytest.mark.parametrize(
    ("pixels", "elements", "expected"),
    [
        (PADDED, {}, [[0, 6], [13, 255]]),
        (PADDED, {"PixelPaddingValue": 4000}, [[0, 128], [255, 0]]),
        (PADDED, {"PixelPaddingValue": 0}, [[0, 0], [7, 255]]),
        (PADDED, {"PixelPaddingValue": 3000, "PixelPaddingRangeLimit": 5000}, [[0, 128], [255, 0]]),
        (PADDED, {"PixelPaddingValue": 5000, "PixelPaddingRangeLimit": 3000}, [[0, 128], [255, 0]]),
        (PADDED, {"PixelPaddingValue": 4000, "PhotometricInterpretation": "MONOCHROME1"}, [[255, 127], [0, 0]]),
        (PADDED, {"PixelPaddingValue": 4000, "WindowCenter": 100.5, "WindowWidth": 201}, [[0, 128], [255, 0]]),
        (PADDED, {"PixelPaddingValue": 4000, "RescaleSlope": -1, "RescaleIntercept": 0}, [[255, 128], [0, 0]]),
        (PADDED.astype(np.uint8), {"PixelPaddingValue": 200}, [[0, 100], [0, 160]]),  # 8 bits are not stretched
        (PADDED.astype(np.uint8), {"PixelPaddingValue": 65535}, [[0, 100], [200, 160]]),  # no value of 8 bits
    ],
    ids=["none", "high", "low", "range", "range from above", "monochrome 1", "window", "falling", "8 bits", "wider"],
)
def test_padding_is_black_and_does_not_count_for_the_stretching(
    tmp_path: Path, write_dicom: Write, pixels: npt.NDArray[Any], elements: dict[str, Any], expected: list[list[int]]
) -> None:
    assert grey(write_dicom(tmp_path / "a.dcm", pixels, **elements)).tolist() == expected


def test_padding_of_signed_values_may_be_given_as_unsigned(tmp_path: Path, write_dicom: Write) -> None:
    path = write_dicom(tmp_path / "a.dcm", np.array([[-2000, 0], [100, 200]], np.int16))
    content = path.read_bytes()
    before = content.index(b"\x28\x00\x03\x01US")  # PixelRepresentation
    padding = b"\x28\x00\x20\x01US\x02\x00" + (65536 - 2000).to_bytes(2, "little")
    path.write_bytes(content[: before + 10] + padding + content[before + 10 :])
    assert grey(path).tolist() == [[0, 0], [128, 255]]


def test_an_image_of_padding_alone_is_refused(tmp_path: Path, write_dicom: Write) -> None:
    with pytest.raises(UnreadableItem, match="an image of padding alone"):
        read_grey(write_dicom(tmp_path / "a.dcm", np.full((3, 3), 7, np.uint16), PixelPaddingValue=7))


@pytest.mark.parametrize(
    "elements",
    [
        {"RescaleSlope": "1e308", "RescaleIntercept": 0},
        {"RescaleSlope": 1, "RescaleIntercept": "-1e308"},
        {"RescaleSlope": 0, "RescaleIntercept": 0},
    ],
)
def test_a_rescaling_that_cannot_be_meant_is_refused(
    tmp_path: Path, write_dicom: Write, elements: dict[str, Any]
) -> None:
    path = write_dicom(tmp_path / "a.dcm", RAMP, **elements)
    for read in (read_grey, read_rescaled):
        with pytest.raises(UnreadableItem, match=r"^RescaleSlope .* and RescaleIntercept .*, which cannot be meant$"):
            read(path)


def test_entries_of_a_table_beyond_its_bits_are_white(tmp_path: Path, write_dicom: Write) -> None:
    path = write_dicom(tmp_path / "a.dcm", RAMP[:1, :3], VOILUTSequence=table([0, 1023, 4095], 0, 10))
    assert grey(path).tolist() == [[0, 255, 255]]


def test_a_deflated_file_that_would_burst_is_refused_before_it_is_inflated(
    tmp_path: Path, write_dicom: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_dicom(tmp_path / "a.dcm", np.zeros((12_000, 12_000), np.uint16))
    dataset = dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path)
    assert path.stat().st_size < 300_000
    monkeypatch.setattr("pydicom.filereader.zlib.decompress", lambda *_: pytest.fail("inflated"))
    for read in (read_grey, lambda file: read_header(file, ["Modality"])):
        with pytest.raises(UnreadableItem, match="a deflated file of more than the 268,435,456 bytes that are read"):
            read(path)


def test_a_deflated_file_gives_the_same_image(tmp_path: Path, write_dicom: Write) -> None:
    plain = write_dicom(tmp_path / "a.dcm", RAMP)
    dataset = dcmread(plain)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(tmp_path / "b.dcm")
    np.testing.assert_array_equal(grey(tmp_path / "b.dcm"), grey(plain))


def test_a_stream_of_another_size_than_the_header_says_is_not_decoded(tmp_path: Path, write_dicom: Write) -> None:
    from PIL import Image

    stream = io.BytesIO()
    Image.new("L", (500, 400)).save(stream, "JPEG")
    header = stream.getvalue().partition(b"\xff\xda")[0]  # without what is decoded
    path = write_dicom(tmp_path / "a.dcm", np.zeros((4, 5), np.uint8))
    dataset = dcmread(path)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate([header])
    dataset.save_as(path)
    with pytest.raises(UnreadableItem, match="a stream of 500 x 400 pixels where 5 x 4 are said"):
        read_grey(path)


def test_a_window_that_dicom_does_not_allow(tmp_path: Path, write_dicom: Write) -> None:
    path = write_dicom(tmp_path / "a.dcm", RAMP, WindowCenter=40, WindowWidth=0)
    with pytest.raises(UnreadableItem, match="a window of width 0"):
        read_grey(path)


def test_more_pixels_than_any_radiograph_has(tmp_path: Path, write_dicom: Write) -> None:
    path = write_dicom(tmp_path / "a.dcm", RAMP, Rows=65535, Columns=65535)
    with pytest.raises(UnreadableItem, match="more pixels"):
        read_grey(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 7789), flip=st.integers(1, 255), length=st.one_of(st.none(), st.integers(0, 7789)))
def test_a_damaged_file_is_unreadable_or_an_image(tmp_path: Path, at: int, flip: int, length: int | None) -> None:
    content = bytearray(file("MR_small_RLE.dcm").read_bytes())
    content[at] ^= flip
    path = tmp_path / "damaged.dcm"
    path.write_bytes(content[:length])
    try:
        assert read_grey(path).mode == "L"
    except UnreadableItem as reason:
        assert "CompressedSamples" not in str(reason), "names the patient"


def test_elements_of_a_header_are_read_as_text() -> None:
    names = ["StudyDate", "StudyTime", "ViewPosition"]
    assert read_header(file("RG1_UNCR.dcm"), names) == ["20040826", "185059", "PA"]
    assert read_header(file("CT_small.dcm"), names) == ["20040119", "072730", ""]


def test_a_header_is_read_without_the_pixels(tmp_path: Path) -> None:
    path = tmp_path / "cut.dcm"
    path.write_bytes(file("RG1_UNCR.dcm").read_bytes()[:8000])
    assert read_header(path, ["ViewPosition"]) == ["PA"]


@pytest.mark.parametrize(("content", "reason"), [(None, "the file is missing"), (b"text", "not a DICOM file")])
def test_a_header_that_cannot_be_read(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "a.dcm"
    if content:
        path.write_bytes(content)
    with pytest.raises(UnreadableItem, match=reason):
        read_header(path, ["StudyDate"])
