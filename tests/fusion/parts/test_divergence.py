"""Mean and Jensen-Shannon divergence of what modalities say."""

import math

import torch
from omnifuse.fusion.parts.divergence import jensen_shannon, log_mean
from torch import Tensor

EVERYONE = torch.tensor([[True, True]])


def distributions(*probabilities: list[float]) -> Tensor:
    """Log-probabilities of one sample, [1, M, C]."""
    return torch.tensor([probabilities]).log()


def test_the_mean_is_that_of_probabilities() -> None:
    mean = log_mean(distributions([0.9, 0.1], [0.3, 0.7]), EVERYONE)
    torch.testing.assert_close(mean.exp(), torch.tensor([[0.6, 0.4]]))


def test_absent_modalities_take_no_part() -> None:
    lp = distributions([0.9, 0.1], [0.3, 0.7], [0.5, 0.5])
    some = torch.tensor([[True, False, True]])
    torch.testing.assert_close(log_mean(lp, some), log_mean(lp[:, [0, 2]], EVERYONE))
    torch.testing.assert_close(jensen_shannon(lp, some), jensen_shannon(lp[:, [0, 2]], EVERYONE))


def test_divergence_is_the_mean_divergence_from_the_mean() -> None:
    """KL([.9, .1] | [.6, .4]) and KL([.3, .7] | [.6, .4]), halved."""
    first = 0.9 * math.log(0.9 / 0.6) + 0.1 * math.log(0.1 / 0.4)
    second = 0.3 * math.log(0.3 / 0.6) + 0.7 * math.log(0.7 / 0.4)
    divergence = jensen_shannon(distributions([0.9, 0.1], [0.3, 0.7]), EVERYONE)
    torch.testing.assert_close(divergence, torch.tensor([(first + second) / 2]))


def test_certain_and_contrary_modalities_are_log_2_apart() -> None:
    logits = torch.tensor([-200.0, 200.0])
    lp = torch.stack([torch.nn.functional.logsigmoid(-logits), torch.nn.functional.logsigmoid(logits)], dim=-1)[None]
    torch.testing.assert_close(jensen_shannon(lp, EVERYONE), torch.tensor([math.log(2)]))


def test_agreement_and_single_modalities_have_no_divergence() -> None:
    same, other = distributions([0.2, 0.8], [0.2, 0.8]), distributions([0.2, 0.8], [0.9, 0.1])
    for lp, present in ((same, EVERYONE), (other, torch.tensor([[True, False]])), (other, ~EVERYONE)):
        torch.testing.assert_close(jensen_shannon(lp, present), torch.zeros(1))


def test_each_decision_is_compared_by_itself() -> None:
    lp = torch.randn(4, 3, 5, 2).log_softmax(-1)  # [B, M, K, C]
    present = torch.rand(4, 3) < 0.5
    divergence = jensen_shannon(lp, present)
    assert divergence.shape == (4, 5)
    torch.testing.assert_close(divergence[:, 2], jensen_shannon(lp[:, :, 2], present))


def test_gradients_are_finite_whoever_is_present() -> None:
    logits = torch.randn(8, 3, 2, 4, requires_grad=True)
    present = torch.tensor([[bool(number >> bit & 1) for bit in range(3)] for number in range(8)])
    lp = logits.log_softmax(-1)
    (jensen_shannon(lp, present).sum() + log_mean(lp, present).sum()).backward()
    assert logits.grad is not None and logits.grad.isfinite().all()
