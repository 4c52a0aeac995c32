"""Mixture of experts: tokens of absent modalities, who is sent to which expert, and what every gate learns."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.moe import MixtureOfExperts, experts_for
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.config import make_config
from omnifuse.fusion.training.loop import Parts, fit, predict
from omnifuse.testing import check_method

from tests.fusion.vectors import TARGETS, context_of, noise, spec_of, step, whole

FLEX: dict[str, Any] = {"router": "shared", "gate": "softmax", "absent": "bank", "balance": "combinations"}
ROUTERS = ("joint", "shared", "per-modality", "disjoint")


def moe(target: Target = TARGETS[0], dropout: float = 0.0, **options: Any) -> MixtureOfExperts:
    torch.manual_seed(0)
    return MixtureOfExperts(spec_of(target, dropout=dropout), MixtureOfExperts.Options(**options)).eval()


@pytest.mark.parametrize("preset", ["flex-moe", "fusemoe"])
def test_presets_keep_the_contract(preset: str) -> None:
    check_method(MixtureOfExperts, make_config("moe", preset).options)


@pytest.mark.parametrize("router", ROUTERS)
def test_every_gate_and_expert_learns(router: str) -> None:
    method = moe(router=router)
    _, gradients = step(method, whole(noise(80)))
    assert gradients.keys() == {name for name, _ in method.named_parameters()}
    for name, gradient in gradients.items():
        if name.startswith("gates"):
            assert gradient.any(1).all(), name
    assert len(method.gates) == (3 if router in ("per-modality", "disjoint") else 1)
    assert len(method.experts) == (3 if router == "disjoint" else 1)


def test_a_joint_router_sends_all_tokens_of_a_sample_to_the_same_experts() -> None:
    scores = moe(router="joint").scores(torch.randn(5, 3, 8))
    assert torch.equal(scores[:, 0], scores[:, 2])


def test_samples_that_have_everything_teach_the_bank_nothing() -> None:
    method = moe(**FLEX)
    complete, some = whole(noise(share=1.0)), whole(noise(share=0.3))
    assert not step(method, complete)[1]["bank"].any()
    _, gradients = step(method, some)
    shown = method.combination(some.presence).unique()
    lacking = shown[shown != 7]
    assert gradients["bank_of"].flatten(1).any(1).nonzero()[:, 0].tolist() == lacking.tolist()


def test_the_token_of_an_absent_modality_is_that_of_the_combination() -> None:
    method = moe(**FLEX)
    embeddings, shown = torch.randn(1, 3, 8), torch.tensor([[True, False, True]])
    with torch.no_grad():
        method.bank_of[5, 1] = 1.0
    expected = torch.stack([embeddings[0, 0], method.bank[1] + 1, embeddings[0, 2]]) + method.modality
    torch.testing.assert_close(method.tokens(embeddings, shown)[0], expected)


def test_combinations_get_experts_by_how_frequent_they_are_in_training() -> None:
    inputs = noise(6)
    presence = torch.tensor([[True, False, False]] * 3 + [[True, True, True]] * 2 + [[False, True, False]])
    method = moe(**FLEX, experts=2)
    method.on_fit_start(context_of(replace(inputs, presence=presence)))
    assert method.expert_of.tolist() == [-1, 0, -1, -1, -1, -1, -1, 1]


def test_what_lacks_something_is_drawn_to_its_expert_and_what_lacks_nothing_to_all_alike() -> None:
    method = moe(**FLEX, experts=2, chosen=1)
    method.expert_of[1] = 1
    shown = torch.tensor([[True, False, False], [True, True, True], [True, True, False]])
    scores = torch.zeros(3, 3, 2)
    scores[1, :, 0] = 1.0  # all of the complete sample's tokens choose one expert: 3 and 0, variance 4.5, mean 1.5
    assert float(method.balance(scores, shown).detach()) == pytest.approx(2 + torch.tensor(2.0).log().item())


def test_it_starts_with_samples_that_have_everything() -> None:
    inputs = noise(40, share=0.5)
    incomplete = ~inputs.presence.all(1)
    other = replace(inputs, y=torch.where(incomplete[:, None], 1 - inputs.y, inputs.y))
    method = moe(complete_first=0.5)
    for one, same in ((method.complete_loss, True), (method.loss, False)):
        assert torch.equal(one(whole(inputs))["total"], one(whole(other))["total"]) is same
    history = fit(method, inputs, Parts(torch.arange(40), torch.arange(0)), FitConfig(epochs=4, batch_size=20), seed=0)
    assert [row["epoch"] for row in history if row["term"] == "complete: ce"] == [0, 1]
    assert [row["epoch"] for row in history if row["term"] == "ce"] == [2, 3]


def test_nobody_with_everything_does_no_harm() -> None:
    inputs = noise(40)
    inputs = replace(inputs, presence=inputs.presence & torch.tensor([True, True, False]))
    method = moe(**FLEX, complete_first=0.5)
    fit(method, inputs, Parts(torch.arange(40), torch.arange(0)), FitConfig(epochs=2, batch_size=20), seed=0)
    assert predict(method, inputs, torch.arange(40)).probability.isfinite().all()


def test_the_number_of_experts_grows_with_that_of_combinations() -> None:
    assert [experts_for(m) for m in (1, 2, 3, 4, 5, 9)] == [8, 8, 8, 15, 15, 15]


@pytest.mark.parametrize(
    "options", [{"experts": 0}, {"chosen": 0}, {"experts": 2, "chosen": 3}, {"noise": -1.0}, {"complete_first": 1.0}]
)
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=list(options)[-1]):
        MixtureOfExperts.Options(**options)


def test_a_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(InputError, match=r"a multiple of options\.heads; got 8 and 3"):
        moe(heads=3)
