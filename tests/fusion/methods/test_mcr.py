"""MCR: how much a prediction depends on modalities, and which way each encoder pulls."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.mcr import MCR, MOST_PARTS
from omnifuse.fusion.methods.multi_loss import MultiLoss
from omnifuse.fusion.parts.encoders import Encoded
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.loop import Parts, fit, predict
from omnifuse.testing.vectors import OTHERS
from torch import Tensor

from tests.fusion.vectors import COLUMNS, TARGETS, context_of, noise, spec_of, whole

SERVED = [*TARGETS, OTHERS[0]]
EVERYONE = Parts(torch.arange(60), torch.arange(0))


def mcr(
    target: Target = TARGETS[0], modalities: tuple[str, ...] = tuple(COLUMNS), dropout: float = 0.0, **options: Any
) -> MCR:
    torch.manual_seed(0)
    method = MCR(spec_of(target, modalities, dropout), MCR.Options(**options)).eval()
    method.on_fit_start(context_of(noise()))
    return method


def everything(embeddings: Tensor) -> Encoded:
    there = torch.ones(embeddings.shape[:2], dtype=torch.bool)
    return Encoded(embeddings, torch.zeros(embeddings.shape[1:]), there)


def rolled(samples: int, modalities: int) -> Tensor:
    """Everybody gets what the one before has."""
    return torch.arange(samples).roll(1)[:, None].expand(-1, modalities)


def test_all_parts_but_the_whole_are_exchanged() -> None:
    assert mcr(modalities=("ehr", "cxr")).parts.tolist() == [[True, False], [False, True]]
    assert mcr().parts.sum(1).tolist() == [1, 1, 1, 2, 2, 2]


def test_the_dependence_is_the_divergence_from_what_is_said_of_exchanged_embeddings() -> None:
    """Of a head that says 0 of one embedding and 1 of the other it is log 2; of a modality that it ignores 0."""
    method = mcr(modalities=("ehr", "cxr"))
    method.at_rest = lambda features: 200 * features[..., :1]  # type: ignore[method-assign]
    first = torch.tensor([[1.0], [-1.0]])[:, None] * torch.ones(1, 2, 8)  # [B, M, D]
    dependence, asked = method.dependence(everything(first), method.parts, rolled(2, 2))
    torch.testing.assert_close(dependence, torch.tensor([math.log(2), 0.0]))
    assert asked.all()


@pytest.mark.parametrize("target", SERVED, ids=lambda target: target.kind)
def test_exchanging_with_oneself_changes_nothing(target: Target) -> None:
    method = mcr(target, dropout=0.5).train()
    encoded = method.encode(whole(noise(target=target)))
    itself = torch.arange(40)[:, None].expand(-1, 3)
    dependence, _ = method.dependence(encoded, method.parts, itself)
    torch.testing.assert_close(dependence, torch.zeros(6), atol=1e-6, rtol=0)
    assert method.head.training


def test_those_are_asked_that_have_all_of_a_part_and_something_else() -> None:
    method, inputs = mcr(), noise(4, share=1.0)
    presence = torch.tensor([[True, True, False], [True, False, True], [True, True, False], [True, False, False]])
    encoded = method.encode(whole(replace(inputs, presence=presence)))
    dependence, asked = method.dependence(encoded, method.parts, rolled(4, 3))
    assert dict(zip(map(tuple, method.parts.int().tolist()), asked.tolist(), strict=True)) == {
        (1, 0, 0): True, (0, 1, 0): True, (0, 0, 1): True, (1, 1, 0): False, (1, 0, 1): False, (0, 1, 1): False,
    }  # fmt: skip
    assert dependence[~asked].tolist() == [0, 0, 0]


def test_partners_have_what_they_give() -> None:
    present = torch.rand(50, 3) < 0.6
    partner = mcr().partners(present)
    for m in range(3):
        owners, everyone = present[:, m], torch.arange(50)
        assert torch.equal(partner[owners, m].sort().values, everyone[owners])
        assert torch.equal(partner[~owners, m], everyone[~owners])
    assert not torch.equal(partner[present[:, 0], 0], torch.arange(50)[present[:, 0]])


@pytest.mark.parametrize("target", SERVED, ids=lambda target: target.kind)
def test_each_encoder_raises_the_dependence_on_its_parts_and_lowers_the_others(target: Target) -> None:
    method, partner = mcr(target), rolled(20, 3)
    embeddings = torch.randn(20, 3, 8, requires_grad=True)
    dependence, _ = method.dependence(everything(embeddings), method.parts, partner)
    (found,) = torch.autograd.grad(dependence.sum(), embeddings)
    expected = torch.zeros_like(embeddings)
    for part in method.parts:
        plain = torch.where(part[:, None], embeddings[partner[:, 0]], embeddings)
        said = [method.target.log_probabilities(method.head(one.flatten(1)))[0].exp() for one in (embeddings, plain)]
        middle = (said[0] + said[1]) / 2
        divergence = sum((one * (one / middle).log()).sum(-1) for one in said) / 2
        (gradient,) = torch.autograd.grad(divergence.mean(), embeddings)
        expected += torch.where(part[:, None], -gradient, gradient)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-3)


def test_the_game_teaches_encoders_and_has_no_value() -> None:
    batch, gradients = whole(noise(share=1.0)), []
    for weight in (0.0, 100.0):
        playing = mcr(weight=weight).train()
        terms = playing.loss(batch)
        terms["total"].backward()
        losses = torch.stack([value for name, value in terms.items() if name != "total"])
        torch.testing.assert_close(terms["total"], losses.sum())
        gradients.append({name: p.grad for name, p in playing.named_parameters()})
    for name in gradients[0]:
        assert torch.equal(gradients[0][name], gradients[1][name]) == (not name.startswith("encoders"))


def test_without_weight_it_is_the_sum_of_the_losses() -> None:
    inputs, said = noise(60), []
    torch.manual_seed(0)
    plain = MultiLoss(spec_of())
    playing = MCR(spec_of(), MCR.Options(weight=0.0))
    playing.load_state_dict(plain.state_dict())
    for method in (plain, playing):
        fit(method, inputs, EVERYONE, FitConfig(epochs=2, batch_size=20), seed=0)
        said.append(predict(method, inputs, torch.arange(60)).probability)
    assert torch.equal(*said)


def test_of_many_modalities_some_parts_are_drawn() -> None:
    method = mcr()
    method.parts = torch.cat([method.parts] * 4)  # 24
    embeddings = torch.randn(20, 3, 8)
    asked: list[int] = []
    plain = method.dependence

    def noting(encoded: Encoded, parts: Tensor, partner: Tensor) -> tuple[Tensor, Tensor]:
        asked.append(len(parts))
        return torch.ones(len(parts)), plain(encoded, parts, partner)[1]

    method.dependence = noting  # type: ignore[method-assign]
    assert float(method.game(everything(embeddings))) == pytest.approx(24)
    assert asked == [MOST_PARTS]


def test_the_table_tells_how_much_modalities_count() -> None:
    method = mcr()
    fit(method, noise(60), EVERYONE, FitConfig(epochs=3, batch_size=20), seed=0)
    rows = method.tables()["dependence"]
    assert [(row["epoch"], row["modality"]) for row in rows] == [(e, name) for e in range(3) for name in COLUMNS]
    assert all(0 < row["dependence"] < math.log(2) for row in rows)


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(InputError, match="weight"):
        MCR.Options(weight=-1.0)
