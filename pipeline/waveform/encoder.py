"""A frozen encoder of electrocardiograms: weights of your own for a residual network, or random ones."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...cache_schema import MissingInputError, Recipe, digest_file
from ..frozen_encoders import DECIDE_SEEDED_WEIGHTS, Encode, FrozenEncoder
from ..hub import refuse_stand_in
from .leads import LEADS, RECIPE, read_ecg

if TYPE_CHECKING:
    from torch import nn

RANDOM = "random"
ENDING = ".safetensors"
SEED = 0
BATCH = 32
CHOICES = (
    "No weights are published for this network. Give --encoder ecg=FILE.safetensors with the tensors of "
    "omnifuse.pipeline.waveform.model.ResNet1d, or --encoder ecg=random to try things out without weights."
)
VERSION = 1
"""Raised by hand when records get other vectors from the same files."""


@dataclass(frozen=True)
class Electrocardiograms(FrozenEncoder):
    """A ResNet for twelve leads: ``random``, or a file of its tensors."""

    content = "ecg"
    on_devices = True

    def recipe(self) -> Recipe:
        """Return what decides the vectors."""
        recipe = {
            "version": VERSION,
            "architecture": "ResNet1d, 4 stages of 2 blocks, 256 values",
            "ecg": RECIPE,
            "output": "after average pooling",
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
        """Load the network; it gives one row of 256 values for each record."""
        import torch

        from ..frozen_torch import default_device, to_float16

        device = default_device()
        network = self.module().eval().requires_grad_(False).to(device)

        def encode(records: Iterable[npt.NDArray[np.float32]]) -> Iterator[npt.NDArray[np.float16]]:
            waiting = list(records)
            for start in range(0, len(waiting), BATCH):
                leads = torch.from_numpy(np.stack(waiting[start : start + BATCH])).to(device)  # [B, 12, 1000]
                with torch.inference_mode():
                    yield from to_float16(network(leads), self.model)[:, None]  # [B, 1, 256]

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
        from .model import ResNet1d

        network = ResNet1d(len(LEADS))
        if self.model == RANDOM:
            seed_weights(network, SEED)
            return network
        path = self._file()
        loaded = load_exactly(network, path, (), "the network for electrocardiograms")
        check_weights(loaded, path)
        return loaded

    def _file(self) -> Path:
        path = Path(self.model).expanduser()
        if not self.model or path.suffix != ENDING or not path.is_file():
            found = f"There is no file {path}. " if self.model else ""
            raise MissingInputError(f"The encoder of electrocardiograms cannot be loaded. {found}{CHOICES}")
        refuse_stand_in(path)
        return path
