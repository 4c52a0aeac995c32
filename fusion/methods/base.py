"""What a fusion method is: a module with a loss, a prediction and a few hooks that the one training loop calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from ..batches import Batch
from ..encoders import Encoded, EncoderConfig, InputSpec, ModalityEncoders
from ..targets import Target

if TYPE_CHECKING:
    from ..training import Fitting


@dataclass(frozen=True)
class ModelSpec:
    """Everything that decides a model's shape besides the method's own options."""

    inputs: tuple[InputSpec, ...]
    target: Target
    encoder: EncoderConfig = field(default_factory=EncoderConfig)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, in the order of every M axis."""
        return tuple(spec.name for spec in self.inputs)


@dataclass(frozen=True)
class Context:
    """What a hook may know: the moment, data of the training and validation parts, and the fold's random generator.

    ``training()`` and ``validation()`` iterate over batches in fixed order; ``training`` is a fixed random subset of
    at most ``FitConfig.mining_rows`` samples, the same in every epoch. Neither ever holds a test sample.
    """

    epoch: int
    epochs: int
    training: Callable[[], Iterator[Batch]]
    validation: Callable[[], Iterator[Batch]]
    generator: torch.Generator


@dataclass(frozen=True)
class Prediction:
    """Probabilities for B samples; the explanation fields stay empty where a method has nothing to say.

    ``probability`` [B, K]: binary K = 1, multilabel one per label, multiclass one per class (rows sum to one).
    ``imputed`` [B, M] bool: slots whose embedding the method filled in. The others explain binary tasks only:
    ``modality_probability`` and ``weight`` [B, M], what each modality says alone and how much it counts; ``readouts``
    name to [B], what each way to read the same heads predicts; ``combinations`` name such as ``cxr+ehr`` to [B], the
    probability if nothing else were known, NaN for a sample that lacks some of the combination.
    """

    probability: Tensor
    modality_probability: Tensor | None = None
    weight: Tensor | None = None
    imputed: Tensor | None = None
    readouts: Mapping[str, Tensor] = field(default_factory=dict)
    combinations: Mapping[str, Tensor] = field(default_factory=dict)


def combine(predictions: Sequence[Prediction], how: Callable[[list[Tensor]], Tensor]) -> Prediction:
    """Make one prediction out of several by the method, by combining each of their tensors."""

    def combined(values: list[Any]) -> Any:
        if isinstance(values[0], Mapping):
            return {name: how([value[name] for value in values]) for name in values[0]}
        return None if values[0] is None else how(values)

    return Prediction(*(combined([getattr(p, part.name) for p in predictions]) for part in fields(Prediction)))


class Method(nn.Module):
    """Base of all fusion methods; a method is one file with one subclass, listed in ``methods/__init__.py``.

    A subclass sets ``name``, ``family`` and ``source`` (paper and equations), may define a frozen dataclass
    ``Options`` whose fields all have defaults, and implements ``loss`` and ``predict``. It never sees raw arguments.
    ``presets`` maps a preset's name to overrides such as ``"options.alpha=0.1"``.
    """

    name: ClassVar[str]
    family: ClassVar[str]
    source: ClassVar[str]
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {"default": ()}
    chooses: ClassVar[bool] = False
    """Whether the method chooses anything by the inner validation part, which it then needs."""
    by_gradient: ClassVar[bool] = True
    """Whether the loop minimises ``loss``; otherwise it calls ``fit`` once, and ``loss`` is for the history alone."""

    @dataclass(frozen=True)
    class Options:
        """No options."""

    prior: Tensor

    def __init__(self, spec: ModelSpec, options: Any = None) -> None:
        super().__init__()
        self.spec = spec
        self.options: Any = type(self).Options() if options is None else options
        self.target = spec.target
        self.encoders = ModalityEncoders(spec.inputs, spec.encoder)
        # [K] logits of the label frequencies among training samples, set by the loop: the answer without any input
        self.register_buffer("prior", torch.zeros(spec.target.output_size))

    def encode(self, batch: Batch) -> Encoded:
        """Encode every modality that is there, once: ``Encoded(embeddings [B, M, D], missing [M, D], presence)``."""
        encoded: Encoded = self.encoders(batch)
        return encoded

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Return named scalar terms; the loop minimises ``"total"`` and records them all.

        Terms besides the total are for the history only and are unweighted. Called in training mode on training
        batches and in evaluation mode without gradients for the history of the validation part.
        """
        raise NotImplementedError

    def predict(self, batch: Batch) -> Prediction:
        """Return probabilities without using ``batch.y``; called in evaluation mode without gradients."""
        raise NotImplementedError

    def fit(self, fitting: Fitting) -> None:
        """Fit to the training part; only if not ``by_gradient``."""
        raise NotImplementedError

    def independent_parts(self) -> list[nn.Module]:
        """Sub-models that share no parameter; each gets its own gradient clipping. One by default: the whole."""
        return [self]

    def on_fit_start(self, context: Context) -> None:
        """Act once before the first epoch (``context.epoch`` is 0)."""

    def on_epoch_start(self, context: Context) -> None:
        """Act before the first step of an epoch, in training mode."""

    def before_step(self, context: Context) -> None:
        """Act after backward, before clipping and the optimiser's step."""

    def on_epoch_end(self, context: Context) -> None:
        """Act after the last step of an epoch, in evaluation mode without gradients."""

    def on_fit_end(self, context: Context) -> None:
        """Act once after the last epoch, in evaluation mode without gradients."""

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Tables to leave in the run folder: name to rows, each written with a fold column as ``<name>.parquet``."""
        return {}

    def details(self) -> dict[str, Any]:
        """JSON-ready facts about this fitted model for ``method_details`` in metrics.json."""
        return {}
