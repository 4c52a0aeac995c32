"""Gradient-Blend: weights in closed form, and an estimate that never trains on what it holds out."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.inputs.batches import Inputs
from omnifuse.fusion.methods.blend import Blend, blend_weights
from omnifuse.fusion.methods.concat import Concat
from omnifuse.fusion.methods.fitting import FitConfig, Fitting, cosine_share
from omnifuse.fusion.methods.g_blend import GBlend, Trial
from omnifuse.fusion.parts.encoders import ModalityEncoders
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.loop import NestedFits, Parts, fit
from torch import Tensor, nn

from tests.fusion.vectors import COLUMNS, TARGETS, NotedFits, context_of, noise, signal, spec_of, whole

HEADS = [*COLUMNS, "joint"]
SHORT = FitConfig(epochs=3, batch_size=32)


def method_of(target: Target = TARGETS[0], dropout: float = 0.5, **options: Any) -> GBlend:
    torch.manual_seed(0)
    return GBlend(spec_of(target, dropout=dropout), GBlend.Options(**options)).eval()


def blend(weights: list[list[float]], target: Target = TARGETS[0], dropout: float = 0.5) -> Blend:
    torch.manual_seed(0)
    model = Blend(spec_of(target, dropout=dropout), Concat.Options(), len(weights)).eval()
    model.weights.copy_(torch.tensor(weights))
    return model


def fitting_of(inputs: Inputs, config: FitConfig = SHORT) -> Fitting:
    return Fitting(inputs, torch.arange(len(inputs.y)), config, 0, iter, NestedFits())


def fitted(inputs: Inputs, **options: Any) -> GBlend:
    method = method_of(**options)
    fit(method, inputs, Parts(torch.arange(len(inputs.y)), torch.arange(0)), SHORT, seed=0)
    return method


class TestWeights:
    def test_they_are_gains_over_squared_overfitting(self) -> None:
        weights = blend_weights(torch.tensor([0.2, 0.3, 0.1]), torch.tensor([0.1, 0.2, -0.1]), 0.0)
        torch.testing.assert_close(weights, torch.tensor([20.0, 7.5, 10.0]) / 37.5)

    def test_no_gain_leaves_the_smallest_weight(self) -> None:
        weights = blend_weights(torch.tensor([-0.2, 0.1]), torch.tensor([0.1, 0.1]), 0.01)
        torch.testing.assert_close(weights, torch.tensor([0.01, 1.0]) / 1.01)

    def test_no_overfitting_gives_a_finite_weight(self) -> None:
        weights = blend_weights(torch.tensor([0.1, 0.1]), torch.tensor([0.0, 0.1]), 0.0)
        torch.testing.assert_close(weights, torch.tensor([0.1 / 1e-4, 10.0]) / 1010)

    @pytest.mark.parametrize("gain", [0.0, -1.0])
    def test_without_any_gain_all_weigh_alike(self, gain: float) -> None:
        torch.testing.assert_close(blend_weights(torch.full((4,), gain), torch.zeros(4), 0.01), torch.full((4,), 0.25))

    def test_they_sum_to_one(self) -> None:
        for _ in range(20):
            weights = blend_weights(torch.randn(5), torch.randn(5), 0.01)
            assert float(weights.sum()) == pytest.approx(1) and (weights > 0).all()

    def test_they_come_from_losses_before_and_after(self) -> None:
        before = torch.tensor([[0.7, 0.7, 0.7, 0.6], [0.7, 0.7, 0.7, 0.7]])  # training, held out
        after = torch.tensor([[0.5, 0.4, 0.8, 0.3], [0.6, 0.6, 0.8, 0.5]])
        method = method_of()
        weights = method._weigh(0, before, after)
        gain, overfitting = [0.1, 0.1, -0.1, 0.2], [0.1, 0.2, 0.0, 0.1]
        torch.testing.assert_close(weights, blend_weights(torch.tensor(gain), torch.tensor(overfitting), 0.01))
        rows = method.tables()["blend"]
        assert [row["head"] for row in rows] == HEADS
        assert [row["gain"] for row in rows] == pytest.approx(gain)
        assert [row["overfitting"] for row in rows] == pytest.approx(overfitting, abs=1e-6)
        assert [row["weight"] for row in rows] == pytest.approx(weights.tolist())


class TestBlend:
    weights = [[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]]  # noqa: RUF012

    @pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
    def test_the_loss_is_the_weighted_sum_of_the_heads(self, target: Target) -> None:
        model, batch = blend(self.weights, target), whole(noise(target=target))
        logits, terms = model.head_logits(batch), model.loss(batch)
        losses = [target.loss(logits[batch.presence[:, m], m], batch.y[batch.presence[:, m]]) for m in range(3)]
        losses.append(target.loss(logits[:, 3], batch.y))
        torch.testing.assert_close(terms["total"], sum(w * x for w, x in zip(self.weights[0], losses, strict=True)))
        assert [terms[name] for name in (*COLUMNS, "ce")] == losses

    def test_every_super_epoch_has_its_weights(self) -> None:
        model, inputs = blend(self.weights), noise()
        context = context_of(inputs)
        found = []
        for epoch in range(5):
            model.on_epoch_start(type(context)(0, epoch, 5, context.training, context.validation, context.generator))
            found.append(model.super_epoch)
        assert found == [0, 0, 0, 1, 1]
        terms = model.loss(whole(inputs))
        expected = sum(w * terms[name] for w, name in zip(self.weights[1], (*COLUMNS, "ce"), strict=True))
        torch.testing.assert_close(terms["total"], expected)

    def test_the_joint_head_predicts(self) -> None:
        model, batch = blend(self.weights), whole(noise())
        prediction = model.predict(batch)
        torch.testing.assert_close(prediction.probability, model.joint_logits(model.encode(batch)).sigmoid())
        assert prediction.modality_probability is not None
        assert prediction.modality_probability.shape == (40, 3)

    def test_modalities_trained_together_are_those_trained_alone(self) -> None:
        inputs = noise(60)
        parts = Parts(torch.arange(60), torch.arange(0))
        together = blend([[1.0, 1.0, 1.0, 0.0]], dropout=0.0)
        fit(together, inputs, parts, SHORT, seed=0)
        said = together.head_logits(whole(inputs))
        for m in range(3):
            one = blend([[float(m == other) for other in range(4)]], dropout=0.0)
            fit(one, inputs, parts, SHORT, seed=0)
            torch.testing.assert_close(one.head_logits(whole(inputs))[:, m], said[:, m], atol=1e-5, rtol=1e-4)


class NotedStarts(NotedFits):
    """Notes the weights of the heads in every training, and the first weights of the joint head before and after."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[list[float]] = []
        self.heads: list[tuple[Tensor, Tensor]] = []

    def fit(self, method: Blend, *how: Any) -> None:  # type: ignore[override]
        self.weights.append(method.weights[0].tolist())
        before = method.head.state_dict()["0.weight"].clone()
        super().fit(method, *how)
        self.heads.append((before, method.head.state_dict()["0.weight"].clone()))


@contextmanager
def measured() -> Iterator[list[set[int]]]:
    """Note the samples of every batch that is encoded without gradients, all of which must be in evaluation mode."""
    found: list[set[int]] = []

    def look(module: nn.Module, given: tuple[Any, ...]) -> None:
        if isinstance(module, ModalityEncoders) and not torch.is_grad_enabled():
            assert not module.training
            found.append(set(given[0].index.tolist()))

    hook = nn.modules.module.register_module_forward_pre_hook(look)
    try:
        yield found
    finally:
        hook.remove()


class TestEstimate:
    @pytest.mark.parametrize(("estimate", "trainings"), [("offline", 3), ("online", 6), ("track", 2)])
    def test_it_never_trains_on_what_it_holds_out(self, estimate: str, trainings: int) -> None:
        inputs, loop = noise(100), NotedFits()
        method = method_of(estimate=estimate, super_epochs=2)
        fitting = replace(fitting_of(inputs), loop=loop)
        with measured() as looked_at:
            method.fit(fitting)
        trial = Trial(fitting, "binary", 2, iter(()))
        seen, held_out = set(trial.samples.tolist()), set(trial.held_out.tolist())
        *trials, final = (samples for _, samples, _ in loop.trained)
        assert len(loop.trained) == trainings
        assert final == set(range(100)) == seen | held_out and not seen & held_out
        assert len(held_out) == 20
        assert all(samples == seen for samples in trials)
        assert looked_at and looked_at == [seen, held_out] * (len(looked_at) // 2)

    def test_copies_are_trained_by_some_heads_alone(self) -> None:
        loop = NotedStarts()
        method = method_of(estimate="online", super_epochs=2)
        method.fit(replace(fitting_of(noise(100)), loop=loop))
        alone, joint, first = [1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0], method.model.weights[0].tolist()
        assert loop.weights == [alone, joint, first, alone, joint, first]

    def test_copies_begin_where_the_model_is(self) -> None:
        loop = NotedStarts()
        method_of(estimate="online", super_epochs=2).fit(replace(fitting_of(noise(100)), loop=loop))
        alone, together, blended, alone_again, together_again, _ = loop.heads
        assert torch.equal(alone[0], together[0]) and torch.equal(blended[0], alone[0])
        assert torch.equal(alone_again[0], blended[1]) and torch.equal(together_again[0], blended[1])

    def test_tracking_weighs_all_alike_at_first(self) -> None:
        method = fitted(noise(100), estimate="track")
        torch.testing.assert_close(method.model.weights[0], torch.full((4,), 0.25))
        assert {row["super_epoch"] for row in method.tables()["blend"]} == {1, 2}

    def test_a_super_epoch_has_the_learning_rates_of_its_time(self) -> None:
        loop, inputs = NotedFits(), noise(100)
        fitting = replace(fitting_of(inputs, FitConfig(epochs=6)), loop=loop)
        trial = Trial(fitting, "binary", 3, iter(range(3)))
        for super_epoch in range(3):
            trial.train(blend([[0.25] * 4]), super_epoch, torch.full((4,), 0.25))
        configs = [config for _, _, config in loop.trained]
        rates = [(c.learning_rate, c.learning_rate * c.final_rate, c.epochs) for c in configs]
        borders = [1e-3 * cosine_share(place / 3, 0.05) for place in range(4)]
        assert rates == [(pytest.approx(a), pytest.approx(b), 2) for a, b in pairwise(borders)]
        assert borders[0] == 1e-3 and borders[3] == pytest.approx(5e-5)

    @pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
    def test_losses_are_means_over_the_samples_that_have_the_modality(self, target: Target) -> None:
        inputs = noise(100, target)
        trial = Trial(fitting_of(inputs), target.kind, 1, iter(()))
        model = blend([[0.25] * 4], target)
        for found, samples in zip(trial.losses(model), (trial.samples, trial.held_out), strict=True):
            terms = model.loss(inputs.batch(samples))
            torch.testing.assert_close(found, torch.stack([terms[name] for name in (*COLUMNS, "ce")]))

    def test_gains_are_counted_from_the_label_frequencies(self) -> None:
        inputs = noise(100)
        trial = Trial(fitting_of(inputs), "binary", 1, iter(()))
        found = trial.losses_at_start(blend([[0.25] * 4]))
        y = inputs.y[trial.samples].nan_to_num(0.5)
        p = (y == 1).sum().add(1) / ((y != 0.5).sum() + 2)
        for row, samples in zip(found, (trial.samples, trial.held_out), strict=True):
            known = inputs.y[samples][~inputs.y[samples].isnan()]
            joint = -(known.mean() * p.log() + (1 - known.mean()) * (1 - p).log())
            torch.testing.assert_close(row[-1], joint)

    @pytest.mark.parametrize("estimate", ["offline", "online", "track"])
    def test_weights_are_reported_and_sum_to_one(self, estimate: str) -> None:
        method = fitted(noise(100), estimate=estimate, super_epochs=2)
        weights = method.details()["weights"]
        assert list(weights) == HEADS
        count = 1 if estimate == "offline" else 2
        assert [sum(each) for each in zip(*weights.values(), strict=True)] == pytest.approx([1.0] * count)

    def test_a_modality_of_noise_weighs_least(self) -> None:
        inputs = signal(300)
        inputs.modalities["rep"].summary.normal_(generator=torch.Generator().manual_seed(0))
        method = method_of()
        config = FitConfig(epochs=4, batch_size=32, learning_rate=1e-2)
        fit(method, inputs, Parts(torch.arange(300), torch.arange(0)), config, seed=0)
        weights = {name: by_super_epoch[0] for name, by_super_epoch in method.details()["weights"].items()}
        assert weights["rep"] < 0.02 < min(weights[name] for name in ("ehr", "cxr", "joint"))

    def test_progress_ends(self) -> None:
        for estimate in ("offline", "online", "track"):
            counted: list[int] = []

            def progress(numbers: Any, counted: list[int] = counted) -> Iterator[int]:
                for number in numbers:
                    counted.append(number)
                    yield number
                counted.append(-1)

            method = method_of(estimate=estimate, super_epochs=2)
            fit(method, noise(40), Parts(torch.arange(40), torch.arange(0)), FitConfig(epochs=1), 0, progress)
            assert counted[-1] == -1 and counted[:-1] == list(range(len(counted) - 1))


@pytest.mark.parametrize("options", [{"super_epochs": 0}, {"smallest_weight": 0.0}, {"smallest_weight": math.nan}])
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(InputError, match=name):
        GBlend.Options(**options)
