"""CT and PET of a chest with one nodule, as DICOM series.

How invasive the pathology is shows in the size and density of the nodule in CT and in its uptake in PET, each with
enough noise that a single modality is often wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, PositronEmissionTomographyImageStorage, generate_uid

SIZE = 64
SPACING = 5.0
"""Millimetres between pixels and between slices."""
LEAST_SLICES, MOST_SLICES = 8, 12

AIR, LUNG, TISSUE = -1000.0, -850.0, 40.0
"""Hounsfield units."""
RADII, RADIUS_NOISE = (8.0, 14.0, 20.0), 5.0
"""Of the nodule in mm, for low, moderate and high."""
DENSITIES, DENSITY_NOISE = (-550.0, -300.0, 0.0), 150.0
"""Of the nodule in Hounsfield units: ground glass to solid."""
UPTAKES, UPTAKE_NOISE = (1.5, 3.5, 6.0), 1.5
"""SUV of the nodule."""
BACKGROUND_SUV = 0.8

DATE, INJECTED, SCANNED, SECONDS = "20200101", "080000", "090000", 3600.0
HALF_LIFE = 6586.2
"""Of fluorine-18, in seconds."""
INTERCEPT = -1024
MOST_STORED = 32767

_Y, _X = np.mgrid[:SIZE, :SIZE]
BODY: NDArray[np.bool_] = ((_X - 31.5) / 28) ** 2 + ((_Y - 31.5) / 21) ** 2 < 1
LUNGS: NDArray[np.bool_] = np.logical_or.reduce([((_X - x) / 10) ** 2 + ((_Y - 31) / 15) ** 2 < 1 for x in (18, 45)])


@dataclass(frozen=True)
class Chest:
    """One patient: where the nodule is and how large (mm), how dense (HU) and how active (SUV) it is."""

    slices: int
    centre: tuple[float, float, float]
    radius: float
    density: float
    uptake: float
    weight: float
    """Of the patient, in kg."""
    dose: float
    """Injected, in Bq."""

    def nodule(self) -> NDArray[np.bool_]:
        """Return the voxels of the nodule ``[S, 64, 64]``."""
        x, y, z = self.centre
        heights = np.arange(self.slices)[:, None, None]
        inside: NDArray[np.bool_] = SPACING * np.sqrt((_X - x) ** 2 + (_Y - y) ** 2 + (heights - z) ** 2) < self.radius
        return inside


def draw_chest(level: int, rng: np.random.Generator) -> Chest:
    """Draw a patient of a level, 0 low to 2 high."""
    slices = int(rng.integers(LEAST_SLICES, MOST_SLICES + 1))
    side = rng.choice((18.0, 45.0))
    return Chest(
        slices=slices,
        centre=(side + rng.uniform(-3, 3), 31 + rng.uniform(-7, 7), (slices - 1) / 2 + rng.uniform(-1, 1)),
        radius=max(rng.normal(RADII[level], RADIUS_NOISE), SPACING),
        density=rng.normal(DENSITIES[level], DENSITY_NOISE),
        uptake=max(rng.normal(UPTAKES[level], UPTAKE_NOISE), BACKGROUND_SUV),
        weight=round(rng.uniform(45, 95), 1),
        dose=round(rng.uniform(2.5e8, 4e8), -5),
    )


def write_ct(folder: Path, patient: str, chest: Chest, rng: np.random.Generator) -> None:
    """Write the CT series of a patient, int16 with an intercept of -1024."""
    volume = np.where(LUNGS, LUNG, np.where(BODY, TISSUE, AIR))[None].repeat(chest.slices, 0)
    volume = np.where(chest.nodule(), chest.density, volume) + rng.normal(0, 25, volume.shape)
    stored = [(np.rint(plane).astype(np.int16) - INTERCEPT, 1.0) for plane in volume]
    elements = {"Modality": "CT", "SOPClassUID": CTImageStorage, "RescaleIntercept": INTERCEPT, "RescaleType": "HU"}
    _write(folder, patient, elements, stored, rng)


def write_pet(folder: Path, patient: str, chest: Chest, rng: np.random.Generator) -> None:
    """Write the PET series of a patient: Bq/ml corrected to the start of the scan, an hour after the injection."""
    suv = np.where(BODY, BACKGROUND_SUV, 0.05)[None].repeat(chest.slices, 0)
    suv = np.where(chest.nodule(), chest.uptake, suv) * rng.lognormal(0, 0.1, suv.shape)
    activity = suv * chest.dose * 0.5 ** (SECONDS / HALF_LIFE) / (1000 * chest.weight)
    slopes = activity.max(axis=(1, 2)) / MOST_STORED
    stored = [
        (np.rint(plane / slope).astype(np.int16), float(f"{slope:.8g}"))
        for plane, slope in zip(activity, slopes, strict=True)
    ]
    drug = Dataset()
    drug.RadionuclideTotalDose, drug.RadionuclideHalfLife = chest.dose, HALF_LIFE
    drug.RadiopharmaceuticalStartTime = INJECTED
    elements = {
        "Modality": "PT",
        "SOPClassUID": PositronEmissionTomographyImageStorage,
        "RescaleIntercept": 0,
        "Units": "BQML",
        "DecayCorrection": "START",
        "CorrectedImage": ["DECY", "ATTN"],
        "PatientWeight": chest.weight,
        "RadiopharmaceuticalInformationSequence": [drug],
    }
    _write(folder, patient, elements, stored, rng)


def _write(
    folder: Path,
    patient: str,
    elements: dict[str, Any],
    slices: Sequence[tuple[NDArray[np.int16], float]],
    rng: np.random.Generator,
) -> None:
    """Write the slices, stored values and slope of each, to files whose names say nothing of their order."""
    folder.mkdir(parents=True)
    series = _uid(rng)
    for k, number in enumerate(rng.permutation(len(slices))):
        values, slope = slices[k]
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.update(
            {
                **elements,
                "SOPInstanceUID": _uid(rng),
                "SeriesInstanceUID": series,
                "PatientID": patient,
                "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
                **{f"{what}Date": DATE for what in ("Study", "Series", "Acquisition")},
                **{f"{what}Time": SCANNED for what in ("Study", "Series", "Acquisition")},
                "InstanceNumber": k + 1,
                "ImagePositionPatient": [-SPACING * SIZE / 2, -SPACING * SIZE / 2, SPACING * k],
                "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
                "PixelSpacing": [SPACING, SPACING],
                "SliceThickness": SPACING,
                "RescaleSlope": slope,
                **_pixels(values),
            }
        )
        dataset.save_as(folder / f"IM{number:04}.dcm", enforce_file_format=True)


def _pixels(values: NDArray[np.int16]) -> dict[str, Any]:
    return {
        "Rows": values.shape[0],
        "Columns": values.shape[1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1,
        "PixelData": values.astype("<i2").tobytes(),
    }


def _uid(rng: np.random.Generator) -> str:
    return str(generate_uid(entropy_srcs=[str(number) for number in rng.integers(0, 1 << 62, 2)]))
