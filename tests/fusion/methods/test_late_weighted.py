"""Late fusion by weights that held-out samples teach: closed forms, and who was asked about whom."""

import math
from itertools import product

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods.fitting import FitConfig, Fitting
from omnifuse.fusion.methods.late import Late
from omnifuse.fusion.methods.late_weighted import LateWeighted
from omnifuse.fusion.parts.late_weights import ConfidenceWeights, LinearStack, PerformanceWeights, mixture
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.loop import Parts, fit, predict
from torch import Tensor

from tests.fusion.vectors import COLUMNS, TARGETS, NotedFits, noise, spec_of, whole

BINARY = TARGETS[0]
SHORT = FitConfig(epochs=1, batch_size=16)
COMBINE = ("stacking", "weighted", "confidence")
LOG3 = math.log(3)


def trained(combine: str = "stacking", target: Target = BINARY, folds: int = 2, samples: int = 40) -> LateWeighted:
    torch.manual_seed(0)
    method = LateWeighted(spec_of(target), LateWeighted.Options(combine, folds))  # type: ignore[arg-type]
    fit(method, noise(60, target), Parts(torch.arange(samples), torch.arange(0)), SHORT, seed=0)
    return method


def two_experts() -> tuple[Tensor, Tensor]:
    """Logits [80, 2, 1] and labels [80, 1]: the first expert says 3:1 and is right so often, the second guesses."""
    right = torch.tensor([1.0, 1.0, 1.0, -1.0]).repeat(20)
    y = torch.tensor([1.0, 0.0]).repeat_interleave(40)
    guess = torch.tensor([1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0]).repeat(10)
    return LOG3 * torch.stack([right * (2 * y - 1), guess], dim=1)[:, :, None], y[:, None]


class TestWeighted:
    @pytest.fixture
    def fitted(self) -> PerformanceWeights:
        logits, y = two_experts()
        weights = PerformanceWeights(BINARY, 2)
        weights.fit(logits, torch.ones(80, 2, dtype=torch.bool), y)
        return weights

    def test_a_weight_is_the_share_of_the_constants_loss_that_is_saved(self, fitted: PerformanceWeights) -> None:
        """The expert's cross-entropy is that of 3:1, the constant's that of 1:1; he who guesses saves nothing."""
        saved = 1 - -(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) / math.log(2)
        assert fitted.weights.tolist() == pytest.approx([saved, 0.0], abs=1e-4)
        assert fitted.slopes.tolist() == pytest.approx([1.0, 0.0], abs=0.01)

    def test_shares_go_to_what_is_shown(self, fitted: PerformanceWeights) -> None:
        fitted.weights.copy_(torch.tensor([0.3, 0.1]))
        shown = torch.tensor([[True, True], [True, False], [False, True]])
        shares = fitted.shares(torch.zeros(3, 2, 1), shown)[:, :, 0]
        torch.testing.assert_close(shares, torch.tensor([[0.75, 0.25], [1.0, 0.0], [0.0, 1.0]]))

    def test_where_only_guesses_are_shown_they_count_alike(self, fitted: PerformanceWeights) -> None:
        fitted.weights.zero_()
        shares = fitted.shares(torch.zeros(1, 2, 1), torch.ones(1, 2, dtype=torch.bool))
        assert shares.flatten().tolist() == [0.5, 0.5]

    def test_what_is_not_shown_teaches_nothing(self) -> None:
        logits, y = two_experts()
        shown = torch.tensor([True, False]).expand(80, 2)
        one, other = PerformanceWeights(BINARY, 2), PerformanceWeights(BINARY, 2)
        one.fit(logits, shown, y)
        other.fit(torch.where(shown[:, :, None], logits, 99.0), shown, y)
        assert all(one.state_dict()[name].equal(other.state_dict()[name]) for name in one.state_dict())
        assert one.weights[1] == 0


class TestConfidence:
    def test_a_modality_weighs_by_the_exponential_of_its_entropy(self) -> None:
        """Entropy log 2 and 0: with temperature 1 the weights are 1/2 and 1, with 1/2 they are 1/4 and 1."""
        logits, shown = torch.tensor([[[0.0], [50.0]]]), torch.ones(1, 2, dtype=torch.bool)
        for temperature, weight in ((1.0, 1 / 2), (0.5, 1 / 4)):
            confidence = ConfidenceWeights(BINARY, 2, temperature)
            share = weight / (1 + weight)
            assert confidence.shares(logits, shown).flatten().tolist() == pytest.approx([share, 1 - share])
            assert float(confidence(logits, shown).sigmoid()) == pytest.approx(share * 0.5 + 1 - share)

    def test_labels_are_weighed_one_by_one(self) -> None:
        target = Target("multilabel", 2)
        logits = torch.tensor([[[0.0, 50.0], [50.0, 0.0]]])
        shares = ConfidenceWeights(target, 2, 1.0).shares(logits, torch.ones(1, 2, dtype=torch.bool))
        torch.testing.assert_close(shares[0], torch.tensor([[1 / 3, 2 / 3], [2 / 3, 1 / 3]]))

    def test_exaggeration_is_calibrated_away(self) -> None:
        """An expert who says his logits ten times too large weighs as if he did not."""
        logits, y = two_experts()
        everything = torch.ones(80, 2, dtype=torch.bool)
        loud = logits * torch.tensor([10.0, 1.0])[:, None]
        honest, exaggerated = (ConfidenceWeights(BINARY, 2, 1.0) for _ in range(2))
        honest.fit(logits, everything, y)
        exaggerated.fit(loud, everything, y)
        torch.testing.assert_close(exaggerated(loud, everything), honest(logits, everything), atol=0.05, rtol=0.05)


class TestStack:
    def test_weights_and_shifts_are_those_that_made_the_labels(self) -> None:
        generator = torch.Generator().manual_seed(0)
        logits = torch.randn(20_000, 3, 1, generator=generator)
        shown = torch.ones(20_000, 3, dtype=torch.bool)
        shown[:, 2] = torch.rand(20_000, generator=generator) < 0.5
        logits[~shown] = -1.0  # the prior
        truth = (torch.tensor([0.5, 1.5, 1.0])[:, None] * logits).sum(1) + 0.7 * shown[:, 2:].float() - 0.4
        y = (torch.rand(20_000, 1, generator=generator) < truth.sigmoid()).float()
        stack = LinearStack(BINARY, 3)
        stack.fit(logits, shown, y)
        assert stack.weights[:, 0].tolist() == pytest.approx([0.5, 1.5, 1.0], abs=0.06)
        assert stack.shifts[:, 0].tolist() == pytest.approx([0.0, 0.0, 0.7], abs=0.06)
        torch.testing.assert_close(stack(logits, shown), truth, atol=0.25, rtol=0.1)

    @pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
    def test_without_a_known_label_it_is_the_mean_logit(self, target: Target) -> None:
        logits, shown = torch.randn(5, 3, target.output_size), torch.ones(5, 3, dtype=torch.bool)
        columns = 1 if target.kind == "multiclass" else target.output_size
        stack = LinearStack(target, 3)
        stack.fit(logits, shown, torch.full((5, columns), torch.nan))
        torch.testing.assert_close(stack(logits, shown), logits.mean(1))


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
def test_a_mixture_is_the_weighted_mean_of_probabilities(target: Target) -> None:
    logits, shares = torch.randn(4, 2, target.output_size), torch.tensor([0.25, 0.75])[:, None].expand(4, 2, 1)
    probability = target.probabilities(mixture(target, logits, shares))
    torch.testing.assert_close(probability, (shares * target.probabilities(logits)).sum(1))


def test_a_combination_is_learnt_from_samples_that_its_models_never_saw() -> None:
    torch.manual_seed(0)
    method, loop = LateWeighted(spec_of(), LateWeighted.Options("stacking", 3)), NotedFits()
    method.fit(Fitting(noise(60), torch.arange(40), SHORT, 0, iter, loop))
    assert all(not trained & samples for trained, samples in loop.seen)
    assert set().union(*(samples for _, samples in loop.seen)) == set(range(40))
    assert all(trained | samples == set(range(40)) for trained, samples in loop.seen)
    assert [samples for model, samples, _ in loop.trained if model is method.models] == [set(range(40))]


def test_the_models_that_predict_are_those_of_late() -> None:
    torch.manual_seed(0)
    late = Late(spec_of())
    fit(late, noise(60), Parts(torch.arange(40), torch.arange(0)), SHORT, seed=0)
    models = trained().models.state_dict()
    assert all(value.equal(models[name]) for name, value in late.state_dict().items())


@pytest.mark.parametrize("combine", COMBINE)
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
def test_every_combination_is_predicted(combine: str, target: Target) -> None:
    method, inputs = trained(combine, target), noise(60, target)
    for hidden in product((False, True), repeat=len(COLUMNS)):
        names = [name for name, lost in zip(COLUMNS, hidden, strict=True) if lost]
        probability = predict(method, inputs.without(names), torch.arange(40, 60)).probability
        assert probability.isfinite().all()
        assert ((probability >= 0) & (probability <= 1)).all()
        if len(names) == len(COLUMNS):
            torch.testing.assert_close(probability, target.probabilities(method.prior).expand(20, -1))


@pytest.mark.parametrize("combine", ["weighted", "confidence"])
def test_weights_shown_are_the_shares_in_the_prediction(combine: str) -> None:
    method, batch = trained(combine), whole(noise(60))
    prediction = method.predict(batch)
    assert prediction.weight is not None
    said = method.combination.calibrated(method.models.logits(batch))[:, :, 0].sigmoid()
    torch.testing.assert_close((prediction.weight * said).sum(1), prediction.probability[:, 0])
    assert prediction.weight[~batch.presence].eq(0).all()


@pytest.mark.parametrize("combine", COMBINE)
def test_details_name_the_modalities(combine: str) -> None:
    details = trained(combine).details()
    assert all(list(part) == list(COLUMNS) for part in details.values())


def test_wrong_options_are_refused() -> None:
    with pytest.raises(InputError, match=r"folds = 1; .* at least 2"):
        LateWeighted.Options(folds=1)
    with pytest.raises(InputError, match=r"temperature must be positive; got 0\.0"):
        LateWeighted.Options(temperature=0.0)
