"""Logistic regression with labels unknown and classes unseen, and the choice of its penalty."""

from dataclasses import replace

import pytest
import torch
from omnifuse.fusion.methods.fitting import FitConfig, Fitting
from omnifuse.fusion.parts.linear_head import PENALTIES, HeldOut, LinearHead, best_penalty, fit_by_folds
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.loop import NestedFits

from tests.fusion.vectors import noise

BINARY = Target("binary")
NO_PRIOR = torch.zeros(1)


def drawn(samples: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Three columns, of which the first decides the label of the samples with chance; its log-odds are 2 x."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(samples, 3, generator=generator)
    return x, (torch.rand(samples, generator=generator) < (2 * x[:, 0]).sigmoid()).float()[:, None]


def test_the_log_odds_are_found_in_the_units_of_the_columns() -> None:
    x, y = drawn(20_000)
    head = LinearHead(3, BINARY)
    head.fit(5 + 10 * x, y, NO_PRIOR, 1e-4)
    torch.testing.assert_close(head.weight, torch.tensor([[0.2, 0.0, 0.0]]), atol=0.01, rtol=0)
    torch.testing.assert_close(head.bias, torch.tensor([-1.0]), atol=0.08, rtol=0)


@pytest.mark.parametrize("penalty", [1e-2, 1.0])
def test_the_fit_minimises_mean_cross_entropy_and_the_penalty(penalty: float) -> None:
    x, y = drawn(200)
    x = (x - x.mean(0)) / x.std(0, correction=0)
    head = LinearHead(3, BINARY)
    head.fit(x, y, NO_PRIOR, penalty)
    weight, bias = head.weight.clone().requires_grad_(), head.bias.clone().requires_grad_()
    (BINARY.loss(x @ weight.T + bias, y) + penalty / 2 * (weight**2).sum()).backward()
    assert weight.grad is not None and bias.grad is not None
    torch.testing.assert_close(weight.grad, torch.zeros(1, 3), atol=1e-4, rtol=0)
    torch.testing.assert_close(bias.grad, torch.zeros(1), atol=1e-4, rtol=0)


def test_labels_that_are_unknown_are_left_out_one_by_one() -> None:
    x, y = drawn(100)
    unknown = torch.full((50, 1), torch.nan)
    two = torch.cat([torch.cat([y[:50], unknown]), torch.cat([unknown, y[50:]])], dim=1)
    both = LinearHead(3, Target("multilabel", 2))
    both.fit(x, two, torch.zeros(2), 0.1)
    one = LinearHead(3, BINARY)
    one.fit(x[:50], y[:50], NO_PRIOR, 0.1)
    # columns are standardised over everyone in the one case, over those with the label in the other
    torch.testing.assert_close(both(x)[:, :1], one(x), atol=0.1, rtol=0.1)
    assert not torch.allclose(both.weight[0], both.weight[1])


@pytest.mark.parametrize("outcome", [1.0, torch.nan])
def test_a_label_with_one_known_outcome_gets_its_prior(outcome: float) -> None:
    x, y = drawn(50)
    head = LinearHead(3, Target("multilabel", 2))
    head.fit(x, torch.cat([y, torch.full_like(y, outcome)], dim=1), torch.tensor([0.0, 3.0]), 0.1)
    assert (head(x)[:, 1] == 3).all()
    assert head(x)[:, 0].std() > 0


def test_two_classes_are_a_binary_label() -> None:
    x, y = drawn(100)
    classes, label = LinearHead(3, Target("multiclass", 2)), LinearHead(3, BINARY)
    classes.fit(x, y, torch.zeros(2), 0.1)
    label.fit(x, y, NO_PRIOR, 0.1)
    torch.testing.assert_close(classes(x).softmax(1)[:, 1:], label(x).sigmoid())


def test_a_class_that_never_occurred_stays_unlikely() -> None:
    x, y = drawn(100)
    head = LinearHead(3, Target("multiclass", 4))
    head.fit(x, 3 * y, torch.tensor([-1.0, -5.0, -5.0, -1.0]), 0.1)
    probability = head(x).softmax(1)
    assert probability[:, 1:3].max() < 0.01
    assert probability[:, 0].std() > 0.1


def test_a_constant_column_says_nothing() -> None:
    x, y = drawn(50)
    x[:, 2] = 7.1
    head = LinearHead(3, BINARY)
    head.fit(x, y, NO_PRIOR, 1e-3)
    assert head.weight[0, 2] == 0


def test_noise_is_penalised_more_than_signal() -> None:
    def part(seed: int, signal: bool) -> HeldOut:
        x, y = drawn(60, seed)
        x = torch.cat([x if signal else torch.randn_like(x), torch.randn(60, 30)], dim=1)
        return HeldOut(x[:40], y[:40], x[40:], y[40:])

    torch.manual_seed(0)
    found = {signal: best_penalty(BINARY, NO_PRIOR, [part(s, signal) for s in range(5)]) for signal in (True, False)}
    assert found[False] == max(PENALTIES)
    assert found[True] < found[False]


def test_folds_count_within_the_training_part() -> None:
    inputs = replace(noise(60), y=torch.randint(2, (60, 1)).float())
    samples = torch.arange(59, 9, -1)
    fitting = Fitting(inputs, samples, FitConfig(), 0, iter, NestedFits())
    for (rest, held_out), (rest_in_cohort, held_out_in_cohort) in zip(
        fitting.folds_within(5, "binary"), fitting.folds(5, "binary"), strict=True
    ):
        assert torch.equal(samples[rest], rest_in_cohort)
        assert torch.equal(samples[held_out], held_out_in_cohort)
    x, head = torch.randn(50, 2), LinearHead(2, BINARY)
    assert fit_by_folds(head, x, inputs.y[samples], NO_PRIOR, fitting.folds_within(5, "binary")) in PENALTIES


def test_scales_count_where_columns_are_not_standardised() -> None:
    x, y = drawn(200)
    x = 0.1 * (x - x.mean(0))
    head = LinearHead(3, BINARY, standardise=False)
    head.fit(x, y, NO_PRIOR, 0.1)
    weight = head.weight.clone().requires_grad_()
    (BINARY.loss(x @ weight.T + head.bias, y) + 0.1 / 2 * (weight**2).sum()).backward()
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, torch.zeros(1, 3), atol=1e-4, rtol=0)


class TestHazards:
    """Of several intervals: one regression, with a bias for each."""

    @staticmethod
    def law(samples: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-odds -3, -2, -1 of the hazards, and 1 more for each unit of the first of two columns."""
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(samples, 2, generator=generator)
        came = torch.rand(samples, 3, generator=generator) < (torch.tensor([-3.0, -2, -1]) + x[:, :1]).sigmoid()
        before = came.cumsum(1) - came.long()
        return x, torch.where(before > 0, torch.nan, came.float())

    def test_the_odds_ratio_and_the_baseline_of_the_law_are_found(self) -> None:
        x, y = self.law(30_000)
        head = LinearHead(2, Target("survival", 3))
        head.fit(x, y, torch.zeros(3), 1e-5)
        torch.testing.assert_close(head.weight, torch.tensor([[1.0, 0.0]] * 3), atol=0.04, rtol=0)
        torch.testing.assert_close(head.bias, torch.tensor([-3.0, -2.0, -1.0]), atol=0.06, rtol=0)

    def test_the_likelihood_and_the_penalty_of_the_shared_weights_are_least(self) -> None:
        x, y = self.law(300)
        x, target = (x - x.mean(0)) / x.std(0, correction=0), Target("survival", 3)
        head = LinearHead(2, target)
        head.fit(x, y, torch.zeros(3), 0.1)
        weight, bias = head.weight[:1].clone().requires_grad_(), head.bias.clone().requires_grad_()
        (3 * target.loss(x @ weight.T + bias, y) + 0.1 / 2 * weight.square().sum()).backward()
        assert weight.grad is not None and bias.grad is not None
        torch.testing.assert_close(weight.grad, torch.zeros(1, 2), atol=1e-4, rtol=0)
        torch.testing.assert_close(bias.grad, torch.zeros(3), atol=1e-4, rtol=0)

    def test_one_interval_is_a_binary_label_to_the_last_digit(self) -> None:
        x, y = drawn(100)
        one, other = LinearHead(3, Target("survival", 1)), LinearHead(3, BINARY)
        for head in (one, other):
            head.fit(x, y, NO_PRIOR, 0.1)
        assert torch.equal(one(x), other(x))

    def test_an_interval_without_an_event_gets_its_prior(self) -> None:
        x, y = self.law(200)
        y[y[:, 1] == 1, 1] = torch.nan
        head = LinearHead(2, Target("survival", 3))
        head.fit(x, y, torch.tensor([0.0, -5.0, 0.0]), 0.1)
        said = head(x)
        assert (said[:, 1] == -5).all() and said[:, 0].std() > 0 and said[:, 2].std() > 0

    def test_a_base_changes_what_logits_mean_and_no_hazard(self) -> None:
        x, y = self.law(300)
        plain, based = Target("survival", 3), Target("survival", 3, (-3.0, -2.0, 1.0))
        said = []
        for target in (plain, based):
            head = LinearHead(2, target)
            head.fit(x, y, torch.zeros(3), 0.1)
            said.append(target.probabilities(head(x)))
        torch.testing.assert_close(*said)
