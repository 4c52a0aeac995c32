"""On-the-fly gradient modulation: coefficients in closed form, and the steps that they scale."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.inputs.batches import Batch
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.ogm_ge import OGMGE
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.loop import Parts, Steps, fit
from torch import Tensor

from tests.fusion.vectors import COLUMNS, TARGETS, context_of, noise, spec_of, whole

MODALITIES = len(COLUMNS)


def method_of(target: Target = TARGETS[0], dropout: float = 0.5, **options: Any) -> OGMGE:
    torch.manual_seed(0)
    return OGMGE(spec_of(target, dropout=dropout), OGMGE.Options(**options)).eval()


def say(method: OGMGE, batch: Batch, probability: Tensor) -> None:
    """Let the modalities alone give these probabilities [B, M] to a binary label, by the weights of the head."""
    embeddings = method.encode(batch).embeddings.detach()  # [B, M, D]
    weights = torch.linalg.lstsq(embeddings.transpose(0, 1), probability.logit().T.unsqueeze(-1)).solution  # [M, D, 1]
    with torch.no_grad():
        method.head.weight.copy_(weights.flatten()[None])
        method.head.bias.zero_()


def everyone(samples: int = 2) -> Batch:
    """Samples that have everything, and the label 1."""
    inputs = noise(samples, share=1.0)
    return whole(replace(inputs, y=torch.ones(samples, 1)))


def one_step(method: OGMGE, coefficients: list[float]) -> dict[str, Tensor]:
    """By how much a step of the loop moves every parameter."""
    inputs = noise(20)
    method.train()
    torch.manual_seed(1)  # of dropout
    config = FitConfig(epochs=1, clip=1e9)
    step = Steps(method, method.phases()[0], config, steps=1)
    before = {name: p.detach().clone() for name, p in method.named_parameters()}
    method.decide = lambda *_: None  # type: ignore[method-assign]
    method.coefficients = coefficients
    step(whole(inputs), context_of(inputs))
    return {name: p.detach() - before[name] for name, p in method.named_parameters()}


class TestCoefficients:
    truth = torch.tensor([[0.9, 0.6, 0.3], [0.7, 0.2, 0.1]])  # sums 1.6, 0.8, 0.4

    def discrepancy(self, **options: Any) -> tuple[OGMGE, Tensor]:
        method, batch = method_of(**options), everyone()
        say(method, batch, self.truth)
        return method, method.discrepancy(method.encode(batch), batch.y)

    def test_the_ratio_is_the_mean_of_the_ratios_to_the_others(self) -> None:
        _, ratio = self.discrepancy()
        torch.testing.assert_close(ratio, torch.tensor([(2 + 4) / 2, (0.5 + 2) / 2, (0.25 + 0.5) / 2]))

    def test_or_the_ratio_to_the_weakest(self) -> None:
        _, ratio = self.discrepancy(ratio="min")
        torch.testing.assert_close(ratio, torch.tensor([4.0, 2.0, 0.5]))

    def test_only_modalities_that_are_ahead_are_slowed(self) -> None:
        method, ratio = self.discrepancy(alpha=0.8)
        expected = torch.tensor([1 - math.tanh(0.8 * 3), 1 - math.tanh(0.8 * 1.25), 1.0])
        torch.testing.assert_close(method.coefficients_of(ratio), expected)
        assert method.coefficients_of(torch.tensor([1.0, math.nan])).tolist() == [1, 1]

    def test_of_two_modalities_the_ratios_are_reciprocal(self) -> None:
        method = OGMGE(spec_of(modalities=("ehr", "cxr"))).eval()
        inputs = noise()
        batch = whole(
            replace(
                inputs,
                presence=inputs.presence[:, :2],
                modalities={name: inputs.modalities[name] for name in ("ehr", "cxr")},
            )
        )
        ratio = method.discrepancy(method.encode(batch), batch.y)
        torch.testing.assert_close(ratio[0], 1 / ratio[1])

    @pytest.mark.parametrize("ratio", ["mean_pairwise", "min"])
    def test_a_modality_that_nobody_has_beside_another_is_left_alone(self, ratio: str) -> None:
        method = method_of(ratio=ratio, alpha=1.0)
        alone = whole(noise().without(("cxr", "rep")))
        discrepancy = method.discrepancy(method.encode(alone), alone.y)
        assert discrepancy.isnan().all()
        assert method.coefficients_of(discrepancy).tolist() == [1, 1, 1]

    @pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
    def test_unknown_labels_count_for_nothing(self, target: Target) -> None:
        method, inputs = method_of(target), noise(target=target)
        batch, half = whole(inputs), inputs.batch(torch.arange(20))
        unknown = torch.full_like(batch.y, torch.nan)
        half_known = torch.cat([batch.y[:20], unknown[20:]])
        torch.testing.assert_close(
            method.discrepancy(method.encode(batch), half_known), method.discrepancy(method.encode(half), half.y)
        )
        assert method.discrepancy(method.encode(batch), unknown).isnan().all()


class TestUnimodalLogits:
    @pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
    def test_those_of_a_linear_head_add_up_to_its_logits(self, target: Target) -> None:
        method = method_of(target)
        encoded = method.encode(whole(noise(target=target)))
        torch.testing.assert_close(method.unimodal_logits(encoded).sum(1), method.joint_logits(encoded))

    def test_an_mlp_is_asked_with_the_other_modalities_missing(self) -> None:
        method, inputs = method_of(head="mlp"), noise(share=1.0)
        said = method.unimodal_logits(method.encode(whole(inputs)))
        for m, name in enumerate(COLUMNS):
            others = tuple(other for other in COLUMNS if other != name)
            alone = method.joint_logits(method.encode(whole(inputs.without(others))))
            torch.testing.assert_close(said[:, m], alone)


class TestModulation:
    coefficients = [0.25, 1.0, 0.5]  # noqa: RUF012

    def test_rates_scale_the_step_of_every_encoder_tensor_exactly(self) -> None:
        slowed = one_step(method_of(noise=False), self.coefficients)
        free = one_step(method_of(noise=False), [1.0] * MODALITIES)
        factors = {f"encoders.each.{m}.": k for m, k in enumerate(self.coefficients)} | {"head.": 1.0}
        for name, moved in slowed.items():
            (factor,) = (k for prefix, k in factors.items() if name.startswith(prefix))
            torch.testing.assert_close(moved, factor * free[name], atol=1e-7, rtol=1e-3)
            assert moved.any(), name

    def test_every_parameter_is_in_one_group(self) -> None:
        method = method_of()
        grouped = [parameter for group in method.parameter_groups() for parameter in group]
        assert len(grouped) == len(set(grouped)) == len(list(method.parameters()))
        for m, group in enumerate(method.parameter_groups()[:-1]):
            assert set(group) == set(method.encoders.each[m].parameters())

    def gradients(self, method: OGMGE, modulated: bool) -> dict[str, Tensor]:
        inputs = noise()
        method.train().zero_grad()
        torch.manual_seed(1)
        method.loss(whole(inputs))["total"].backward()
        method.coefficients = self.coefficients
        if modulated:
            method.before_step(context_of(inputs))
        return {name: p.grad.clone() for name, p in method.named_parameters() if p.grad is not None}

    def test_gradients_are_scaled_exactly_and_rates_left_alone(self) -> None:
        method = method_of(apply="gradient", noise=False)
        plain, scaled = self.gradients(method, False), self.gradients(method, True)
        assert plain.keys() == {name for name, _ in method.named_parameters()}
        for m, k in enumerate(self.coefficients):
            for name in (name for name in plain if name.startswith(f"encoders.each.{m}.")):
                torch.testing.assert_close(scaled[name], k * plain[name])
        assert torch.equal(scaled["head.weight"], plain["head.weight"])
        assert method.step_sizes() == [1.0] * (MODALITIES + 1)

    def test_rates_leave_gradients_alone_without_noise(self) -> None:
        method = method_of(noise=False)
        plain, same = self.gradients(method, False), self.gradients(method, True)
        assert all(torch.equal(plain[name], same[name]) for name in plain)
        assert method.step_sizes() == [*self.coefficients, 1.0]

    def test_noise_is_as_wide_as_the_gradients_of_its_tensor_before_scaling(self) -> None:
        method = method_of(apply="gradient", noise=True)
        plain, noisy = self.gradients(method, False), self.gradients(method, True)
        for name, gradient in plain.items():
            m = int(name.split(".")[2]) if name.startswith("encoders.") else 1
            added = noisy[name] - self.coefficients[m] * gradient
            if m == 1:  # the head, and the modality that is not slowed
                assert torch.equal(noisy[name], gradient)
            elif gradient.numel() > 60:
                assert float(added.std() / gradient.std()) == pytest.approx(1, abs=0.3)

    def test_a_tensor_of_one_number_gets_no_noise_and_stays_finite(self) -> None:
        method, gradient = method_of(apply="gradient"), torch.tensor([2.0])
        method._modulate(gradient, 0.5)
        assert gradient.tolist() == [1.0]


class TestTraining:
    def rows(self, **options: Any) -> list[dict[str, Any]]:
        method = method_of(**options)
        fit(method, noise(60), Parts(torch.arange(60), torch.arange(0)), FitConfig(epochs=4, batch_size=20), seed=0)
        return method.tables()["modulation"]

    def test_the_table_has_every_epoch_and_modality(self) -> None:
        rows = self.rows()
        assert [(row["epoch"], row["modality"]) for row in rows] == [(e, name) for e in range(4) for name in COLUMNS]
        assert all(row["ratio"] > 0 for row in rows)

    def test_it_modulates_in_the_first_epochs_only(self) -> None:
        rows = self.rows(modulated=0.5, alpha=1.0)
        assert min(row["coefficient"] for row in rows if row["epoch"] < 2) < 1
        assert {row["coefficient"] for row in rows if row["epoch"] >= 2} == {1.0}
        assert {row["coefficient"] for row in self.rows(modulated=0.0)} == {1.0}

    @pytest.mark.parametrize("options", [{"apply": "gradient"}, {"head": "mlp"}, {"modality_dropout": 0.5}])
    def test_options_train(self, options: dict[str, Any]) -> None:
        assert all(row["ratio"] > 0 for row in self.rows(**options))

    def test_evaluation_decides_nothing(self) -> None:
        method = method_of(alpha=1.0)
        method.modulates = True
        method.loss(whole(noise()))
        assert method.coefficients == [1.0] * MODALITIES


@pytest.mark.parametrize("options", [{"alpha": -0.1}, {"modulated": 1.5}, {"modulated": math.nan}])
def test_wrong_options_are_refused(options: dict[str, float]) -> None:
    (name,) = options
    with pytest.raises(InputError, match=name):
        OGMGE.Options(**options)
