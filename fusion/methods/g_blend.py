"""Gradient-Blend: heads weigh more in training the better they generalise and the less they overfit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.targets import KINDS
from .base import Method, ModelSpec, Prediction
from .blend import Blend, blend_weights
from .concat import Concat
from .fitting import EVALUATION_BATCH, cosine_share, prior_logits

if TYPE_CHECKING:
    from .fitting import Fitting

PARTS = 5
"""One of so many parts of the training part is held out while the weights are estimated."""


class GBlend(Method):
    """A joint head and a head per modality, each weighed by what it gains and how much it overfits.

    A fifth of the training part is held out while models are trained on the rest. A head's weight is the decrease of
    its held-out loss, divided by the square of the increase of its overfitting: the held-out loss minus the training
    loss. The final model is trained with these weights on the whole training part.

    The estimate costs 1.6 times as much as the final training offline, and with three super-epochs 2.1 times as much
    online, 0.5 by tracking.
    """

    name = "g-blend"
    family = "balanced learning"
    source = "Wang, Tran and Feiszli 2020, arXiv 1905.12681: weights by the overfitting-to-generalisation ratio"
    cost = 3.5
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": (),
        "online": ("options.estimate=online",),
        "track": ("options.estimate=track",),
    }
    kinds = KINDS
    by_gradient = False
    needs = "models"
    fewest_modalities = 2
    search_space: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "options.smallest_weight": ("0.01", "0.1"),
    }

    @dataclass(frozen=True)
    class Options(Concat.Options):
        """Options of concatenation, and how the weights are estimated."""

        estimate: Literal["offline", "online", "track"] = "offline"
        """Once, from a training of each modality and of the joint head alone; for every super-epoch, from such
        trainings of copies of the current model; or for every super-epoch from what the heads gained in the last one,
        without copies, which is not in the paper."""
        super_epochs: int = 3
        """Equal parts of the training with weights of their own, online and by tracking."""
        smallest_weight: float = 0.01
        """Least weight of a head."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.super_epochs < 1:
                raise InputError(f"super_epochs must be at least 1; got {self.super_epochs}")
            if not 0 < self.smallest_weight <= 1:  # without any weight the joint head would predict untrained
                raise InputError(f"smallest_weight must lie in (0, 1]; got {self.smallest_weight}")

    options: Options

    def __init__(self, spec: ModelSpec, options: Options | None = None) -> None:
        super().__init__(spec, options)
        self.super_epochs = 1 if self.options.estimate == "offline" else self.options.super_epochs
        self.model = Blend(spec, self.options, self.super_epochs)
        self.heads = (*spec.modalities, "joint")
        self.trace: list[dict[str, Any]] = []

    def fit(self, fitting: Fitting) -> None:
        """Estimate the weights of every super-epoch, and train the model with them."""
        self.trace = []
        tracks = self.options.estimate == "track"
        trainings = iter(fitting.progress(range((1 if tracks else 3) * self.super_epochs)))
        trial = Trial(fitting, self.target.kind, self.super_epochs, trainings)
        estimates = self._by_tracking(trial) if tracks else self._by_copies(trial)
        self.model.weights.copy_(torch.stack(list(estimates)))
        next(trainings)
        fitting.train(self.model, fitting.samples, fitting.config.epochs, fitting.seed)
        next(trainings, None)  # so that the progress ends

    def _by_copies(self, trial: Trial) -> Iterator[Tensor]:
        """Yield the weights [M + 1] of every super-epoch, from copies that are trained by some heads' losses alone.

        Without the joint head's loss the modalities share nothing, so that one training does for all of them.
        """
        model = self._new()
        weights, joint = model.weights[0].clone(), torch.eye(len(self.heads))[-1].to(model.weights)
        for number in range(self.super_epochs):
            before = trial.train(model, number - 1, weights) if number else trial.losses_at_start(model)
            alone = trial.train(self._new(model), number, 1 - joint)
            together = trial.train(self._new(model), number, joint)
            weights = self._weigh(number, before, torch.where(joint > 0, together, alone))
            yield weights

    def _by_tracking(self, trial: Trial) -> Iterator[Tensor]:
        """Yield the weights [M + 1] of every super-epoch: all alike, then from the heads' gains in the last one."""
        model = self._new()
        weights, after = model.weights[0].clone(), trial.losses_at_start(model)
        yield weights
        for number in range(1, self.super_epochs):
            before, after = after, trial.train(model, number - 1, weights)
            weights = self._weigh(number, before, after)
            yield weights

    def _new(self, like: Blend | None = None) -> Blend:
        """Return a model to estimate with: untrained, or a copy."""
        model = Blend(self.spec, replace(self.options, imputation="none"), self.super_epochs).to(self.prior.device)
        if like is not None:
            model.load_state_dict(like.state_dict())
        return model.eval()

    def _weigh(self, super_epoch: int, before: Tensor, after: Tensor) -> Tensor:
        """Return the weights [M + 1] by training and held-out losses [2, M + 1], and write them into the trace."""
        gain = before[1] - after[1]
        overfitting = (after[1] - after[0]) - (before[1] - before[0])
        weights = blend_weights(gain, overfitting, self.options.smallest_weight)
        columns = {"gain": gain.tolist(), "overfitting": overfitting.tolist(), "weight": weights.tolist()}
        for place, head in enumerate(self.heads):
            values = {name: column[place] for name, column in columns.items()}
            self.trace.append({"super_epoch": super_epoch, "head": head, **values})
        return weights

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Return the losses of the model."""
        return self.model.loss(batch)

    def predict(self, batch: Batch) -> Prediction:
        """Return what the joint head of the model says, and of a binary task what each modality says."""
        return self.model.predict(batch)

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return the estimated weights, and the gain and the overfitting that they come from."""
        return {"blend": self.trace}

    def details(self) -> dict[str, Any]:
        """Return the weights of every head by super-epoch."""
        return {"weights": dict(zip(self.heads, self.model.weights.T.tolist(), strict=True))}


class Trial:
    """Trains models on the training part without a fifth, and measures their heads on both.

    Every super-epoch is a training of its own, with the learning rates that the final model has at that time.
    """

    def __init__(self, fitting: Fitting, kind: str, super_epochs: int, trainings: Iterator[int]) -> None:
        self.fitting, self.super_epochs, self.trainings = fitting, super_epochs, trainings
        self.samples, self.held_out = fitting.folds(PARTS, kind)[0]

    def train(self, model: Blend, super_epoch: int, weights: Tensor) -> Tensor:
        """Train a model in place for one super-epoch with weights [M + 1], and return its :meth:`losses`."""
        config = self.fitting.config
        first, last = (
            config.learning_rate * cosine_share(number / self.super_epochs, config.final_rate)
            for number in (super_epoch, super_epoch + 1)
        )
        model.weights.copy_(weights)
        fitting = replace(self.fitting, config=replace(config, learning_rate=first, final_rate=last / first))
        seed = self.fitting.seed * 100 + next(self.trainings)
        fitting.train(model, self.samples, max(1, round(config.epochs / self.super_epochs)), seed)
        return self.losses(model)

    def losses(self, model: Blend) -> Tensor:
        """Return the losses [2, M + 1] of the heads on what models are trained on, and on what is held out."""
        return self._losses(model, model.head_logits)

    def losses_at_start(self, model: Blend) -> Tensor:
        """Return the losses [2, M + 1] of heads that say the label frequencies, whatever the sample.

        Gains are counted from there: from random weights, every head would gain most by learning how rare a label is.
        """
        prior = prior_logits(model, self.fitting.inputs.y[self.samples])
        return self._losses(model, lambda batch: prior.expand(len(batch), model.weights.shape[1], -1))

    def _losses(self, model: Blend, logits_of: Callable[[Batch], Tensor]) -> Tensor:
        parts = (self.samples, self.held_out)
        return torch.stack([self._losses_on(samples, model, logits_of) for samples in parts])

    @torch.no_grad()
    def _losses_on(self, samples: Tensor, model: Blend, logits_of: Callable[[Batch], Tensor]) -> Tensor:
        """Mean cross-entropy of logits [B, M + 1, K] of every head over the samples that have its modality, [M + 1]."""
        inputs = self.fitting.inputs
        logits = torch.cat([logits_of(batch) for batch in inputs.batches(samples, EVALUATION_BATCH)])
        y, present = inputs.y[samples], inputs.presence[samples]
        has = torch.cat([present, present.any(1, keepdim=True)], dim=1)  # [n, M + 1]
        losses = [model.target.loss(logits[rows, head], y[rows]) for head, rows in enumerate(has.T)]
        return torch.stack(losses)
