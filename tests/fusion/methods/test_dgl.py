"""Disentangled gradient learning: no loss reaches what another teaches."""

import pytest
import torch
from omnifuse.fusion.methods.dgl import DGL
from omnifuse.fusion.parts.targets import Target
from omnifuse.testing.vectors import OTHERS
from torch import Tensor

from tests.fusion.vectors import COLUMNS, TARGETS, noise, spec_of, whole


def dgl(target: Target = TARGETS[0]) -> DGL:
    torch.manual_seed(0)
    return DGL(spec_of(target, dropout=0.0)).eval()


def reached(method: DGL, loss: Tensor) -> set[str]:
    """Which encoders, by modality, and whether the head gets a gradient that is not zero."""
    method.zero_grad()
    loss.backward()
    parts = dict(zip((*COLUMNS, "head"), method.independent_parts(), strict=True))
    return {name for name, part in parts.items() if any(p.grad is not None and p.grad.any() for p in part.parameters())}


@pytest.mark.parametrize("target", [*TARGETS, *OTHERS], ids=lambda target: target.kind)
def test_the_joint_loss_reaches_the_head_and_each_other_one_encoder(target: Target) -> None:
    method, batch = dgl(target), whole(noise(target=target))
    assert reached(method, method.loss(batch)["ce"]) == {"head"}
    for name in COLUMNS:
        assert reached(method, method.loss(batch)[name]) == {name}
    assert reached(method, method.loss(batch)["total"]) == {*COLUMNS, "head"}


def test_a_modality_alone_is_what_the_head_says_where_the_others_are_missing() -> None:
    method, inputs = dgl(), noise(share=1.0)
    alone = method.unimodal_logits(method.encode(whole(inputs)))
    for m, name in enumerate(COLUMNS):
        others = whole(inputs.without([other for other in COLUMNS if other != name]))
        torch.testing.assert_close(alone[:, m], method.joint_logits(method.encode(others)))
