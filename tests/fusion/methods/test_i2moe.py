"""I²MoE: what experts are taught, in closed form, and how they are weighed."""

import math
from typing import Any

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.i2moe import I2MoE, Opinions
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.loop import Parts, fit

from tests.fusion.vectors import COLUMNS, TARGETS, noise, spec_of, step, whole

SYNERGY, REDUNDANCY = 3, 4


def i2moe(target: Target = TARGETS[0], **options: Any) -> I2MoE:
    torch.manual_seed(0)
    return I2MoE(spec_of(target, dropout=0.0), I2MoE.Options(**options)).eval()


def opinions(full: torch.Tensor, without: torch.Tensor) -> Opinions:
    return Opinions(full, without, torch.full(full.shape[:2], 1 / full.shape[1]))


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
def test_who_never_says_anything_else_is_redundant(target: Target) -> None:
    """A modality replaced by itself: no distance, so that a specialist misses its margin by all of it."""
    method, full = i2moe(target, margin=0.7), torch.randn(6, 5, target.output_size)
    taught = method.interactions(opinions(full, full[:, :, None].expand(-1, -1, 3, -1)), torch.ones(6, 3) > 0)
    torch.testing.assert_close(taught, torch.tensor([0.7, 0.7, 0.7, 1.0, 0.0]), atol=1e-6, rtol=0)


def test_a_specialist_says_something_else_without_its_own_modality_alone() -> None:
    full, without = torch.zeros(1, 5, 1), torch.zeros(1, 5, 3, 1)
    without[0, 0, 0], without[0, 1, 2] = 2.0, 2.0  # the second is a specialist in the third
    taught = i2moe().interactions(opinions(full, without), torch.ones(1, 3) > 0)
    far = math.hypot(math.log(0.5) + math.log1p(math.exp(-2)), math.log(0.5) + math.log1p(math.exp(2)))
    expected = [max(0.0, 1 - far), 1 + far / 2, 1.0]
    torch.testing.assert_close(taught[:3], torch.tensor(expected), atol=1e-6, rtol=0)


def test_absent_modalities_teach_nothing() -> None:
    shown = torch.tensor([[True, False, True], [False, True, False]])
    full, without = torch.randn(2, 5, 1), torch.randn(2, 5, 3, 1)
    other = without.clone()
    other[~shown[:, None, :].expand(-1, 5, -1)] = 9.0
    method = i2moe()
    taught = method.interactions(opinions(full, without), shown)
    torch.testing.assert_close(taught, method.interactions(opinions(full, other), shown))
    assert taught[1] == 0  # nobody has the second modality beside another
    assert not method.interactions(opinions(full, without), shown & False).any()


def test_an_absent_modality_is_one_that_is_replaced() -> None:
    method, inputs = i2moe(), noise(share=1.0)
    encoded = method.encode(whole(inputs))
    said = method.opinions(encoded.embeddings, encoded.missing)
    for m, name in enumerate(COLUMNS):
        lacking = method.encode(whole(inputs.without([name])))
        torch.testing.assert_close(said.without[:, :, m], method.opinions(lacking.embeddings, lacking.missing).full)


def test_weights_sum_to_one_and_weigh_the_logits() -> None:
    method, batch = i2moe(TARGETS[1]), whole(noise(target=TARGETS[1]))
    encoded = method.encode(batch)
    said = method.opinions(encoded.embeddings, encoded.missing)
    torch.testing.assert_close(said.weights.sum(1), torch.ones(40))
    torch.testing.assert_close(method.fuse(encoded.embeddings, encoded.presence), said.fused)
    torch.testing.assert_close(said.fused[0], (said.weights[0, :, None] * said.full[0]).sum(0))


def test_everything_learns_the_gate_too() -> None:
    _, gradients = step(i2moe(), whole(noise()))
    assert gradients.keys() == {name for name, _ in i2moe().named_parameters()}
    assert all(gradient.any() and gradient.isfinite().all() for gradient in gradients.values())


def test_the_table_tells_how_much_each_expert_counts() -> None:
    method = i2moe()
    fit(method, noise(60), Parts(torch.arange(60), torch.arange(0)), FitConfig(epochs=2, batch_size=20), seed=0)
    rows = method.tables()["experts"]
    roles = [*(f"unique {name}" for name in COLUMNS), "synergy", "redundancy"]
    assert [(row["epoch"], row["expert"]) for row in rows] == [(epoch, role) for epoch in range(2) for role in roles]
    assert sum(row["weight"] for row in rows[:5]) == pytest.approx(1)


@pytest.mark.parametrize("name", ["interaction_weight", "margin"])
def test_wrong_options_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=name):
        I2MoE.Options(**{name: -1.0})
