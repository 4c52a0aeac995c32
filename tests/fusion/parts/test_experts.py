"""Mixtures of experts: who is chosen, what the experts add, and what gates are taught."""

import math

import pytest
import torch
from omnifuse.fusion.parts.experts import Experts, Gate, chosen_shares, entropy, spread, unevenness

EVERYONE = torch.ones(4, 2, dtype=torch.bool)


def test_of_one_expert_a_mixture_is_a_dense_network() -> None:
    torch.manual_seed(0)
    experts, tokens = Experts(1, 3, 5, dropout=0.0), torch.randn(7, 2, 3)
    shares = chosen_shares(Gate(3, 1, "laplace")(tokens), 1)
    assert torch.equal(shares, torch.ones(7, 2, 1))
    hidden = torch.nn.functional.gelu(tokens @ experts.into[0] + experts.inner[0])
    torch.testing.assert_close(experts(tokens, shares), hidden @ experts.out[0] + experts.outer[0])


def test_experts_are_weighed_by_their_shares() -> None:
    torch.manual_seed(0)
    experts, tokens = Experts(3, 4, 5, dropout=0.0), torch.randn(6, 4)
    alone = [experts(tokens, torch.eye(3)[e].expand(6, -1)) for e in range(3)]
    torch.testing.assert_close(
        experts(tokens, torch.tensor([0.25, 0.0, 0.75]).expand(6, -1)), 0.25 * alone[0] + 0.75 * alone[2]
    )


def test_the_largest_scores_share_everything() -> None:
    shares = chosen_shares(torch.tensor([0.0, math.log(3), -1.0, 0.0 - 1e-3]), 2)
    assert shares[[2, 3]].tolist() == [0, 0]
    torch.testing.assert_close(shares[:2], torch.tensor([0.25, 0.75]))


@pytest.mark.parametrize(("kind", "moves"), [("laplace", False), ("softmax", True)])
def test_only_a_distance_is_the_same_wherever_tokens_and_experts_lie(kind: str, moves: bool) -> None:
    torch.manual_seed(0)
    gate, tokens, there = Gate(4, 3, kind), torch.randn(5, 4), torch.randn(4)  # type: ignore[arg-type]
    before = gate(tokens).softmax(-1)
    with torch.no_grad():
        gate.weight.add_(there)
    after = gate(tokens + there).softmax(-1)
    assert torch.allclose(before, after, atol=1e-5) is not moves


def test_a_token_where_an_expert_lies_gives_it_the_largest_share() -> None:
    torch.manual_seed(0)
    gate = Gate(4, 5, "laplace")
    assert gate(gate.weight.detach()).argmax(1).tolist() == [0, 1, 2, 3, 4]


def test_noise_is_for_training_alone() -> None:
    torch.manual_seed(0)
    gate, tokens = Gate(4, 3, "softmax", noise=1.0), torch.randn(5, 4)
    assert not torch.equal(gate(tokens), gate(tokens))
    gate.eval()
    assert torch.equal(gate(tokens), gate(tokens))


def test_gates_that_do_not_choose_have_no_spread() -> None:
    assert float(spread(torch.full((4, 2, 3), 1 / 3), EVERYONE)) == pytest.approx(0, abs=1e-6)


def test_two_modalities_on_two_experts_are_spread_as_far_as_can_be() -> None:
    apart = torch.eye(2).expand(4, 2, 2)
    assert float(spread(apart, EVERYONE)) == pytest.approx(-math.log(2))
    one_only = torch.tensor([[True, False]]).expand(4, -1)
    assert float(spread(apart, one_only)) == pytest.approx(0)  # one modality differs from no other
    assert float(spread(apart, ~EVERYONE)) == 0


def test_the_entropy_of_certainty_has_a_gradient() -> None:
    sure = torch.tensor([1.0, 0.0], requires_grad=True)
    entropy(sure).backward()
    assert sure.grad is not None and sure.grad.isfinite().all()


def test_unevenness_is_the_squared_coefficient_of_variation() -> None:
    assert float(unevenness(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))) == 0
    assert float(unevenness(torch.tensor([[1.0, 0.0], [1.0, 0.0]]))) == pytest.approx(2)  # 2 and 0: variance 2, mean 1
    assert float(unevenness(torch.ones(5, 1))) == 0
    assert float(unevenness(torch.zeros(0, 3))) == 0
