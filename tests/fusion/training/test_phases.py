"""Phases of a training: what is trained, for how long, and what the history calls it."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from omnifuse.fusion.methods.base import Context, Phase
from omnifuse.fusion.methods.concat import Concat
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.training.loop import Parts, fit

from tests.fusion.vectors import noise, spec_of

EVERYONE = torch.arange(40)


class EncodersThenHead(Concat):
    """Trains its encoders, then its head for half as long; notes which parameters have gradients at every step."""

    def phases(self) -> Sequence[Phase]:
        return [Phase("encoders", self.loss, [self.encoders]), Phase("", self.loss, [self.head], share=0.5)]

    def on_fit_start(self, context: Context) -> None:
        super().on_fit_start(context)
        self.seen: list[tuple[int, set[str]]] = []
        self.weights: list[dict[str, torch.Tensor]] = [self.copied()]

    def before_step(self, context: Context) -> None:
        learning = {name.split(".")[0] for name, p in self.named_parameters() if p.grad is not None}
        self.seen.append((context.phase, learning))

    def on_epoch_end(self, context: Context) -> None:
        if context.epoch == context.epochs - 1:
            self.weights.append(self.copied())

    def copied(self) -> dict[str, torch.Tensor]:
        return {name: p.detach().clone() for name, p in self.named_parameters()}


def trained() -> tuple[EncodersThenHead, list[dict[str, object]]]:
    torch.manual_seed(0)
    method = EncodersThenHead(spec_of())
    return method, fit(method, noise(), Parts(EVERYONE, EVERYONE), FitConfig(epochs=4, batch_size=40), 0)


def test_a_phase_trains_its_modules_and_leaves_the_rest() -> None:
    method, _ = trained()
    for module, (before, after) in zip(("encoders", "head"), pairwise(method.weights), strict=True):
        changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
        assert changed == {module}
    assert all(p.requires_grad for p in method.parameters())


def test_gradients_of_an_earlier_phase_do_not_count() -> None:
    """Clipping adds up all gradients that it finds."""
    method, _ = trained()
    assert method.seen == [(0, {"encoders"})] * 4 + [(1, {"head"})] * 2


def test_epochs_are_counted_on_and_terms_named_after_their_phase() -> None:
    _, history = trained()
    losses = {(row["epoch"], row["term"]) for row in history if row["term"] != "auroc"}
    assert losses == {(epoch, "encoders: total" if epoch < 4 else "total") for epoch in range(6)}
