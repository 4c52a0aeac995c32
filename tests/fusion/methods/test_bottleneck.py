"""Attention bottlenecks: who hears of whom, what absent modalities leave, and what padding says."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.inputs.batches import Inputs, ModalityInputs
from omnifuse.fusion.methods.bottleneck import Bottleneck
from torch import Tensor

from tests.fusion.vectors import COLUMNS, noise, spec_of, step, whole


def bottleneck(modalities: tuple[str, ...] = tuple(COLUMNS), **options: Any) -> Bottleneck:
    torch.manual_seed(0)
    return Bottleneck(spec_of(modalities=modalities), Bottleneck.Options(**{"width": 8, **options})).eval()


def silent(method: Bottleneck, but: int) -> Bottleneck:
    """Let one modality alone say anything."""
    with torch.no_grad():
        for m, head in enumerate(method.heads):
            if m != but:
                head.weight.zero_()
                head.bias.zero_()
    return method


def other(inputs: Inputs, name: str) -> Inputs:
    """Return inputs whose vectors of one modality are others."""
    vectors = inputs.modalities[name].summary
    assert isinstance(vectors, Tensor)
    return replace(inputs, modalities={**inputs.modalities, name: ModalityInputs(vectors + 1, None)})


def test_a_modality_hears_of_another_through_the_shared_tokens() -> None:
    method, inputs = silent(bottleneck(), but=0), noise(share=1.0)
    said, moved = (method.logits(whole(one)) for one in (inputs, other(inputs, "cxr")))
    assert not torch.isclose(said, moved, atol=1e-6).any()
    method.layers = method.layers[:1]  # of which nobody has heard yet
    assert torch.equal(*(method.logits(whole(one)) for one in (inputs, other(inputs, "cxr"))))


def test_an_absent_modality_leaves_the_shared_tokens_alone() -> None:
    method, inputs = bottleneck(), noise(share=1.0)
    alone = bottleneck(("ehr",))
    own = {**method.state_dict(), "own": method.own[:1]}
    alone.load_state_dict({name: own[name] for name in alone.state_dict()})
    only = replace(inputs, presence=inputs.presence[:, :1], modalities={"ehr": inputs.modalities["ehr"]})
    torch.testing.assert_close(method.logits(whole(inputs.without(("cxr", "rep")))), alone.logits(whole(only)))


def test_a_hidden_modality_is_as_an_absent_one() -> None:
    method, inputs = bottleneck(), noise(share=1.0)
    absent = method.logits(whole(inputs.without(("cxr",))))
    method.shown = lambda present: present & torch.tensor([True, False, True])  # type: ignore[method-assign]
    torch.testing.assert_close(method.logits(whole(inputs)), absent)


def test_everything_learns() -> None:
    method = bottleneck()
    _, gradients = step(method, whole(noise()))
    assert gradients.keys() == {name for name, _ in method.named_parameters()}
    assert all(gradient.any() for gradient in gradients.values())


@pytest.mark.parametrize("options", [{"bottlenecks": 0}, {"layers": 1}, {"width": 6}, {"modality_dropout": 2.0}])
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        Bottleneck.Options(**options)
