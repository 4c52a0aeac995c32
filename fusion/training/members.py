"""Several models of one method, trained side by side on the same batches, whose answers are averaged.

Each has initial weights and dropout of its own: what chance in a training does to an answer is averaged out.
(Lakshminarayanan et al., NeurIPS 2017.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from ..inputs.batches import Batch
from ..methods.base import Context, Method, Phase, Prediction
from .predictions import mean_prediction

Loss = Callable[[Batch], dict[str, Tensor]]


class Members(Method):
    """The ``members`` as one model; each learns as it would by itself.

    What a method tells of its inner life (tables, details, imputed embeddings) is told of the first.
    """

    def __init__(self, members: Sequence[Method]) -> None:
        nn.Module.__init__(self)
        first = members[0]
        self.name, self.spec, self.options, self.target = first.name, first.spec, first.options, first.target  # type: ignore[misc]
        self.members: Sequence[Method] = nn.ModuleList(members)  # type: ignore[assignment]

    def start_from(self, prior: Tensor) -> None:
        """Let every member answer with the prior what it has no input for."""
        for member in self.members:
            member.start_from(prior)

    @property
    def prior(self) -> Tensor:  # type: ignore[override]
        """[K], the same in all."""
        return self.members[0].prior

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Return the mean of every term; the gradient of ``total`` is to each member that of its own."""
        return _together([member.loss for member in self.members], batch)

    def predict(self, batch: Batch) -> Prediction:
        """Return the mean of what the members say."""
        return mean_prediction([member.predict(batch) for member in self.members])

    def imputed_embeddings(self, batch: Batch) -> tuple[Tensor, Tensor] | None:
        """Return those of the first."""
        return self.members[0].imputed_embeddings(batch)

    def phases(self) -> Sequence[Phase]:
        """Return the phases, each of all members."""
        return [
            Phase(
                alike[0].name,
                partial(_together, [phase.loss for phase in alike]),
                list(chain.from_iterable(phase.modules for phase in alike)),
                alike[0].share,
            )
            for alike in zip(*(member.phases() for member in self.members), strict=True)
        ]

    def parameter_groups(self) -> list[list[nn.Parameter]]:
        """Return the groups of all."""
        return [group for member in self.members for group in member.parameter_groups()]

    def step_sizes(self) -> Sequence[float]:
        """Return the sizes of all."""
        return [size for member in self.members for size in member.step_sizes()]

    def independent_parts(self) -> list[nn.Module]:
        """Return the parts of all."""
        return [part for member in self.members for part in member.independent_parts()]

    def on_fit_start(self, context: Context) -> None:
        """Tell all."""
        for member in self.members:
            member.on_fit_start(context)

    def on_epoch_start(self, context: Context) -> None:
        """Tell all."""
        for member in self.members:
            member.on_epoch_start(context)

    def before_step(self, context: Context) -> None:
        """Tell all."""
        for member in self.members:
            member.before_step(context)

    def on_epoch_end(self, context: Context) -> None:
        """Tell all."""
        for member in self.members:
            member.on_epoch_end(context)

    def on_fit_end(self, context: Context) -> None:
        """Tell all."""
        for member in self.members:
            member.on_fit_end(context)

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return those of the first."""
        return self.members[0].tables()

    def details(self) -> dict[str, Any]:
        """Return those of the first."""
        return self.members[0].details()


def _together(losses: Sequence[Loss], batch: Batch) -> dict[str, Tensor]:
    """Return the mean of every term, with the gradient of the sum of the totals."""
    found = [loss(batch) for loss in losses]
    terms = {name: torch.stack([one[name] for one in found]).mean() for name in found[0]}
    total = torch.stack([one["total"] for one in found]).sum()
    return {**terms, "total": terms["total"].detach() + (total - total.detach())}
