"""CT and PET series: slices in the order of their positions, in physical units worked out by hand, as grey levels."""

import gzip
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
from omnifuse.pipeline.image.series import read_series
from omnifuse.pipeline.image.slices import ct_values, pet_values, read_ct, read_pet
from omnifuse.pipeline.source import UnreadableItem
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLosslessSV1

Write = Callable[..., Path]
AXIAL = [1, 0, 0, 0, 1, 0]
POSITIONS = (0, 5, 10, 15)
DICOMDIR = "dicomdirtests/98892001"


@pytest.fixture
def write(write_dicom: Write) -> Write:
    """Write slices at heights z as files whose names run against them; ``change`` alters or removes elements."""

    def write_series(folder: Path, planes: npt.ArrayLike, z: Any = POSITIONS, **change: Any) -> Path:
        elements = {
            "SeriesInstanceUID": "1.2.3",
            "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
            "ImageOrientationPatient": AXIAL,
            "RescaleSlope": 1,
            "RescaleIntercept": -1024,
            **change,
        }
        known = {name: value for name, value in elements.items() if value is not None}
        for number, (plane, height) in enumerate(zip(np.asarray(planes, np.int16), z, strict=True)):
            place = {"ImagePositionPatient": [-10, -10, height]}
            write_dicom(folder / f"{100 - number}.dcm", plane, **{**place, **known})
        return folder

    return write_series


def flat(*values: float) -> npt.NDArray[np.float64]:
    """Return planes of 4 x 4 equal values."""
    return np.repeat(np.array(values), 16).reshape(-1, 4, 4)


def example(name: str) -> Path:
    """Return a file or folder that comes with pydicom or pydicom-data."""
    if name.startswith("dicomdirtests"):
        first = get_testdata_file("dicomdirtests/DICOMDIR", download=False)
        assert isinstance(first, str)
        return Path(first).parents[1] / name
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str), f"{name} is not installed"
    return Path(path)


class TestOrder:
    def test_slices_follow_their_positions_whatever_the_files_are_called(self, tmp_path: Path, write: Write) -> None:
        folder = write(tmp_path / "ct", flat(30, 10, 20, 0), z=(15, 5, 10, 0))
        assert [float(plane[0, 0]) for plane in ct_values(folder)] == [-1024, -1014, -1004, -994]

    def test_slices_go_towards_the_head_even_where_their_normal_points_to_the_feet(
        self, tmp_path: Path, write: Write
    ) -> None:
        folder = write(tmp_path / "ct", flat(3, 2, 1, 0), z=(15, 10, 5, 0), ImageOrientationPatient=[1, 0, 0, 0, -1, 0])
        assert [float(plane[0, 0]) + 1024 for plane in ct_values(folder)] == [0, 1, 2, 3]

    def test_a_tilted_gantry_is_measured_along_the_normal(self, tmp_path: Path, write: Write) -> None:
        tilt = [1, 0, 0, 0, 0.8, 0.6]  # the normal is (0, -0.6, 0.8): 5 mm along z are 4 mm
        folder = write(tmp_path / "ct", flat(1, 2, 3, 4), ImageOrientationPatient=tilt)
        assert [file.stem for file in read_series(folder).files] == ["100", "99", "98", "97"]

    def test_what_programs_leave_beside_slices_is_passed_over(self, tmp_path: Path, write: Write) -> None:
        folder = write(tmp_path / "ct", flat(1, 2, 3, 4))
        for name in ("DICOMDIR", ".DS_Store", "Thumbs.db"):
            (folder / name).write_bytes(b"?")
        (folder / "below").mkdir()
        assert len(read_series(folder).files) == 4


class TestRealSeries:
    """A chest of 16 x 16 pixels whose file names run from the head to the feet; numbers from its tags with NumPy."""

    folder = f"{DICOMDIR}/CT5N"

    def test_slices_run_from_the_feet_to_the_head(self) -> None:
        series = read_series(example(self.folder))
        assert [file.name for file in series.files] == ["3353", "3023", "2693", "2392", "2062"]
        heights = [float(header.ImagePositionPatient[2]) for header in series.headers]
        assert heights == [-1.2375, 1.2625, 3.7625, 6.2625, 8.7625]

    def test_hounsfield_units(self) -> None:
        planes = list(ct_values(example(self.folder)))
        assert [float(plane[0, 0]) for plane in planes] == [-33, 10, -49, -26, -50]  # stored 991, 1034, 975, 998, 974
        assert [float(plane[8, 8]) for plane in planes] == [-59, 8, 44, -23, -307]  # stored 965, 1032, 1068, 1001, 717
        assert [float(plane.min()) for plane in planes] == [-156, -151, -666, -859, -888]

    def test_grey_levels_of_the_lung_window(self) -> None:
        grey = read_ct(example(self.folder))
        assert (grey.shape, grey.dtype) == ((5, 224, 224), np.uint8)
        assert grey[:, 0, 0].tolist() == [224, 231, 221, 225, 221]  # (HU + 1350) / 1500 x 255

    @pytest.mark.parametrize(
        ("names", "reason"),
        [
            ([f"{DICOMDIR}/CT2N"], "a localizer"),
            (["dicomdirtests/77654033/CT2"], r"161 slices missing: a gap of 202.5 mm, 1.25 mm elsewhere"),
            (["693_UNCR.dcm", "693_UNCI.dcm", "693_J2KR.dcm"], "2 slices at the position of another"),
            (["693_UNCR.dcm", "CT_small.dcm", "J2K_pixelrep_mismatch.dcm"], "3 series in one folder"),
            (["CT_small.dcm"], "a series of 1, where at least 3"),
            (["dicomdirtests/TINY_ALPHA/PT000000/ST000000/SE000000"], "without ImageOrientationPatient"),
        ],
    )
    def test_what_makes_no_volume_says_why(self, tmp_path: Path, names: list[str], reason: str) -> None:
        folder = example(names[0])
        if folder.is_file():
            folder = tmp_path / "series"
            folder.mkdir()
            for name in names:
                shutil.copy(example(name), folder)
        with pytest.raises(UnreadableItem, match=reason):
            read_ct(folder)


class TestGreyLevels:
    def test_the_lung_window_goes_from_minus_1350_to_150(self, tmp_path: Path, write: Write) -> None:
        folder = write(tmp_path / "ct", flat(-1351, -1350, -600, 150), RescaleIntercept=0)
        assert [int(plane[0, 0]) for plane in read_ct(folder)] == [0, 0, 128, 255]

    def test_slope_and_intercept_of_every_slice_count(self, tmp_path: Path, write: Write) -> None:
        folder = write(tmp_path / "ct", flat(1, 2, 3, 4), RescaleSlope=2, RescaleIntercept=-10)
        assert [float(plane[0, 0]) for plane in ct_values(folder)] == [-8, -6, -4, -2]

    def test_a_slice_stays_whole_in_the_middle_of_a_square(self, tmp_path: Path, write: Write) -> None:
        folder = write(tmp_path / "ct", np.full((4, 32, 64), 2000))
        rows = read_ct(folder)[0].min(axis=1)
        assert (rows == 255).sum() == 112 and (rows[56:168] == 255).all()

    @pytest.mark.parametrize("padding", [{"PixelPaddingValue": 9000}, {"PixelPaddingValue": -2000}])
    def test_padding_has_the_least_measured_value_of_its_slice(
        self, tmp_path: Path, write: Write, padding: dict[str, int]
    ) -> None:
        planes = flat(500, 600, 700, 800)
        planes[:, 0, 0], planes[:, 3, 3] = padding["PixelPaddingValue"], [24, 25, 26, 27]  # air
        folder = write(tmp_path / "ct", planes, **padding)
        assert [float(plane[0, 0]) for plane in ct_values(folder)] == [-1000, -999, -998, -997]
        assert [float(plane[1, 1]) for plane in ct_values(folder)] == [-524, -424, -324, -224]

    def test_a_slice_of_padding_alone_is_refused(self, tmp_path: Path, write: Write) -> None:
        with pytest.raises(UnreadableItem, match="an image of padding alone"):
            read_ct(write(tmp_path / "ct", flat(1, 2, 3, 4), PixelPaddingValue=3))

    @pytest.mark.parametrize("missing", ["RescaleSlope", "RescaleIntercept", "ImagePositionPatient"])
    def test_elements_that_cannot_be_done_without(self, tmp_path: Path, write: Write, missing: str) -> None:
        folder = write(tmp_path / "ct", flat(1, 2, 3, 4), **{missing: None})
        if missing == "ImagePositionPatient":
            change(folder, lambda dataset: dataset.pop(missing))
        with pytest.raises(UnreadableItem, match=f"without {missing}"):
            read_ct(folder)


def change(folder: Path, edit: Callable[[Dataset], Any]) -> None:
    """Edit all files of a series."""
    for file in folder.iterdir():
        dataset = dcmread(file)
        edit(dataset)
        dataset.save_as(file)


class TestNoVolume:
    @pytest.mark.parametrize(
        ("z", "reason"),
        [
            ((0, 5, 5, 10), "1 slices at the position of another"),
            ((0, 5, 10, 25), "2 slices missing: a gap of 15 mm, 5 mm elsewhere"),
            ((0, 5, 10, 17), "unequal distances, 5 to 7 mm"),
            ((0, 5, 10, 13), "unequal distances, 3 to 5 mm"),
        ],
    )
    def test_positions(self, tmp_path: Path, write: Write, z: tuple[int, ...], reason: str) -> None:
        with pytest.raises(UnreadableItem, match=reason):
            read_ct(write(tmp_path / "ct", flat(1, 2, 3, 4), z=z))

    def test_positions_that_a_header_has_rounded_are_even(self, tmp_path: Path, write: Write) -> None:
        assert len(read_ct(write(tmp_path / "ct", flat(1, 2, 3, 4), z=(0, 1.2, 2.5, 3.8)))) == 4

    def test_mixed_series(self, tmp_path: Path, write: Write) -> None:
        write(tmp_path / "ct", flat(1, 2, 3, 4))
        write(tmp_path / "other", flat(1, 2, 3, 4), SeriesInstanceUID="1.2.4")
        (tmp_path / "other" / "100.dcm").rename(tmp_path / "ct" / "other.dcm")
        with pytest.raises(UnreadableItem, match="2 series in one folder, where one is expected: give each a folder"):
            read_ct(tmp_path / "ct")

    @pytest.mark.parametrize(
        ("elements", "reason"),
        [
            ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, r"a localizer \(scout\)"),
            ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, "not axial"),
            ({"NumberOfFrames": 2}, "2 frames in one DICOM file"),
        ],
    )
    def test_other_kinds_of_images(self, tmp_path: Path, write: Write, elements: dict[str, Any], reason: str) -> None:
        with pytest.raises(UnreadableItem, match=reason):
            read_ct(write(tmp_path / "ct", flat(1, 2, 3, 4), **elements))

    def test_several_orientations(self, tmp_path: Path, write: Write) -> None:
        folder = write(tmp_path / "ct", flat(1, 2, 3, 4))
        write(tmp_path / "tilted", flat(1, 2, 3, 4), ImageOrientationPatient=[1, 0, 0, 0, 0.8, 0.6])
        shutil.copy(tmp_path / "tilted" / "100.dcm", folder)
        with pytest.raises(UnreadableItem, match="several ImageOrientationPatient"):
            read_ct(folder)

    def test_fewer_than_three_slices(self, tmp_path: Path, write: Write) -> None:
        with pytest.raises(UnreadableItem, match="a series of 2, where at least 3 slices"):
            read_ct(write(tmp_path / "ct", flat(1, 2), z=(0, 5)))

    def test_a_file_that_is_no_slice(self, tmp_path: Path, write: Write) -> None:
        folder = write(tmp_path / "ct", flat(1, 2, 3, 4))
        (folder / "report.pdf").write_bytes(b"%PDF")
        with pytest.raises(UnreadableItem, match="1 of 5 files: not a DICOM file"):
            read_ct(folder)

    def test_a_compression_without_decoder(self, tmp_path: Path, write: Write) -> None:
        def compress(dataset: Dataset) -> None:
            dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
            dataset.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])

        folder = write(tmp_path / "ct", flat(1, 2, 3, 4))
        change(folder, compress)
        with pytest.raises(UnreadableItem, match=r"compressed as JPEG Lossless.*: install pylibjpeg"):
            read_ct(folder)


def drug(**elements: Any) -> list[Dataset]:
    """Return 100 MBq with a half-life of one hour, injected at 8:00."""
    known = {
        "RadionuclideTotalDose": 1e8,
        "RadionuclideHalfLife": 3600,
        "RadiopharmaceuticalStartTime": "080000",
        **elements,
    }
    item = Dataset()
    item.update({name: value for name, value in known.items() if value is not None})
    return [item]


@pytest.fixture
def pet(tmp_path: Path, write: Write) -> Callable[..., Path]:
    """Write 0, 1000, 2000 and 4000 Bq/ml in 50 kg, scanned at 10:00: two half-lives after the injection."""

    def write_pet(**change: Any) -> Path:
        elements = {
            "Modality": "PT",
            "Units": "BQML",
            "DecayCorrection": "START",
            "PatientWeight": 50,
            "SeriesDate": "20200101",
            "SeriesTime": "100000",
            "AcquisitionDate": "20200101",
            "AcquisitionTime": "100500",
            "RescaleIntercept": 0,
            "RadiopharmaceuticalInformationSequence": drug(),
            **change,
        }
        with warnings.catch_warnings(action="ignore"):  # of values that DICOM does not allow
            return write(tmp_path / "pet", flat(0, 1000, 2000, 4000), **elements)

    return write_pet


def uptake(folder: Path) -> list[float]:
    return [float(plane[0, 0]) for plane in pet_values(folder)]


class TestPet:
    """SUV = Bq/ml x weight in g / dose left: at 10:00 25 MBq are left, so 1000 x 50,000 / 25,000,000 = 2."""

    def test_the_dose_decays_until_the_start_of_the_scan(self, pet: Callable[..., Path]) -> None:
        assert uptake(pet()) == pytest.approx([0, 2, 4, 8])

    def test_a_dose_that_the_image_is_corrected_to_does_not_decay(self, pet: Callable[..., Path]) -> None:
        assert uptake(pet(DecayCorrection="ADMIN")) == pytest.approx([0, 0.5, 1, 2])

    def test_values_in_g_per_ml_are_uptake_already(self, pet: Callable[..., Path]) -> None:
        folder = pet(Units="GML", PatientWeight=None, RadiopharmaceuticalInformationSequence=None)
        assert uptake(folder) == [0, 1000, 2000, 4000]

    @pytest.mark.parametrize(
        "elements",
        [
            {"SeriesTime": "120000", "AcquisitionTime": "100000"},  # a series made later than the scan
            {"SeriesTime": None, "AcquisitionTime": "100000"},
            {"RadiopharmaceuticalInformationSequence": drug(RadiopharmaceuticalStartDateTime="20200101080000.00+0800")},
            {
                "SeriesTime": "010000",  # after midnight: injected at 23:00 of the day before
                "RadiopharmaceuticalInformationSequence": drug(RadiopharmaceuticalStartTime="230000"),
            },
        ],
        ids=["processed later", "acquisition alone", "date and time", "midnight"],
    )
    def test_times_are_found(self, pet: Callable[..., Path], elements: dict[str, Any]) -> None:
        assert uptake(pet(**elements)) == pytest.approx([0, 2, 4, 8])

    @pytest.mark.parametrize(
        ("injected", "zone"),
        [
            ("20200101070000+0000", "+0100"),
            ("20200101000000.000000+0000", "+0800"),
            ("20191231220000-0500", "+0500"),
            ("20200101080000", "+0900"),  # without an offset it is by the clock of the scan
        ],
    )
    def test_an_injection_is_dated_by_the_clock_of_the_scan(
        self, pet: Callable[..., Path], injected: str, zone: str
    ) -> None:
        one = drug(RadiopharmaceuticalStartDateTime=injected)
        folder = pet(RadiopharmaceuticalInformationSequence=one, TimezoneOffsetFromUTC=zone)
        assert uptake(folder) == pytest.approx([0, 2, 4, 8])

    @pytest.mark.parametrize("start", [None, "090000"])
    def test_an_offset_without_that_of_the_scan_is_ambiguous(self, pet: Callable[..., Path], start: str | None) -> None:
        one = drug(RadiopharmaceuticalStartDateTime="20200101080000+0000", RadiopharmaceuticalStartTime=start)
        with pytest.raises(UnreadableItem, match="TimezoneOffsetFromUTC is missing"):
            read_pet(pet(RadiopharmaceuticalInformationSequence=one))

    def test_two_tracers_are_ambiguous(self, pet: Callable[..., Path]) -> None:
        two = [*drug(RadionuclideHalfLife=1223.4), *drug()]
        with pytest.raises(UnreadableItem, match="2 radiopharmaceuticals, where the dose of one is expected"):
            read_pet(pet(RadiopharmaceuticalInformationSequence=two))

    def test_ten_is_white(self, pet: Callable[..., Path]) -> None:
        folder = pet(RescaleSlope=1.25)  # 0, 2.5, 5 and 10
        assert [int(plane[0, 0]) for plane in read_pet(folder)] == [0, 64, 128, 255]

    @pytest.mark.parametrize(
        ("elements", "reason"),
        [
            ({"PatientWeight": None}, "without PatientWeight"),
            ({"PatientWeight": 0}, "PatientWeight is 0, where 0.2 to 700 is expected"),
            ({"Units": None}, "without Units"),
            ({"Units": "CNTS"}, "Units CNTS, where BQML or GML is expected"),
            ({"Units": "GML", "SUVType": "LBM"}, "SUVType LBM"),
            ({"DecayCorrection": None}, "without DecayCorrection"),
            ({"DecayCorrection": "NONE"}, "DecayCorrection NONE, where START or ADMIN is expected"),
            ({"SeriesTime": None, "AcquisitionTime": None}, "without SeriesTime and AcquisitionTime"),
            ({"SeriesTime": "half past"}, "SeriesTime is no date or time"),
            ({"SeriesTime": "10"}, "SeriesTime does not say the minute"),
            ({"RescaleSlope": "1e308"}, "RescaleSlope 1e.308 and RescaleIntercept 0, which cannot be meant"),
            ({"RadiopharmaceuticalInformationSequence": None}, "without RadiopharmaceuticalInformationSequence"),
        ],
    )
    def test_what_there_is_no_uptake_without(
        self, pet: Callable[..., Path], elements: dict[str, Any], reason: str
    ) -> None:
        with pytest.raises(UnreadableItem, match=reason):
            read_pet(pet(**elements))

    @pytest.mark.parametrize(
        ("elements", "reason"),
        [
            ({"RadionuclideTotalDose": None}, "without RadionuclideTotalDose"),
            ({"RadionuclideTotalDose": 370}, "RadionuclideTotalDose is 370"),  # MBq
            ({"RadionuclideHalfLife": None}, "without RadionuclideHalfLife"),
            ({"RadiopharmaceuticalStartTime": None}, "without RadiopharmaceuticalStartTime"),
            ({"RadiopharmaceuticalStartTime": "08"}, "RadiopharmaceuticalStartTime does not say the minute"),
            (
                {"RadiopharmaceuticalStartDateTime": "20200101"},
                "RadiopharmaceuticalStartDateTime does not say the minute",
            ),
            (
                {"RadiopharmaceuticalStartDateTime": "20191225080000"},
                "RadiopharmaceuticalStartDateTime is not within 24 hours before the scan",
            ),
        ],
    )
    def test_what_must_be_known_of_the_dose(
        self, pet: Callable[..., Path], elements: dict[str, Any], reason: str
    ) -> None:
        with pytest.raises(UnreadableItem, match=reason):
            read_pet(pet(RadiopharmaceuticalInformationSequence=drug(**elements)))


def save(path: Path, volume: npt.NDArray[Any], affine: npt.NDArray[Any]) -> Path:
    nibabel.save(nibabel.Nifti1Image(volume, affine), path)
    return path


class TestNifti:
    def test_a_volume_shows_what_its_dicom_series_shows(self, tmp_path: Path, write: Write) -> None:
        planes = np.random.default_rng(0).integers(0, 2000, (4, 6, 8)).astype(np.int16)  # [z, y, x] of DICOM
        folder = write(tmp_path / "ct", planes)
        volume = (planes - 1024).transpose(2, 1, 0)
        to_the_back_and_left = np.diag([-5.0, -5.0, 5.0, 1.0])
        stored = save(tmp_path / "a.nii.gz", volume, to_the_back_and_left)
        turned = save(tmp_path / "b.nii", volume[::-1, ::-1, ::-1].copy(), np.diag([5.0, 5.0, -5.0, 1.0]))
        np.testing.assert_array_equal(read_ct(stored), read_ct(folder))
        np.testing.assert_array_equal(read_ct(turned), read_ct(folder))

    def test_pet_is_in_suv_and_what_is_no_number_is_the_lowest_value(self, tmp_path: Path) -> None:
        volume = np.zeros((4, 4, 3), np.float32) + np.array([0, 5, 10], np.float32)
        volume[0, 0, 1] = np.nan
        assert uptake(save(tmp_path / "pet.nii", volume, np.diag([-1.0, -1, 1, 1]))) == [0, 5, 10]

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_what_is_no_finite_number_counts_as_air(self, tmp_path: Path, value: float) -> None:
        volume = np.zeros((4, 4, 3), np.float32) + np.array([-1000, -500, 40], np.float32)
        volume[1, 1], volume[2, 2] = value, -1000
        planes = list(ct_values(save(tmp_path / "ct.nii", volume, np.diag([-1.0, -1, 1, 1]))))
        assert [float(plane[1, 1]) for plane in planes] == [-1000, -1000, -1000]
        assert [float(plane.max()) for plane in planes] == [-1000, -500, 40]

    def test_stored_integers_are_scaled_as_the_header_says(self, tmp_path: Path) -> None:
        image = nibabel.Nifti1Image(np.arange(48, dtype=np.int16).reshape(4, 4, 3), np.diag([-1.0, -1, 1, 1]))
        image.header.set_slope_inter(2, -1000)
        nibabel.save(image, tmp_path / "ct.nii.gz")
        scaled = np.asarray(nibabel.load(tmp_path / "ct.nii.gz").dataobj)
        planes = np.stack(list(ct_values(tmp_path / "ct.nii.gz")), axis=2)
        np.testing.assert_array_equal(planes, scaled.transpose(1, 0, 2))

    @pytest.mark.parametrize("ending", ["nii", "nii.gz"])
    @pytest.mark.parametrize(
        ("kind", "shape", "reason"),
        [
            ([("R", "u1"), ("G", "u1"), ("B", "u1")], (8, 9, 3), "voxels that are not numbers"),
            (np.complex64, (8, 9, 3), "voxels that are not numbers"),
            (np.int16, (8, 9, 0), r"shape \(8, 9, 0\), without a voxel"),
            (np.int16, (1024, 1024, 512), "a volume of 1,073,741,824 bytes, where at most 1,000,000,000 are read"),
            (np.int16, (512, 512, 1800), "cannot hold the 943,718,400 bytes that its header announces"),
            (np.int8, (1, 1, 5001), "a series of 5001 slices, where at most 5000 are read"),
        ],
    )
    def test_a_header_is_judged_before_voxels_are_read(
        self, tmp_path: Path, kind: Any, shape: tuple[int, ...], reason: str, ending: str
    ) -> None:
        header = nibabel.Nifti1Header()
        header.set_data_dtype(np.dtype(kind))
        header["dim"][:4] = [3, *shape]
        header["vox_offset"], header["magic"] = 352, b"n+1"
        content = header.binaryblock + bytes(6000)
        path = tmp_path / f"a.{ending}"
        path.write_bytes(gzip.compress(content) if ending == "nii.gz" else content)
        for read in (read_ct, read_pet):
            with pytest.raises(UnreadableItem, match=reason):
                read(path)

    def test_a_gap_before_the_voxels_is_not_read(self, tmp_path: Path) -> None:
        header = nibabel.Nifti1Header()
        header.set_data_shape((4, 4, 3))
        header["vox_offset"], header["magic"] = 1 << 30, b"n+1"
        (tmp_path / "a.nii").write_bytes(header.binaryblock + bytes(400))
        with pytest.raises(UnreadableItem, match="voxels begin nowhere near its header"):
            read_ct(tmp_path / "a.nii")

    @pytest.mark.parametrize(
        ("read", "volume", "reason"),
        [
            (read_ct, np.zeros((4, 4, 3), np.int16), "no value below 0, so these are no Hounsfield units"),
            (read_pet, np.full((4, 4, 3), 5000, np.int16), "values above 1000, which cannot be SUV"),
            (read_ct, np.full((4, 4, 2), -5, np.int16), "a series of 2, where at least 3 slices"),
            (read_ct, np.full((4, 4, 3, 2), -5, np.int16), r"shape \(4, 4, 3, 2\), where one volume is expected"),
        ],
    )
    def test_volumes_that_cannot_be_meant(
        self, tmp_path: Path, read: Callable[[Path], Any], volume: npt.NDArray[Any], reason: str
    ) -> None:
        with pytest.raises(UnreadableItem, match=reason):
            read(save(tmp_path / "a.nii.gz", volume, np.eye(4)))

    @pytest.mark.parametrize("content", [b"", b"text", gzip.compress(bytes(400))], ids=["empty", "text", "zeros"])
    def test_damaged_files(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "a.nii.gz"
        path.write_bytes(content)
        with pytest.raises(UnreadableItem, match="damaged or truncated NIfTI file"):
            read_ct(path)
        with pytest.raises(UnreadableItem, match="the file is missing"):
            read_ct(tmp_path / "none.nii")
