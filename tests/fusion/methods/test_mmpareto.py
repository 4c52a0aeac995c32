"""MMPareto: the common descent of two gradients in closed form, and which gradients it replaces."""

import math
from typing import Any

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.mmpareto import MMPareto, descend
from omnifuse.fusion.methods.multi_loss import MultiLoss
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.loop import Parts, Steps, fit
from omnifuse.testing.vectors import OTHERS
from torch import Tensor

from tests.fusion.vectors import COLUMNS, TARGETS, context_of, noise, spec_of, step, whole


def mmpareto(target: Target = TARGETS[0], **options: Any) -> MMPareto:
    torch.manual_seed(0)
    return MMPareto(spec_of(target, dropout=0.0), MMPareto.Options(**options)).eval()


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


def encoder_gradient(method: MultiLoss, m: int) -> Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in method.encoders.each[m].parameters()])


def test_where_gradients_conflict_the_least_of_their_hull_serves_both_at_the_length_of_the_sum() -> None:
    joint, alone = vector(1, 0), vector(-1, 1)
    descent = descend(joint, alone)
    assert descent.cosine == pytest.approx(-1 / math.sqrt(2))
    assert descent.share == pytest.approx(0.6)
    torch.testing.assert_close(descent.gradient, vector(0.4, 0.8) / math.hypot(0.4, 0.8))
    assert descent.gradient @ joint > 0 and descent.gradient @ alone > 0


@pytest.mark.parametrize(
    ("joint", "alone", "expected"),
    [
        ((1, 0), (0, 2), (2, 1)),  # the foot of the perpendicular, (4/5, 2/5), as long as (1, 2)
        ((1, 0.1), (-1, 0.1), (0, 0.2)),  # the middle, which is half of the sum
        ((2, 0), (-1, 0), (0, 0)),  # opposite: nothing descends both
        ((1, 2), (-3, -6), (0, 0)),
    ],
)
def test_the_common_descent_in_other_places(joint: tuple, alone: tuple, expected: tuple) -> None:
    torch.testing.assert_close(descend(vector(*joint), vector(*alone)).gradient, vector(*expected))


@pytest.mark.parametrize(("joint", "alone"), [((1, 0), (1, 1)), ((1, 0), (0, 0)), ((0, 0), (1, 0)), ((0, 0), (0, 0))])
def test_gradients_that_agree_and_those_beside_a_zero_are_left_alone(joint: tuple, alone: tuple) -> None:
    assert descend(vector(*joint), vector(*alone)).gradient is None


@pytest.mark.parametrize("target", [*TARGETS, *OTHERS], ids=lambda target: target.kind)
def test_each_encoder_gets_what_descends_its_two_losses(target: Target) -> None:
    method, inputs = mmpareto(target), noise(target=target)
    batch = whole(inputs)
    method.on_fit_start(context_of(inputs))
    ce, alone = method.losses(method.encode(batch), batch)
    wanted = [
        descend(
            *(torch.cat([g.flatten() for g in torch.autograd.grad(loss, part, retain_graph=True)]) for loss in pair)
        )
        for part, pair in (
            (list(method.encoders.each[m].parameters()), (ce, alone[name])) for m, name in enumerate(COLUMNS)
        )
    ]
    _, plain = step(method, batch)
    sums = [encoder_gradient(method, m) for m in range(3)]
    method.before_step(context_of(inputs))
    for m, descent in enumerate(wanted):
        expected = sums[m] if descent.gradient is None else descent.gradient
        torch.testing.assert_close(encoder_gradient(method, m), expected, atol=1e-5, rtol=1e-3)
        if descent.gradient is None:
            assert torch.equal(encoder_gradient(method, m), sums[m])
    for name, parameter in method.named_parameters():
        if name.startswith("head"):
            assert torch.equal(parameter.grad, plain[name])


def test_a_modality_that_nobody_has_does_as_the_joint_loss_says() -> None:
    method, batch = mmpareto(), whole(noise().without(["rep"]))
    method.train()
    terms = method.loss(batch)
    terms["total"].backward()
    before = encoder_gradient(method, 2)
    method.before_step(context_of(noise()))
    assert not method.alone[2].any()
    assert torch.equal(encoder_gradient(method, 2), before) and before.isfinite().all()


def test_encoders_may_step_further() -> None:
    moved = {}
    for rate in (1.0, 1.5):
        method, inputs = mmpareto(encoder_rate=rate).train(), noise(20)
        method.on_fit_start(context_of(inputs))
        before = {name: parameter.detach().clone() for name, parameter in method.named_parameters()}
        Steps(method, method.phases()[0], FitConfig(epochs=1), steps=1)(whole(inputs), context_of(inputs))
        moved[rate] = {name: p.detach() - before[name] for name, p in method.named_parameters()}
    for name, change in moved[1.0].items():
        factor = 1.5 if name.startswith("encoders") else 1.0
        torch.testing.assert_close(moved[1.5][name], factor * change, atol=1e-6, rtol=1e-3)


def test_the_table_tells_of_conflicts() -> None:
    method = mmpareto()
    fit(method, noise(60), Parts(torch.arange(60), torch.arange(0)), FitConfig(epochs=3, batch_size=20), seed=0)
    rows = method.tables()["conflicts"]
    assert [(row["epoch"], row["modality"]) for row in rows] == [(e, name) for e in range(3) for name in COLUMNS]
    assert all(-1 <= row["cosine"] <= 1 and 0 <= row["conflict"] <= 1 for row in rows)
    assert all((row["share"] is None) == (row["conflict"] == 0) for row in rows)


def test_a_rate_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="encoder_rate"):
        MMPareto.Options(encoder_rate=0.0)
