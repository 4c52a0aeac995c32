"""Dynamic weighted fuse: equations 9 to 14 and the label-free rule, with closed forms and finite differences."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.fusion.methods.omnifuse.weighting import DynamicWeightedFuse
from omnifuse.fusion.parts.targets import Target
from sklearn.metrics import roc_auc_score
from torch import Tensor

BINARY = Target("binary")
BETA, ALPHA = 0.5, 0.1


def log_odds(p: float) -> float:
    return math.log(p / (1 - p))


def tables(probabilities: list[list[float]]) -> tuple[Tensor, Tensor]:
    """Tables [B, M, 1, 2] of binary heads that say these probabilities [B, M]."""
    logits = torch.tensor([[log_odds(p) for p in row] for row in probabilities], dtype=torch.float64)
    return BINARY.log_probabilities(logits.unsqueeze(-1))


def every(lp: Tensor) -> Tensor:
    """All modalities weigh."""
    return torch.ones(lp.shape[:2], dtype=torch.bool)


def random_tables(target: Target, batch: int, modalities: int, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """``lp``, ``l1p`` [B, M, K, C] and ``lp`` [B, K, C] of a joint head, from normal logits."""
    generator = torch.Generator().manual_seed(0)
    shape = (batch, modalities + 1, target.output_size)
    lp, l1p = target.log_probabilities(scale * torch.randn(shape, generator=generator, dtype=torch.float64))
    return lp[:, 1:], l1p[:, 1:], lp[:, 0]


class TestByHand:
    """Two samples, two modalities, beta 1/2. With M = 2 the weight of each is (1 - p of the other) ** beta."""

    p = ((0.9, 0.6), (0.2, 0.7))  # probability of label 1 by modality
    joint = (0.8, 0.5)
    y = (1, 0)

    def test_weights(self) -> None:
        _, l1p = tables([list(row) for row in self.p])
        weights = DynamicWeightedFuse(BINARY, BETA).log_weights(l1p, every(l1p)).exp()
        for sample, (one, two) in enumerate(self.p):
            assert weights[sample, 0, 0, 1].item() == pytest.approx((1 - two) ** BETA, abs=1e-6)
            assert weights[sample, 1, 0, 1].item() == pytest.approx((1 - one) ** BETA, abs=1e-6)
            assert weights[sample, 0, 0, 0].item() == pytest.approx(two**BETA, abs=1e-6)
            assert weights[sample, 1, 0, 0].item() == pytest.approx(one**BETA, abs=1e-6)

    def test_encoder_loss(self) -> None:
        lp, l1p = tables([list(row) for row in self.p])
        first = -((1 - 0.6) ** BETA) * math.log(0.9) - (1 - 0.9) ** BETA * math.log(0.6)
        second = -(0.7**BETA) * math.log(0.8) - 0.2**BETA * math.log(0.3)  # y = 0: probabilities .8 and .3
        loss = DynamicWeightedFuse(BINARY, BETA).encoder_loss(lp, l1p, torch.tensor([[1.0], [0.0]]), every(lp))
        assert loss.item() == pytest.approx((first + second) / 2, abs=1e-6)

    @pytest.mark.parametrize("normalised", [True, False])
    def test_score(self, normalised: bool) -> None:
        lp, l1p = tables([list(row) for row in self.p])
        joint = tables([[q] for q in self.joint])[0][:, 0]
        score = DynamicWeightedFuse(BINARY, BETA, ALPHA, normalised).score(lp, l1p, joint, every(lp))
        for sample, ((one, two), q) in enumerate(zip(self.p, self.joint, strict=True)):
            for value in (0, 1):
                a, b, c = ((x if value else 1 - x) for x in (one, two, q))
                total = (1 - b) ** BETA + (1 - a) ** BETA + ALPHA if normalised else 1.0
                by_hand = (1 - b) ** BETA * math.log(a) + (1 - a) ** BETA * math.log(b) + ALPHA * math.log(c)
                assert score[sample, 0, value].item() == pytest.approx(by_hand / total, abs=1e-6)

    def test_explained_weight_is_that_of_the_predicted_value(self) -> None:
        lp, l1p = tables([list(row) for row in self.p])
        score = torch.tensor([[[0.0, 1.0]], [[1.0, 0.0]]])  # predicts 1, then 0
        weights = DynamicWeightedFuse(BINARY, BETA).predicted_weights(l1p, score, every(lp))
        expected = [[0.4**BETA, 0.1**BETA], [0.7**BETA, 0.2**BETA]]
        torch.testing.assert_close(weights.squeeze(-1), torch.tensor(expected, dtype=torch.float64))


def test_three_modalities_take_the_geometric_mean_of_the_others_doubt() -> None:
    _, l1p = tables([[0.9, 0.6, 0.3]])
    weights = DynamicWeightedFuse(BINARY, beta=1.0).log_weights(l1p, every(l1p)).exp()[0, :, 0, 1]
    expected = [math.sqrt(0.4 * 0.7), math.sqrt(0.1 * 0.7), math.sqrt(0.1 * 0.4)]
    torch.testing.assert_close(weights, torch.tensor(expected, dtype=torch.float64))


def test_weight_is_one_when_others_are_sure_of_the_contrary_and_zero_when_one_is_sure() -> None:
    fuse = DynamicWeightedFuse(BINARY, BETA)
    _, l1p = tables([[0.5, 1e-12, 1e-12], [0.5, 1 - 1e-12, 0.5]])
    weights = fuse.log_weights(l1p, every(l1p)).exp()[:, 0, 0, 1]
    torch.testing.assert_close(weights, torch.tensor([1.0, 0.0], dtype=torch.float64), atol=2e-3, rtol=0)


@pytest.mark.parametrize("target", [BINARY, Target("multilabel", 3), Target("multiclass", 4)], ids=lambda t: t.kind)
@pytest.mark.parametrize("normalised", [True, False])
def test_without_beta_the_score_is_a_product_of_experts(target: Target, normalised: bool) -> None:
    lp, l1p, joint = random_tables(target, 6, 3)
    score = DynamicWeightedFuse(target, beta=0.0, alpha=ALPHA, normalised=normalised).score(lp, l1p, joint, every(lp))
    experts = lp.sum(1) + ALPHA * joint
    torch.testing.assert_close(score, experts / (3 + ALPHA) if normalised else experts)


@pytest.mark.parametrize("normalised", [True, False])
def test_one_modality_alone_is_its_head(normalised: bool) -> None:
    lp, l1p, joint = random_tables(BINARY, 6, 1)
    fuse = DynamicWeightedFuse(BINARY, alpha=0.0, normalised=normalised)
    torch.testing.assert_close(fuse.score(lp, l1p, joint, every(lp)), lp[:, 0])
    y = torch.tensor([[0.0], [1.0]] * 3)
    expected = -BINARY.gather(lp[:, 0], y)[0].mean()
    torch.testing.assert_close(fuse.encoder_loss(lp, l1p, y, every(lp)), expected)


def test_modalities_that_do_not_weigh_are_not_read() -> None:
    lp, l1p, joint = random_tables(BINARY, 4, 3)
    fuse, y = DynamicWeightedFuse(BINARY, alpha=ALPHA), torch.tensor([[0.0], [1.0]] * 2)
    weighing = torch.tensor([[True, False, True]]).expand(4, -1)
    changed_lp, changed_l1p = lp.clone(), l1p.clone()
    changed_lp[:, 1], changed_l1p[:, 1] = float("nan"), float("nan")
    fewer = lp[:, [0, 2]], l1p[:, [0, 2]]
    expected = fuse.score(*fewer, joint, every(fewer[0]))
    torch.testing.assert_close(fuse.score(changed_lp, changed_l1p, joint, weighing), expected)
    loss = fuse.encoder_loss(changed_lp, changed_l1p, y, weighing)
    torch.testing.assert_close(loss, fuse.encoder_loss(*fewer, y, every(fewer[0])))


def test_half_trust_halves_a_weight_and_the_say_in_the_weights_of_others() -> None:
    _, l1p = tables([[0.9, 0.6]])
    trust = torch.tensor([[1.0, 0.5]])
    weights = DynamicWeightedFuse(BINARY, BETA).log_weights(l1p, trust).exp()[0, :, 0, 1]
    expected = [(0.4**0.5) ** BETA, 0.5 * 0.1**BETA]
    torch.testing.assert_close(weights, torch.tensor(expected, dtype=torch.float64))


def test_only_available_modality_has_weight_one_and_none_leaves_the_joint_head() -> None:
    lp, l1p, joint = random_tables(BINARY, 2, 3)
    fuse = DynamicWeightedFuse(BINARY, alpha=ALPHA)
    weighing = torch.tensor([[False, True, False], [False, False, False]])
    weights = fuse.log_weights(l1p, weighing).exp()
    assert weights[0, :, 0, 1].tolist() == [0, 1, 0]
    torch.testing.assert_close(fuse.score(lp, l1p, joint, weighing)[1], joint[1])


@pytest.mark.parametrize("target", [BINARY, Target("multilabel", 3), Target("multiclass", 4)], ids=lambda t: t.kind)
@given(weighing=st.lists(st.booleans(), min_size=4, max_size=4), beta=st.floats(0, 3), alpha=st.floats(0.01, 5))
def test_heads_that_all_say_the_prior_fuse_to_the_prior(
    target: Target, weighing: list[bool], beta: float, alpha: float
) -> None:
    prior = torch.linspace(-2, 1, target.output_size, dtype=torch.float64)
    lp, l1p = (table.expand(1, 4, -1, -1) for table in target.log_probabilities(prior))
    fuse = DynamicWeightedFuse(target, beta, alpha)
    score = fuse.score(lp, l1p, lp[:, 0], torch.tensor([weighing]))
    torch.testing.assert_close(target.probabilities(target.logits(score))[0], target.probabilities(prior))


def test_the_plain_sum_counts_the_prior_once_per_modality() -> None:
    """Why the score is normalised: at prevalence 0.15 the fused risk falls as modalities are added."""
    lp, l1p = tables([[0.15, 0.15, 0.15]])
    fuse = DynamicWeightedFuse(BINARY, beta=0.0, alpha=1.0, normalised=False)
    risks = []
    for number in (1, 2, 3):
        weighing = torch.arange(3)[None] < number
        risks.append(BINARY.logits(fuse.score(lp, l1p, lp[:, 0], weighing)).item() / log_odds(0.15))
    assert risks == pytest.approx([2.0, 3.0, 4.0])


probability = st.floats(0.02, 0.98)


@given(st.lists(probability, min_size=4, max_size=4), st.floats(0, 2), st.floats(0, 5))
def test_the_sum_rises_with_the_probability_of_every_head(p: list[float], beta: float, alpha: float) -> None:
    assert_rises(DynamicWeightedFuse(BINARY, beta, alpha, normalised=False), p)


@given(st.lists(probability, min_size=4, max_size=4), st.floats(0, 2))
def test_the_mean_of_three_modalities_rises_while_beta_is_at_most_two(p: list[float], beta: float) -> None:
    """Holds for alpha = 0 and beta <= M - 1; with a joint head that disagrees a sure modality can also lose weight."""
    assert_rises(DynamicWeightedFuse(BINARY, beta, alpha=0.0), p)


def assert_rises(fuse: DynamicWeightedFuse, p: list[float]) -> None:
    """Raise the probability of modality 0 (p[3] is the joint head) by 0.001: the fused logit must not fall."""
    lp, l1p = tables([p, [p[0] + 1e-3, *p[1:]]])
    score = fuse.score(lp[:, :3], l1p[:, :3], lp[:, 3], every(lp[:, :3]))
    before, after = BINARY.logits(score).flatten().tolist()
    assert after >= before - 1e-9


def test_gradient_of_a_head_treats_weights_as_constants() -> None:
    """Finite difference with the weights held fixed; a flowing gradient would differ by the other modality's loss."""
    y = torch.tensor([[1.0]], dtype=torch.float64)
    fuse = DynamicWeightedFuse(BINARY, BETA)
    logits = torch.tensor([[[2.0], [-1.0]]], dtype=torch.float64, requires_grad=True)
    lp, l1p = BINARY.log_probabilities(logits)
    fuse.encoder_loss(lp, l1p, y, every(lp)).backward()
    step = 1e-6
    for modality in (0, 1):
        losses = []
        for sign in (1, -1):
            moved = logits.detach().clone()
            moved[0, modality] += sign * step
            losses.append(fuse.encoder_loss(BINARY.log_probabilities(moved)[0], l1p.detach(), y, every(lp)).item())
        assert logits.grad is not None
        assert logits.grad[0, modality].item() == pytest.approx((losses[0] - losses[1]) / (2 * step), abs=1e-6)


@pytest.mark.parametrize("normalised", [True, False])
def test_score_has_gradient_through_heads_and_not_through_weights(normalised: bool) -> None:
    lp, l1p, joint = random_tables(BINARY, 3, 2)
    l1p.requires_grad_()
    lp.requires_grad_()
    DynamicWeightedFuse(BINARY, normalised=normalised).score(lp, l1p, joint, every(lp)).sum().backward()
    assert l1p.grad is None
    assert lp.grad is not None


def test_extreme_logits_keep_loss_score_and_gradient_finite() -> None:
    logits = torch.tensor([[[90.0], [-90.0], [0.0]]], requires_grad=True)
    lp, l1p = BINARY.log_probabilities(logits)
    fuse = DynamicWeightedFuse(BINARY, beta=2.0, alpha=0.0)
    for y in (0.0, 1.0):
        loss = fuse.encoder_loss(lp, l1p, torch.tensor([[y]]), every(lp))
        assert loss.isfinite()
    score = fuse.score(lp, l1p, lp[:, 0], every(lp))
    (score.sum() + loss).backward()
    assert score.isfinite().all()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_weights_belong_to_labels_and_unknown_labels_are_left_out() -> None:
    target = Target("multilabel", 2)
    lp, l1p, _ = random_tables(target, 3, 2)
    y = torch.tensor([[1.0, float("nan")], [0.0, 1.0], [float("nan")] * 2])
    fuse = DynamicWeightedFuse(target, BETA)
    one = DynamicWeightedFuse(BINARY, BETA)

    def alone(sample: int, label: int) -> Tensor:
        part = (slice(sample, sample + 1), slice(None), slice(label, label + 1))
        return one.encoder_loss(lp[part], l1p[part], y[part[0], part[2]], every(lp)[part[0]])

    expected = (alone(0, 0) + (alone(1, 0) + alone(1, 1)) / 2) / 2
    torch.testing.assert_close(fuse.encoder_loss(lp, l1p, y, every(lp)), expected)


def test_two_classes_decide_like_one_label() -> None:
    lp, l1p, joint = random_tables(BINARY, 8, 3)
    two = DynamicWeightedFuse(Target("multiclass", 2)).score(lp, l1p, joint, every(lp))
    torch.testing.assert_close(two, DynamicWeightedFuse(BINARY).score(lp, l1p, joint, every(lp)))


def test_order_of_modalities_does_not_matter() -> None:
    lp, l1p, joint = random_tables(BINARY, 8, 3)
    fuse, order = DynamicWeightedFuse(BINARY), [2, 0, 1]
    turned = fuse.score(lp[:, order], l1p[:, order], joint, every(lp))
    torch.testing.assert_close(turned, fuse.score(lp, l1p, joint, every(lp)))


def test_noise_predicts_nothing() -> None:
    """Confident noise scores 0.5; weights looked up with the true label instead would leak it (0.57 here)."""
    rows = 20_000
    lp, l1p, joint = random_tables(BINARY, rows, 3, scale=3.0)
    y = (torch.rand(rows, generator=torch.Generator().manual_seed(1)) < 0.13).double()
    fuse = DynamicWeightedFuse(BINARY, alpha=0.0)
    fused = BINARY.logits(fuse.score(lp, l1p, joint, every(lp)))[:, 0]
    standard_error = math.sqrt(1 / (12 * 0.13 * 0.87 * rows))
    assert abs(roc_auc_score(y, fused) - 0.5) < 3 * standard_error
    leaking, _ = BINARY.gather(fuse.log_weights(l1p, every(lp)).exp(), y[:, None, None])  # [B, M, 1]
    assert roc_auc_score(y, (leaking * (lp[..., 1] - lp[..., 0])).sum(1)[:, 0]) > 0.55
