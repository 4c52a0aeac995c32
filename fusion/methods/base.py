"""What a fusion method is: a module with a loss, a prediction and a few hooks that the one training loop calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ...cache_schema import InputError
from ...cache_schema.packages import require
from ..inputs.batches import Batch
from ..inputs.spec import EncoderConfig, InputSpec
from ..parts.encoders import Encoded, ModalityEncoders
from ..parts.targets import PROBABILITIES, Kind, Target

if TYPE_CHECKING:
    from .fitting import Fitting


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

    ``phase`` counts the phases of the training, ``epoch`` the ``epochs`` of the phase.
    ``training()`` and ``validation()`` iterate over batches in fixed order; ``training`` is a fixed random subset of
    at most ``FitConfig.mining_rows`` samples, the same in every epoch. Neither ever holds a test sample.
    """

    phase: int
    epoch: int
    epochs: int
    training: Callable[[], Iterator[Batch]]
    validation: Callable[[], Iterator[Batch]]
    generator: torch.Generator


@dataclass(frozen=True)
class Prediction:
    """Probabilities for B samples; the explanation fields stay empty where a method has nothing to say.

    ``probability`` [B, K]: binary K = 1, multilabel one per label, multiclass one per class (rows sum to one); survival
    the hazard of each interval; of regression the standardised values.
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


@dataclass(frozen=True)
class Phase:
    """A stretch of the training: what it minimises, and what it trains.

    ``loss`` returns named terms as ``Method.loss`` does; ``modules`` are trained, the rest of the model is left as it
    is; ``share`` of ``FitConfig.epochs`` is how long, one epoch at least. The history names the terms of a phase
    ``<name>: <term>``, those of a phase without a name as they are.
    """

    name: str
    loss: Callable[[Batch], dict[str, Tensor]]
    modules: Sequence[nn.Module]
    share: float = 1.0


Needs = Literal["embeddings", "pooled", "models"]


class Method(nn.Module):
    """Base of all fusion methods; a method is one file with one subclass.

    A subclass sets ``name``, ``family`` and ``source`` (paper and equations), may define a frozen dataclass
    ``Options`` whose fields all have defaults, and implements ``loss`` and ``predict``. It never sees raw arguments.
    ``presets`` maps a preset's name to overrides such as ``"options.alpha=0.1"``.
    """

    name: ClassVar[str]
    family: ClassVar[str]
    source: ClassVar[str]
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {"default": ()}
    own_preset: ClassVar[str | None] = None
    """A preset that names this method by itself, where no method is given."""
    kinds: ClassVar[tuple[Kind, ...]] = PROBABILITIES
    """What it can predict, of `parts.targets.KINDS`. A method that serves several labels, some of them unknown, serves
    ``survival``; one whose rule needs no probabilities can add ``regression``."""
    needs: ClassVar[Needs] = "embeddings"
    """What it fuses: ``embeddings`` of encoders trained along; ``pooled``, one vector of the cache per modality (see
    ``..pooled``); or the predictions of other ``models``. Only the first has ``encoders``."""
    fewest_modalities: ClassVar[int] = 1
    """How many modalities it takes to make sense of it."""
    package: ClassVar[str | None] = None
    """An optional package that it needs, which is also the name of the extra that installs it."""
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Values that a search may try, by setting such as ``"options.alpha"``, besides those of its bases and its kind."""
    cost: ClassVar[float] = 1.0
    """Time of a training relative to concatenation, as measured on PhysioNet 2012; for estimates of time alone."""
    chooses: ClassVar[bool] = False
    """Whether the method chooses anything by the inner validation part, which it then needs."""
    term_words: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """Title and meaning of the terms of ``loss``, for the figures of a report, in their order; others go by name."""
    weight_words: ClassVar[str | None] = None
    """What the ``weight`` of a modality in a prediction says, in a sentence for a report."""
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
        if self.needs == "embeddings":
            self.encoders = ModalityEncoders(spec.inputs, spec.encoder)
        # [K] logits of the label frequencies among training samples, set by the loop: the answer without any input
        self.register_buffer("prior", torch.zeros(spec.target.output_size))

    def start_from(self, prior: Tensor) -> None:
        """Begin a training with the logits [K] of the label frequencies as the answer without any input."""
        self.prior.copy_(prior)

    @classmethod
    def check(cls, modalities: Sequence[str]) -> None:
        """Raise `InputError` with the mend if the method cannot serve these modalities on this machine."""
        if len(modalities) < cls.fewest_modalities:
            raise InputError(
                f"Method {cls.name!r} fuses {cls.fewest_modalities} modalities or more; got {', '.join(modalities)}. "
                "Give more of them, or train `unimodal`."
            )
        if cls.package is not None:
            require(cls.package, f"Method {cls.name!r}")

    @classmethod
    def options_of(cls, stored: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the options that a run has stored, by their names of now."""
        return stored

    @classmethod
    def notes(cls, options: Any, y: npt.NDArray[np.float32]) -> list[str]:  # noqa: ARG003  (of any method)
        """Say what a reader of a training with these options on labels y [N, C] must know, in sentences."""
        return []

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

    def imputed_embeddings(self, batch: Batch) -> tuple[Tensor, Tensor] | None:  # noqa: ARG002  (of any method)
        """Return embeddings [B, M, D], encoded and imputed from what else a sample has; None where none is imputed."""
        return None

    def fit(self, fitting: Fitting) -> None:
        """Fit to the training part; only if not ``by_gradient``."""
        raise NotImplementedError

    def phases(self) -> Sequence[Phase]:
        """Return the stretches of the training; one by default, of everything."""
        return [Phase("", self.loss, [self])]

    def parameter_groups(self) -> list[list[nn.Parameter]]:
        """Return groups of parameters whose steps :meth:`step_sizes` scales; one by default, of all."""
        return [list(self.parameters())]

    def step_sizes(self) -> Sequence[float]:
        """Return a factor on the learning rate of each parameter group; asked before every step."""
        return [1.0] * len(self.parameter_groups())

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
