"""One view of all that a model can predict.

Methods of classes are written against two tables of log-probabilities, ``lp`` and ``l1p`` of shape ``[..., K, C]``:
``K`` decisions (labels; one for binary and multi-class) with ``C`` possible values each. A label may be NaN: unknown.

``survival`` is a decision for each of K intervals of time: 1 where the event came in it, 0 where it was lived through,
unknown from there on; what is predicted are the hazards. To a method it is several labels, of which some are unknown.
``regression`` has no such tables: its K outcomes are real numbers, standardised, and so are the "logits" that predict
them; a method whose rule needs probabilities does not serve it.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ...cache_schema.errors import InputError

Kind = Literal["binary", "multilabel", "multiclass", "survival", "regression"]
PROBABILITIES: tuple[Kind, ...] = ("binary", "multilabel", "multiclass", "survival")
"""Kinds of which probabilities are predicted."""
KINDS: tuple[Kind, ...] = (*PROBABILITIES, "regression")

NEAREST = 1e-6
"""Probabilities are kept this far away from 0 and 1 where they are turned back into logits."""


def mean_known(values: Tensor, known: Tensor) -> Tensor:
    """Mean of ``values`` over the last axis where ``known`` (bool, broadcastable); 0 where nothing is known."""
    total = torch.where(known, values, 0.0).sum(-1)
    return total / known.sum(-1).clamp(min=1)


@dataclass(frozen=True)
class Target:
    """What a model predicts.

    Parameters
    ----------
    kind : one of `KINDS`
    classes : number of logits: 1 for binary, the labels of multi-label, the classes of multi-class, the intervals of
        survival, the outcomes of regression.
    base : of survival log-odds for each interval, or nothing for 0: logits are relative to them. A network whose heads
        say next to nothing at first then begins at the hazards of everybody, as the linear predictor of a Cox
        regression does, and not at an even chance of dying in every interval, from where it takes all its training to
        come down to a percent.

    Raises
    ------
    InputError
        For an unknown kind, or a number of classes or log-odds that the kind cannot have.
    """

    kind: Kind
    classes: int = 1
    base: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.base and (self.kind != "survival" or len(self.base) != self.classes):
            raise InputError(f"a {self.kind} target of {self.classes} cannot have {len(self.base)} log-odds of a base")
        if self.kind not in KINDS:
            raise InputError(f"target kind {self.kind!r} is unknown; known are {', '.join(KINDS)}")
        fewest = 2 if self.kind == "multiclass" else 1
        if self.classes < fewest or (self.kind == "binary" and self.classes != 1):
            raise InputError(f"a {self.kind} target cannot have {self.classes} classes")

    @property
    def output_size(self) -> int:
        """Number of logits of one prediction."""
        return self.classes

    def offset(self, like: Tensor) -> Tensor:
        """Return what logits are relative to, [output_size], of the type and place of another tensor; 0 but for a base.

        What has log-odds from elsewhere subtracts it.
        """
        return like.new_tensor(self.base) if self.base else like.new_zeros(self.output_size)

    def log_probabilities(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability of every value of every decision, and of its contrary; not for regression.

        Parameters
        ----------
        logits : float [..., output_size]

        Returns
        -------
        lp, l1p : float [..., K, C]
            ``log p`` and ``log(1 - p)``. Values of a label are ordered (absent, present). ``l1p`` is never taken from
            ``1 - p``, which is 0 in float32 from p = 1 - 6e-8 on: it stays finite for every finite logit.

        Raises
        ------
        InputError
            For regression, of whose values there are no probabilities.
        """
        if self.kind == "regression":
            raise InputError("A regression target has no probabilities; a method that needs them does not serve it.")
        if self.kind != "multiclass":
            log_odds = logits + self.offset(logits) if self.base else logits
            lp = torch.stack([F.logsigmoid(-log_odds), F.logsigmoid(log_odds)], dim=-1)  # [..., K, 2]
            return lp, lp.flip(-1)
        lp = F.log_softmax(logits, dim=-1)
        itself = torch.eye(self.classes, dtype=torch.bool, device=logits.device)
        others = lp.unsqueeze(-2).masked_fill(itself, float("-inf"))  # [..., C, C]
        l1p = others.logsumexp(-1).clamp(max=0.0)  # rounding can give 1e-7
        return lp.unsqueeze(-2), l1p.unsqueeze(-2)  # [..., 1, C]

    def logits(self, score: Tensor) -> Tensor:
        """Logits ``[..., output_size]`` whose probabilities are the softmax over C of ``score`` ``[..., K, C]``."""
        if self.kind == "multiclass":
            return score[..., 0, :]
        log_odds = score[..., 1] - score[..., 0]
        return log_odds - self.offset(score) if self.base else log_odds

    def probabilities(self, logits: Tensor) -> Tensor:
        """Probability of each label or class, shaped like ``logits`` ``[..., output_size]``; values of regression."""
        if self.kind == "regression":
            return logits
        if self.kind == "multiclass":
            return logits.softmax(-1)
        return (logits + self.offset(logits) if self.base else logits).sigmoid()

    def logits_of(self, probabilities: Tensor) -> Tensor:
        """Logits that give these probabilities, the inverse of :meth:`probabilities`; finite for 0 and 1 as well."""
        if self.kind == "regression":
            return probabilities
        inner = probabilities.clamp(NEAREST, 1 - NEAREST)
        if self.kind == "multiclass":
            return inner.log()
        return inner.logit() - self.offset(inner) if self.base else inner.logit()

    def gather(self, table: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Entries of a table at the true values.

        Parameters
        ----------
        table : float [..., K, C]
        y : float [..., K], broadcastable against ``table``
            0 or 1 per label, or the class index; NaN where unknown.

        Returns
        -------
        values : float [..., K]; those of unknown labels mean nothing
        known : bool, shaped like ``y``
        """
        known = ~y.isnan()
        index = torch.where(known, y, 0.0).long().expand(table.shape[:-1])
        return table.gather(-1, index.unsqueeze(-1)).squeeze(-1), known

    def cross_entropy(self, logits: Tensor, y: Tensor) -> Tensor:
        """Mean cross-entropy of the known decisions of each sample, see :meth:`over_decisions`.

        Parameters
        ----------
        logits : float [..., B, output_size]
        y : float [B, K], NaN where unknown

        Returns
        -------
        float [..., B]; exactly 0, without gradient, for a sample of which nothing is known
        """
        return self.negative_log_likelihood(self.log_probabilities(logits)[0], y)

    def negative_log_likelihood(self, lp: Tensor, y: Tensor) -> Tensor:
        """Return :meth:`cross_entropy` of a table ``lp`` [..., B, K, C] instead of logits."""
        values, known = self.gather(lp, y)
        return self.over_decisions(-values, known)

    def over_decisions(self, values: Tensor, known: Tensor) -> Tensor:
        """Return the mean of ``values`` [..., K] over the known decisions; of intervals of time over all, known or not.

        So the loss of a sample is the likelihood of its hazards, but for a factor that all samples share. The mean over
        known intervals would count an early event more than a long life, and make all hazards too high.
        """
        return torch.where(known, values, 0.0).mean(-1) if self.kind == "survival" else mean_known(values, known)

    def known(self, y: Tensor) -> Tensor:
        """Whether any decision of a sample is known: bool [B] of ``y`` [B, K]."""
        return (~y.isnan()).any(-1)

    def loss(self, logits: Tensor, y: Tensor) -> Tensor:
        """Mean of :meth:`misfit` over the samples of which something is known; 0 if there is none."""
        return mean_known(self.misfit(logits, y), self.known(y))

    def misfit(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return :meth:`cross_entropy`, of regression :meth:`squared_error`."""
        return self.squared_error(logits, y) if self.kind == "regression" else self.cross_entropy(logits, y)

    def squared_error(self, values: Tensor, y: Tensor) -> Tensor:
        """Mean squared error [..., B] of ``values`` [..., B, K] over the known outcomes y [B, K] of each sample."""
        known = ~y.isnan()
        return mean_known((values - torch.where(known, y, 0.0)) ** 2, known)
