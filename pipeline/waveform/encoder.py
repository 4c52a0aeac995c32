"""A frozen encoder of electrocardiograms: a model of yours, weights for a residual network of ours, or random ones."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...cache_schema import MissingInputError, Recipe, digest_file
from ...cache_schema.packages import require
from ..frozen_encoders import DECIDE_SEEDED_WEIGHTS, Encode, FrozenEncoder
from ..hub import refuse_stand_in
from .leads import LEADS, RECIPE, read_ecg

if TYPE_CHECKING:
    from torch import nn

RANDOM = "random"
ONNX = ".onnx"
ENDINGS = (".safetensors", ONNX)
SEED = 0
BATCH = 32
CHOICES = (
    "None is published. Give --encoder ecg=FILE.onnx, a model that reads [batch, 12, 1000] in mV at 100 Hz; "
    "--encoder ecg=FILE.safetensors with the tensors of omnifuse.pipeline.waveform.model.ResNet1d; or --encoder "
    "ecg=random to try things out without weights."
)
VERSION = 1
"""Raised by hand when records get other vectors from the same files."""


@dataclass(frozen=True)
class Electrocardiograms(FrozenEncoder):
    """A ResNet for twelve leads, ``random`` or with a file of its tensors, or any model in a file of ONNX."""

    content = "ecg"

    def recipe(self) -> Recipe:
        """Return what decides the vectors."""
        recipe = {
            "version": VERSION,
            "architecture": "onnx" if self._is_onnx else "ResNet1d, 4 stages of 2 blocks, 256 values",
            "ecg": RECIPE,
            "output": "the first output" if self._is_onnx else "after average pooling",
            "dtype": "float16",
            "precision": "float32",
        }
        if self.model == RANDOM:
            return {**recipe, "name": RANDOM, "seed": SEED}
        path = self._file()
        return {**recipe, "name": path.stem, "weights": digest_file(path)}

    def read(self, path: Path) -> npt.NDArray[np.float32]:
        """Return a record ``[12, 1000]``; raises as :func:`read_ecg`."""
        return read_ecg(path)

    def load(self) -> Encode:
        """Load the network; it gives one row for each record, of 256 values if it is ours."""
        import torch

        from ..frozen_torch import default_device, to_float16

        device = default_device()
        network = self.module().eval().requires_grad_(False).to(device)

        def encode(records: Iterable[npt.NDArray[np.float32]]) -> Iterator[npt.NDArray[np.float16]]:
            waiting = list(records)
            for start in range(0, len(waiting), BATCH):
                leads = torch.from_numpy(np.stack(waiting[start : start + BATCH])).to(device)  # [B, 12, 1000]
                with torch.inference_mode():
                    yield from to_float16(network(leads), self.model)[:, None]  # [B, 1, D]

        return encode

    def seeded_by(self) -> tuple[str, ...]:
        """Return the packages that decide weights that come from the seed."""
        return DECIDE_SEEDED_WEIGHTS[:2] if self.model == RANDOM else ()

    def weights_digest(self) -> str:
        """Return the sha256 of the weights that the seed gives."""
        from ..frozen_torch import digest_weights

        return digest_weights(self.module())

    def module(self) -> "nn.Module":
        """Return the network with its weights; raises :class:`InputError` if they do not fit exactly."""
        from ..frozen_torch import check_weights, seed_weights
        from ..image.weights import load_exactly
        from ..onnx_model import OnnxVectors
        from .model import ResNet1d

        if self._is_onnx:
            return OnnxVectors(self._file())

        network = ResNet1d(len(LEADS))
        if self.model == RANDOM:
            seed_weights(network, SEED)
            return network
        path = self._file()
        loaded = load_exactly(network, path, (), "the network for electrocardiograms")
        check_weights(loaded, path)
        return loaded

    @property
    def _is_onnx(self) -> bool:
        return self.model.endswith(ONNX)

    def _file(self) -> Path:
        path = Path(self.model).expanduser()
        if not self.model or path.suffix not in ENDINGS or not path.is_file():
            found = f"There is no file {path}. " if self.model else ""
            raise MissingInputError(f"The encoder of electrocardiograms cannot be loaded. {found}{CHOICES}")
        if self._is_onnx:
            require("onnxruntime", f"--encoder ecg={self.model}")
        refuse_stand_in(path)
        return path
