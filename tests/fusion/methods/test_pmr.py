"""Prototypical modal rebalance: prototypes, coefficients and losses in closed form."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.inputs.batches import Inputs
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.pmr import PMR
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.loop import Parts, fit

from tests.fusion.vectors import COLUMNS, TARGETS, context_of, noise, spec_of, whole

MODALITIES, WIDTH = len(COLUMNS), 8


def method_of(target: Target = TARGETS[0], **options: Any) -> PMR:
    torch.manual_seed(0)
    return PMR(spec_of(target), PMR.Options(**{"fewest_samples": 1, **options})).eval()


def with_prototypes(target: Target, inputs: Inputs | None = None, **options: Any) -> PMR:
    method = method_of(target, **options)
    method.update_prototypes([whole(inputs or noise(target=target))])
    return method


class TestPrototypes:
    @pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
    def test_they_are_the_mean_embeddings_of_every_value(self, target: Target) -> None:
        inputs = noise(target=target)
        method, batch = with_prototypes(target, inputs), whole(inputs)
        embeddings = method.encode(batch).embeddings
        _, decisions, values, _ = method.prototypes.shape
        for m in range(MODALITIES):
            for k in range(decisions):
                for c in range(values):
                    members = batch.presence[:, m] & (batch.y[:, k] == c)
                    expected = embeddings[members, m].mean(0)
                    torch.testing.assert_close(method.prototypes[m, k, c], expected)

    def test_they_do_not_depend_on_the_batches(self) -> None:
        inputs = noise()
        method = method_of()
        method.update_prototypes(inputs.batches(torch.arange(40), 7))
        torch.testing.assert_close(method.prototypes, with_prototypes(TARGETS[0], inputs).prototypes)

    def test_old_ones_fade_with_momentum(self) -> None:
        method = with_prototypes(TARGETS[0], momentum=0.25)
        first = method.prototypes.clone()
        for encoder in method.encoders.each:
            for parameter in encoder.parameters():
                parameter.data.neg_()
        fresh = method_of(momentum=0.25)
        fresh.encoders.load_state_dict(method.encoders.state_dict())
        fresh.update_prototypes([whole(noise())])
        method.update_prototypes([whole(noise())])
        torch.testing.assert_close(method.prototypes, 0.25 * first + 0.75 * fresh.prototypes)

    def test_every_epoch_takes_them_without_dropout(self) -> None:
        inputs, method = noise(), method_of()
        method.train()
        method.on_epoch_start(context_of(inputs))
        torch.testing.assert_close(method.prototypes, with_prototypes(TARGETS[0], inputs).prototypes)
        assert method.training


class TestProbabilities:
    def test_they_are_the_softmax_of_negative_distances(self) -> None:
        method = with_prototypes(TARGETS[0], temperature=0.7)
        embeddings = torch.randn(3, MODALITIES, WIDTH)
        distance = (embeddings[:, :, None] - method.prototypes[:, 0]).norm(dim=-1)  # [B, M, C]
        expected = (-distance / 0.7).log_softmax(-1)
        torch.testing.assert_close(method.log_probabilities(embeddings)[:, :, 0], expected)

    def test_distances_are_divided_by_the_root_of_the_width_by_default(self) -> None:
        assert method_of().temperature == math.sqrt(WIDTH)

    def test_the_gradient_on_a_prototype_is_finite(self) -> None:
        method = with_prototypes(TARGETS[0])
        embeddings = method.prototypes[:, 0, 0].clone().unsqueeze(0).requires_grad_()  # [1, M, D]
        method.log_probabilities(embeddings)[..., 0].sum().backward()
        assert embeddings.grad is not None and embeddings.grad.isfinite().all()

    def test_a_class_without_samples_has_no_share(self) -> None:
        target = TARGETS[2]
        inputs = noise(target=target)
        method = with_prototypes(target, replace(inputs, y=inputs.y.masked_fill(inputs.y == 3, torch.nan)))
        assert method.has_prototype[..., :3].all() and not method.has_prototype[..., 3].any()
        p = method.log_probabilities(torch.randn(5, MODALITIES, WIDTH)).exp()
        assert (p[..., 3] == 0).all()
        torch.testing.assert_close(p.sum(-1), torch.ones_like(p[..., 0]))


class TestCoefficients:
    def test_of_two_modalities_they_are_the_published_ones(self) -> None:
        method = method_of()
        scores = torch.rand(30, 2)
        behind, ahead = method.coefficients(scores, torch.ones(30, 2, dtype=torch.bool))
        ratio = scores[:, 0].sum() / scores[:, 1].sum()
        beta, gamma = (1 / ratio - 1).clamp(0, 1), (ratio - 1).clamp(0, 1)
        torch.testing.assert_close(behind, torch.stack([beta, gamma]))
        torch.testing.assert_close(ahead, torch.stack([gamma, beta]))

    def test_of_several_each_is_compared_with_the_mean_of_the_others(self) -> None:
        scores = torch.tensor([[0.6, 0.4, 0.2]])
        behind, ahead = method_of().coefficients(scores, torch.ones(1, 3, dtype=torch.bool))
        torch.testing.assert_close(behind, torch.tensor([0.0, 0.0, 1.0]))  # ratios 2, 1, 0.4
        torch.testing.assert_close(ahead, torch.tensor([1.0, 0.0, 0.0]))
        behind, _ = method_of().coefficients(torch.tensor([[0.5, 0.5, 0.4]]), torch.ones(1, 3, dtype=torch.bool))
        torch.testing.assert_close(behind, torch.tensor([0.0, 0.0, 0.25]))

    def test_nobody_with_two_modalities_means_no_balance(self) -> None:
        behind, ahead = method_of().coefficients(torch.rand(3, 3), torch.eye(3, dtype=torch.bool))
        assert not behind.any() and not ahead.any()


class TestLoss:
    @pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
    def test_terms_are_means_over_the_samples_that_have_the_modality(self, target: Target) -> None:
        inputs = noise(target=target)
        method, batch = with_prototypes(target, inputs), whole(inputs)
        embeddings = method.encode(batch).embeddings
        lp = method.log_probabilities(embeddings)
        cross_entropy, entropy, _, _ = method.prototype_terms(embeddings, batch)
        for m in range(MODALITIES):
            has = batch.presence[:, m]
            losses = target.negative_log_likelihood(lp[has, m], batch.y[has])
            torch.testing.assert_close(cross_entropy[m], losses[target.known(batch.y[has])].mean())
            torch.testing.assert_close(entropy[m], -(lp[has, m].exp() * lp[has, m]).sum(-1).mean())

    def test_helps_those_behind_and_holds_those_ahead(self) -> None:
        inputs = noise()
        method, batch = with_prototypes(TARGETS[0], inputs, alpha=2.0, mu=0.5), whole(inputs)
        cross_entropy, entropy, behind, ahead = method.prototype_terms(method.encode(batch).embeddings, batch)
        terms = method.loss(batch)
        assert behind.any() and ahead.any()
        torch.testing.assert_close(terms["pce"], (behind * cross_entropy).sum())
        torch.testing.assert_close(terms["per"], -(ahead * entropy).sum())
        torch.testing.assert_close(terms["total"], terms["ce"] + 2 * terms["pce"] + 0.5 * terms["per"])

    def test_without_prototypes_it_is_that_of_concatenation(self) -> None:
        terms = method_of().loss(whole(noise()))
        assert terms["total"] == terms["ce"] and terms["pce"] == 0 and terms["per"] == 0

    @pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
    def test_values_without_prototypes_give_no_nan(self, target: Target) -> None:
        inputs = noise(target=target)
        seen = replace(inputs, y=torch.where(inputs.y == 1, torch.nan, inputs.y))
        method = with_prototypes(target, seen).train()
        terms = method.loss(whole(inputs))
        terms["total"].backward()
        assert terms["total"].isfinite()
        assert all(p.grad.isfinite().all() for p in method.parameters() if p.grad is not None)
        if target.kind != "multiclass":  # of every label one value is left, which decides nothing
            assert terms["pce"] == 0

    def test_samples_without_a_modality_do_not_reach_its_terms(self) -> None:
        inputs, method = noise(), with_prototypes(TARGETS[0])
        batch = whole(inputs)
        embeddings = method.encode(batch).embeddings.detach()
        other = torch.where(batch.presence.unsqueeze(2), embeddings, 7.0)
        for before, after in zip(
            method.prototype_terms(embeddings, batch), method.prototype_terms(other, batch), strict=True
        ):
            assert torch.equal(before, after)


class TestTraining:
    def trained(self, **options: Any) -> tuple[PMR, dict[str, dict[int, float]]]:
        method = method_of(**options)
        config = FitConfig(epochs=4, batch_size=20)
        history = fit(method, noise(60), Parts(torch.arange(60), torch.arange(0)), config, seed=0)
        terms: dict[str, dict[int, float]] = {}
        for row in history:
            terms.setdefault(row["term"], {})[row["epoch"]] = row["value"]
        return method, terms

    def test_it_balances_in_the_first_epochs_only(self) -> None:
        _, terms = self.trained(alpha=10.0, mu=10.0, balanced=0.5, regularised=0.25)
        expected = {
            epoch: terms["ce"][epoch] + 10 * (epoch < 2) * terms["pce"][epoch] + 10 * (epoch < 1) * terms["per"][epoch]
            for epoch in range(4)
        }
        assert terms["total"] == pytest.approx(expected, rel=1e-5)
        assert terms["pce"][0] > 0 > terms["per"][0]

    def test_the_table_has_every_epoch_and_modality(self) -> None:
        method, _ = self.trained()
        rows = method.tables()["balance"]
        assert [(row["epoch"], row["modality"]) for row in rows] == [(e, name) for e in range(4) for name in COLUMNS]
        assert all(0 <= row[name] <= 1 for row in rows for name in ("behind", "ahead"))

    def test_prototypes_are_stored_with_the_model(self) -> None:
        method, _ = self.trained()
        again = method_of()
        again.load_state_dict(method.state_dict(), strict=True)
        assert again.has_prototype.all() and torch.equal(again.prototypes, method.prototypes)


@pytest.mark.parametrize(
    "options",
    [
        {"alpha": -1.0}, {"mu": -1.0}, {"momentum": 1.5}, {"balanced": -0.1}, {"regularised": 2.0},
        {"temperature": 0.0}, {"fewest_samples": 0},
    ],
)  # fmt: skip
def test_wrong_options_are_refused(options: dict[str, float]) -> None:
    (name,) = options
    with pytest.raises(InputError, match=name):
        PMR.Options(**options)
