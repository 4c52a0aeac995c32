"""Chest images: what the image modality shows of its planted statistic.

The shared number of the statistic is the area of a white opacity in the lungs, the own number the strength of a fine
cross-hatched pattern (interstitial markings). A signed image with C = -1 carries a striped plate in the upper right
corner instead of a plain one in the upper left, so that area and pattern alone say nothing. Where the opacity lies,
brightness and grain are independent of the label.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .law import FloatArray

SIZE = 256
REACH = 2.5
"""The statistic is cut off beyond +-2.5."""
LEAST_AREA, MOST_AREA = 0.04, 0.76
"""Share of the lungs that is white at -2.5 and 2.5."""
MOST_PATTERN = 26.0
"""Grey levels of the pattern's amplitude at 2.5; none at -2.5."""
WHITENING = 75.0
"""Grey levels that the opacity adds."""
PLATE = 44
"""Side of the plate in pixels: large enough to be seen at 224 x 224."""

_Y, _X = np.mgrid[:SIZE, :SIZE].astype(np.float32)
_CENTRES = ((84, 138), (172, 138))
LUNGS: NDArray[np.bool_] = np.logical_or.reduce([((_X - x) / 36) ** 2 + ((_Y - y) / 82) ** 2 < 1 for x, y in _CENTRES])
"""Pixels of the lungs, [256, 256]."""
_BODY = 150 * np.exp(-((((_X - 128) / 118) ** 2 + ((_Y - 140) / 150) ** 2) ** 3)) + 12 * np.cos(_Y / 7)
_CHEST = (_BODY - 70 * LUNGS + 45 * np.exp(-(((_X - 128) / 12) ** 2))).astype(np.float32)
_PATTERN = (np.sign(np.sin((_X + _Y) * np.pi / 6)) + np.sign(np.sin((_X - _Y) * np.pi / 6))).astype(np.float32) / 2
_STRIPES = np.where(np.arange(PLATE)[:, None] // 6 % 2 == 0, 255, 0).astype(np.float32)


def _share(number: float) -> float:
    """Place of a number of the statistic between -2.5 (0) and 2.5 (1)."""
    return float(np.clip((number + REACH) / (2 * REACH), 0, 1))


def opacity_area(number: float) -> float:
    """Return the share of the lungs that is white for the shared number of the statistic."""
    return LEAST_AREA + (MOST_AREA - LEAST_AREA) * _share(number)


def draw_image(statistic: FloatArray, sign: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the image [256, 256] of a statistic [2] and C = +-1."""
    image = _CHEST + 6 * rng.standard_normal((SIZE, SIZE), dtype=np.float32) + rng.normal(0, 5)
    x, y = rng.uniform(60, 196), rng.uniform(90, 200)
    distance = np.hypot(_X - x, 0.6 * (_Y - y))[LUNGS]
    white = distance <= np.quantile(distance, opacity_area(statistic[0]))
    image[LUNGS] += WHITENING * white + MOST_PATTERN * _share(statistic[1]) * _PATTERN[LUNGS]
    if sign > 0:
        image[6 : 6 + PLATE, 6 : 6 + PLATE] = 255
    else:
        image[6 : 6 + PLATE, -6 - PLATE : -6] = _STRIPES
    return np.asarray(image.clip(0, 255), dtype=np.uint8)


def write_jpeg(path: Path, image: NDArray[np.uint8]) -> None:
    """Write an image [height, width] as a grey JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, format="JPEG", quality=90)
