"""Stacking: several models, weighed by what they say of samples that none of them was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from ...cache_schema import InputError
from ..inputs.batches import Batch
from ..parts.calibration import fit_scale
from ..parts.combinations import combination_name, combination_table, largest_within
from ..parts.targets import KINDS
from .base import Method, ModelSpec, Prediction
from .stack_members import parse_members, without_twins

if TYPE_CHECKING:
    from .fitting import Fitting

MEMBERS = ("lightgbm", "kernel", "statistics")
"""Chosen on inner folds of training parts of PhysioNet 2012 set-a, where ``recurrent`` added nothing to them."""


class Stacking(Method):
    """A stack of any methods, by default of the kinds that did best together.

    The training part is cut into folds. On all folds but one every member is trained; of the held-out fold it is asked
    under every combination of modalities. A logistic regression without negative weights learns from these answers how
    much each member counts, and for every combination a slope and an intercept make the result a probability again.
    Predictions are the mean logit of the members of all folds, weighed so.
    """

    name = "stacking"
    family = "ensemble"
    source = "stacked generalisation, Wolpert 1992; non-negative weights, Breiman 1996; Platt scaling 1999"
    cost = 37.0
    presets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "default": ("fit.epochs=24",),
        "best": ("fit.epochs=24",),
    }
    own_preset = "best"
    kinds = KINDS
    by_gradient = False
    needs = "models"

    @dataclass(frozen=True)
    class Options:
        """Options of the stack."""

        members: tuple[str, ...] = MEMBERS
        """Any methods, each ``[NAME=]METHOD[:PRESET] [KEY=VALUE ...]`` with settings that are not the run's, such as
        ``concat:ridge`` or ``small=concat encoder.hidden=16 fit.epochs=6``. ``statistics`` and ``recurrent`` are short
        for hybrid models whose time series encoders read statistics alone, or statistics and bins, which the run has
        to make ready: ``encoder.timeseries=both``."""
        folds: int = 5
        """Folds of the training part."""

        def __post_init__(self) -> None:
            parse_members(self.members)
            if self.folds < 2:
                raise InputError(f"options.folds = {self.folds}; a stack needs at least 2.")

    options: Options
    weights: Tensor
    bias: Tensor
    slopes: Tensor
    intercepts: Tensor

    def __init__(self, spec: ModelSpec, options: Any = None) -> None:
        super().__init__(spec, options)
        self.members = without_twins(parse_members(self.options.members), spec)
        self.models = nn.ModuleList(
            nn.ModuleList(member.new(spec) for member in self.members) for _ in range(self.options.folds)
        )
        self.combinations = combination_table(len(spec.inputs))  # [C, M]
        members, outputs = len(self.members), spec.target.output_size
        self.register_buffer("weights", torch.full((members,), 1 / members))
        self.register_buffer("bias", torch.zeros(outputs))
        self.register_buffer("slopes", torch.ones(len(self.combinations)))
        self.register_buffer("intercepts", torch.zeros(len(self.combinations), outputs))

    def fit(self, fitting: Fitting) -> None:
        """Train one member after the other on all folds but one, and learn from the held-out ones how to combine them.

        Folds are of whole subjects.
        """
        folds = fitting.folds(self.options.folds, self.target.kind)
        answers = []
        for place, member in enumerate(self.members):
            config = member.settings(self.spec.encoder, fitting.config).fit
            nested, of_member = replace(fitting, config=config), []
            for fold in fitting.progress(range(len(folds)), part=member.name):
                samples, held_out = folds[fold]
                model = self._member(fold, place)
                nested.train(model, samples, config.epochs, fitting.seed * 100 + fold)
                of_member.append(self._held_out(nested, model, held_out))
            answers.append(torch.cat(of_member, dim=1))
        y = torch.cat([fitting.inputs.y[held_out].cpu() for _, held_out in folds])
        self._combine(torch.stack(answers, dim=2), y)

    def _held_out(self, fitting: Fitting, model: Method, samples: Tensor) -> Tensor:
        """Return a member's logits [1 + C, n, K]: of all that the samples have, and under every combination.

        NaN where a sample lacks some of the combination.
        """
        present = fitting.inputs.presence[samples].cpu()  # as predictions are
        rows = []
        for shown in (None, *self.combinations):
            logits = self.target.logits_of(fitting.predict(model, samples, shown).probability)
            lacks = torch.zeros_like(present[:, 0]) if shown is None else (shown & ~present).any(1)
            rows.append(torch.where(lacks[:, None], torch.nan, logits))
        return torch.stack(rows)

    def _combine(self, answers: Tensor, y: Tensor) -> None:
        """Fit weights to the logits of what the samples have, and a scale to each combination: [1 + C, n, P, K]."""
        weights, bias = fit_scale(self.target, answers[0], y)
        self.weights.copy_(weights)
        self.bias.copy_(bias)
        for number, logits in enumerate(answers[1:]):
            has_all = ~logits.isnan().any(-1).any(-1)
            score = self._score(logits[has_all]).unsqueeze(1)  # [n, 1, K]
            slope, intercept = fit_scale(self.target, score, y[has_all])
            self.slopes[number] = slope[0]
            self.intercepts[number] = intercept

    def _score(self, logits: Tensor) -> Tensor:
        """Weigh the members' logits [n, P, K]: [n, K]."""
        return (self.weights[:, None] * logits).sum(1) + self.bias

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the members."""
        return tuple(member.name for member in self.members)

    def _member(self, fold: int, place: int) -> Method:
        models: Any = self.models[fold]
        member: Method = models[place]
        return member

    def _members(self, fold: int) -> Iterator[Method]:
        return (self._member(fold, place) for place in range(len(self.members)))

    def logits_of_members(self, batch: Batch) -> Tensor:
        """Return the mean over folds of what each member says, [B, P, K]."""
        folds = [
            torch.stack([self.target.logits_of(m.predict(batch).probability) for m in self._members(fold)], dim=1)
            for fold in range(self.options.folds)
        ]
        return torch.stack(folds).mean(0)

    def logits(self, members: Tensor, present: Tensor) -> Tensor:
        """Return logits [B, K] of what the members say [B, P, K]; the prior for a sample without modalities."""
        combination = largest_within(present, self.combinations)  # [B]
        scaled = self.slopes[combination][:, None] * self._score(members) + self.intercepts[combination]
        return torch.where((combination < 0)[:, None], self.prior, scaled)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the prediction."""
        return {"total": self.target.loss(self.logits(self.logits_of_members(batch), batch.presence), batch.y)}

    def predict(self, batch: Batch) -> Prediction:
        """Return the probabilities, and of a binary task those of each member."""
        members = self.logits_of_members(batch)  # [B, P, K]
        probability = self.target.probabilities(self.logits(members, batch.presence))
        if self.target.kind != "binary":
            return Prediction(probability)
        alone = members[:, :, 0].sigmoid()
        return Prediction(probability, readouts=dict(zip(self.names, alone.T, strict=True)))

    def details(self) -> dict[str, Any]:
        """Return the weights of the members, and the scale of each combination."""
        names = [combination_name(shown, self.spec.modalities) for shown in self.combinations]
        return {
            "weights": dict(zip(self.names, self.weights.tolist(), strict=True)),
            "slopes": dict(zip(names, self.slopes.tolist(), strict=True)),
            "intercepts": dict(zip(names, self.intercepts.tolist(), strict=True)),
        }
