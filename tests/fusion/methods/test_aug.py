"""AUG: the loss of boosted classifiers in closed form, who gets another one, and that it learns."""

import math
from typing import Any

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods.aug import AUG
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.parts.heads import unimodal_losses
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.loop import Parts, fit
from omnifuse.testing.vectors import OTHERS
from torch import Tensor

from tests.fusion.vectors import COLUMNS, TARGETS, context_of, noise, spec_of, step, whole

SERVED = [*TARGETS, OTHERS[0]]
EVERYONE = Parts(torch.arange(60), torch.arange(0))


def aug(target: Target = TARGETS[0], **options: Any) -> AUG:
    torch.manual_seed(0)
    method = AUG(spec_of(target, dropout=0.0), AUG.Options(**options)).eval()
    method.on_fit_start(context_of(noise()))
    return method


def log_odds(*probabilities: float) -> Tensor:
    """What classifiers say that give the one sample's label 1 these probabilities, [T, 1, 1]."""
    return torch.tensor(probabilities).logit()[:, None, None]


@pytest.mark.parametrize("target", SERVED, ids=lambda target: target.kind)
def test_one_classifier_a_modality_is_late_fusion(target: Target) -> None:
    method, batch = aug(target), whole(noise(target=target))
    terms = method.loss(batch)
    alone = unimodal_losses(target, method.logits(batch), batch)
    torch.testing.assert_close(terms["total"], torch.stack(list(alone.values())).sum())
    present = batch.presence[:, :, None]
    mean = (method.logits(batch) * present).sum(1) / present.sum(1)
    torch.testing.assert_close(method.predict(batch).probability, target.probabilities(mean))


def test_the_last_classifier_counts_a_decision_by_what_the_others_leave() -> None:
    """Where the first gives the truth 0.6 and the discount is 0.5, it counts 0.7."""
    method, y, said = aug(discount=0.5), torch.ones(1, 1), log_odds(0.6, 0.3)
    both = torch.sigmoid(said.sum()).log()
    expected = -0.7 * math.log(0.3) - float(both) - math.log(0.6)
    assert float(method.boosted(said, y)) == pytest.approx(expected)


def test_what_the_others_are_sure_of_counts_nothing_for_the_last() -> None:
    method, y, said = aug(discount=1.0), torch.ones(1, 1), log_odds(0.7, 0.8, 0.1)
    expected = -torch.sigmoid(said.sum()).log() - torch.sigmoid(said[:2].sum()).log()
    torch.testing.assert_close(method.boosted(said, y), expected)


@pytest.mark.parametrize("target", SERVED, ids=lambda target: target.kind)
def test_it_is_never_negative_and_no_earlier_classifier_is_taught_by_the_weight(target: Target) -> None:
    method, y = aug(target), noise(target=target).y
    said = (5 * torch.randn(3, 40, target.output_size)).requires_grad_()
    assert float(method.boosted(said, y).detach()) >= 0
    gradient, plain = (
        torch.autograd.grad(loss, said, retain_graph=True)[0][:2]
        for loss in (method.boosted(said, y), target.loss(said.sum(0), y) + target.loss(said[:-1].sum(0), y))
    )
    torch.testing.assert_close(gradient, plain)


@pytest.mark.parametrize("target", SERVED, ids=lambda target: target.kind)
def test_unknown_labels_and_absent_modalities_teach_nothing(target: Target) -> None:
    method, inputs = aug(target), noise(target=target)
    method.heads.active.fill_(2)
    unknown = torch.full_like(inputs.y[:1], torch.nan)
    said = torch.randn(2, 1, target.output_size)
    assert float(method.boosted(said, unknown)) == 0
    _, gradients = step(method, whole(inputs.without(["rep"])))
    assert not any(gradient.any() for name, gradient in gradients.items() if name.startswith("heads.inner.2"))


@pytest.mark.parametrize(
    ("scores", "active"),
    [
        ([0.7, 0.6, 0.8], [1, 2, 1]),
        ([0.7, 0.795, 0.8], [2, 1, 1]),
        ([0.795, 0.795, 0.8], [1, 1, 1]),  # nobody lags by more than the margin
        ([0.7, math.nan, 0.8], [2, 1, 1]),
        ([math.nan, math.nan, math.nan], [1, 1, 1]),
    ],
)
def test_the_weakest_gets_a_classifier_if_it_lags(scores: list[float], active: list[int]) -> None:
    method = aug()
    method.grow(torch.tensor(scores))
    assert method.heads.active.tolist() == active


def test_nobody_gets_more_than_the_most() -> None:
    method = aug(most=3)
    for _ in range(5):
        method.grow(torch.tensor([0.9, 0.1, 0.9]))
    assert method.heads.active.tolist() == [1, 3, 1]


def test_scores_are_means_over_the_samples_that_have_a_modality_and_a_label() -> None:
    method, inputs = aug(), noise(50)
    batch = whole(inputs)
    probability, known = method.logits(batch)[:, :, 0].sigmoid(), ~batch.y[:, 0].isnan()
    truth = torch.where(batch.y == 1, probability, 1 - probability)
    scores = method.scores(context_of(inputs, size=7).training())
    for m in range(3):
        torch.testing.assert_close(scores[m], truth[known & batch.presence[:, m], m].mean())
    absent = method.scores(context_of(inputs.without(["cxr"])).training())
    assert absent.isnan().tolist() == [False, True, False]


def test_a_classifier_that_is_added_learns_and_those_that_wait_do_not() -> None:
    method, inputs = aug(margin=0.0, scale=0.0, most=3), noise(60)
    before = {name: parameter.detach().clone() for name, parameter in method.named_parameters()}
    fit(method, inputs, EVERYONE, FitConfig(epochs=2, batch_size=20), seed=0)
    active = method.heads.active.tolist()
    assert sorted(active) == [1, 1, 2]
    for m in range(3):
        for t in range(3):
            moved = [
                not torch.equal(parameter, before[name])
                for name, parameter in method.named_parameters()
                if name.startswith(f"heads.inner.{m}.{t}.")
            ]
            assert all(moved) if t < active[m] else not any(moved)


def test_the_table_tells_how_it_grew_and_not_after_the_last_epoch() -> None:
    method = aug(margin=0.0, scale=0.0, every=2)
    fit(method, noise(60), EVERYONE, FitConfig(epochs=4, batch_size=20), seed=0)
    rows = method.tables()["boosting"]
    assert [(row["epoch"], row["modality"]) for row in rows] == [(e, name) for e in range(4) for name in COLUMNS]
    assert [sum(row["classifiers"] for row in rows if row["epoch"] == epoch) for epoch in range(4)] == [3, 3, 4, 4]
    assert int(method.heads.active.sum()) == 4


@pytest.mark.parametrize(
    "options", [{"discount": -1.0}, {"scale": math.nan}, {"margin": -0.1}, {"most": 0}, {"every": 0}]
)
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        AUG.Options(**options)
