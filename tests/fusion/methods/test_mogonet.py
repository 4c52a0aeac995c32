"""MOGONET: the cross product of beliefs, whose gradient goes where, who is linked to whom, what is stored."""

import re

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.mogonet import Mogonet, ViewCorrelation
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.loop import Parts, fit, predict
from torch import nn

from tests.fusion.vectors import TARGETS, context_of, noise, spec_of, step, whole

INPUTS = noise(40)
SMALL = Mogonet.Options(hidden=(6, 5))


def started(target: Target = TARGETS[0]) -> Mogonet:
    """A method whose graph holds the samples of ``INPUTS``."""
    torch.manual_seed(0)
    method = Mogonet(spec_of(target), SMALL).eval()
    method.on_fit_start(context_of(INPUTS))
    return method


def shown_entries(target: Target, modalities: int) -> ViewCorrelation:
    """A network that gives back what it reads."""
    correlation = ViewCorrelation(target, modalities)
    correlation.networks = nn.ModuleList(nn.Identity() for _ in correlation.networks)
    return correlation


def test_the_cross_product_of_two_modalities() -> None:
    beliefs = torch.tensor([[[[0.2, 0.8]], [[0.6, 0.4]]]])  # [1, 2, 1, 2]
    entries = shown_entries(Target("binary"), 2)(beliefs)
    torch.testing.assert_close(entries, torch.tensor([[0.12, 0.08, 0.48, 0.32]]))


def test_every_label_has_a_product_of_its_own() -> None:
    beliefs = torch.rand(5, 3, 2, 2)
    entries = shown_entries(Target("multilabel", 2), 3)(beliefs)  # [5, 2 * 8]
    expected = torch.einsum("ba,bc,bd->bacd", *beliefs[:, :, 1].unbind(1)).flatten(1)
    torch.testing.assert_close(entries[:, 8:], expected)


def test_where_products_are_too_many_beliefs_are_added() -> None:
    beliefs = torch.rand(5, 3, 1, 11)  # 11 ** 3 = 1331
    correlation = shown_entries(Target("multiclass", 11), 3)
    assert not correlation.multiplied
    torch.testing.assert_close(correlation(beliefs), beliefs[:, :, 0].sum(1))
    assert shown_entries(Target("multiclass", 10), 3).multiplied


def test_a_missing_modality_believes_in_all_values_alike() -> None:
    method, batch = started(Target("multiclass", 4)), whole(INPUTS)
    seen = []
    method.correlation.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    method.predict(batch)
    beliefs = seen[0][:, :, 0]  # [B, M, C]
    assert (beliefs[~batch.presence] == 0.25).all()
    assert (beliefs[batch.presence] != 0.25).any(-1).all()
    torch.testing.assert_close(beliefs.sum(-1), torch.ones(40, 3))


def test_the_prediction_trains_no_graph() -> None:
    method, batch = started(), whole(INPUTS)
    method.target.loss(method.combined(method.logits(batch), batch), batch.y).backward()
    with_gradient = {name.split(".")[0] for name, p in method.named_parameters() if p.grad is not None}
    assert with_gradient == {"correlation"}


def test_the_total_is_the_sum_of_the_terms_and_pretraining_lacks_that_of_the_prediction() -> None:
    method, batch = started(), whole(INPUTS)
    terms, gradients = step(method, batch)
    assert terms.keys() == {"total", "ce", "ehr", "cxr", "rep"}
    torch.testing.assert_close(terms["total"], sum(value for name, value in terms.items() if name != "total"))
    assert gradients.keys() == dict(method.named_parameters()).keys()
    assert method.pretraining_loss(batch).keys() == {"total", "ehr", "cxr", "rep"}
    first, second = method.phases()
    assert first.share + second.share == 1
    assert "correlation" not in dict(first.modules[0].named_modules())


def test_in_training_a_sample_is_not_its_own_neighbour() -> None:
    method, batch = started(), whole(INPUTS)
    asked = []
    for network in method.networks:
        network.register_forward_pre_hook(lambda _, inputs: asked.append(inputs[1]))
    method.train()
    method.logits(batch)
    method.eval()
    method.logits(batch)
    assert all(torch.equal(same, torch.eye(40, dtype=torch.bool)) for same in asked[:3])
    assert asked[3:] == [None] * 3


def test_graphs_are_of_the_training_part_alone_and_loaded_as_they_were() -> None:
    train, test = torch.arange(30), torch.arange(30, 40)
    method = Mogonet(spec_of(), SMALL)
    fit(method, INPUTS, Parts(train, train[:0]), FitConfig(epochs=2, batch_size=16), 0)
    for network, column in zip(method.networks, INPUTS.presence.T, strict=True):
        assert len(network.features) == 30
        assert torch.equal(network.features.any(1), column[train])
    again = Mogonet(spec_of(), SMALL)
    again.load_state_dict(method.state_dict(), strict=True)
    assert torch.equal(predict(again, INPUTS, test).probability, predict(method, INPUTS, test).probability)


@pytest.mark.parametrize(
    "wrong",
    [
        {"components": 0}, {"degree": 0.0}, {"hidden": ()}, {"hidden": (5, 0)}, {"dropout": 1.0}, {"pretraining": 0.0},
    ],
)  # fmt: skip
def test_wrong_options_are_refused_with_their_value(wrong: dict[str, float]) -> None:
    (name, value), *_ = wrong.items()
    with pytest.raises(InputError, match=f"{name} must .*; got {re.escape(str(value))}"):
        Mogonet.Options(**wrong)
