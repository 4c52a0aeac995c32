"""What methods share that train encoders without labels before they train a joint head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from ...cache_schema import InputError
from ..inputs.batches import Batch
from .base import Phase
from .concat import Concat


class Pretrained(Concat):
    """Base of concatenation with pre-trained encoders; a subclass says by which task, ``pretext``."""

    family = "pre-training"
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "frozen": ("options.encoders=frozen",),
        "modality-dropout": ("options.modality_dropout=0.5",),
    }
    fewest_modalities = 2
    task: ClassVar[str]
    """What the history calls the pre-training."""

    @dataclass(frozen=True)
    class Options(Concat.Options):
        """Options of concatenation and of the pre-training."""

        encoders: Literal["finetune", "frozen"] = "finetune"
        """Whether the encoders learn on with the joint head, or stay as the pre-training left them."""
        pretraining: float = 1.0
        """Epochs of the pre-training as a share of ``fit.epochs``, to which they come in addition."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if not self.pretraining > 0:
                raise InputError(f"pretraining must be positive; got {self.pretraining}")

    options: Options

    def pretext(self, batch: Batch) -> dict[str, Tensor]:
        """Return the terms of the pre-training's loss, as `Method.loss` does; no label is read."""
        raise NotImplementedError

    def pretext_module(self) -> nn.Module:
        """Return what is trained along with the encoders, and used no more with the joint head."""
        raise NotImplementedError

    def phases(self) -> Sequence[Phase]:
        """Pre-train the encoders, then train the joint head, and the encoders unless they are frozen."""
        trained = [self.head] if self.options.encoders == "frozen" else [self.encoders, self.head]
        return [
            Phase(self.task, self.pretext, [self.encoders, self.pretext_module()], self.options.pretraining),
            Phase("", self.loss, trained),
        ]
