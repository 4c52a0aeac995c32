"""M3Care-style fusion: who is a neighbour, and what is borrowed where something is missing."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.inputs.batches import Inputs
from omnifuse.fusion.methods.m3care import M3Care
from torch import Tensor

from tests.fusion.vectors import context_of, noise, spec_of, step, whole


def m3care(inputs: Inputs | None = None, **options: Any) -> M3Care:
    torch.manual_seed(0)
    method = M3Care(spec_of(dropout=0.0), M3Care.Options(**{"width": 8, "layers": 1, "dropout": 0.0, **options}))
    method.on_fit_start(context_of(noise() if inputs is None else inputs, size=16))
    return method


def borrowed(method: M3Care, inputs: Inputs, own: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What becomes of the embeddings, what is there, and what both were before."""
    encoded = method.encode(whole(inputs))
    return (
        *method.borrow(encoded.embeddings, encoded.presence, encoded.missing, own),
        encoded.embeddings,
        encoded.presence,
    )


def test_without_anybody_alike_a_sample_keeps_what_it_has() -> None:
    inputs = noise(share=0.5)
    method = m3care(inputs)
    everybody = torch.ones(40, 40, dtype=torch.bool)
    after, there, before, present = borrowed(method, inputs, own=everybody)
    assert torch.equal(after, before) and torch.equal(there, present)


def test_nobody_is_alike_above_a_threshold_of_one() -> None:
    method = m3care()
    with torch.no_grad():
        method.threshold.fill_(20.0)
    encoded = method.encode(whole(noise(share=0.5, seed=1)))
    assert not method.weights(encoded.embeddings, encoded.presence).any()


def test_an_equal_sample_is_as_alike_as_can_be() -> None:
    inputs = noise(share=1.0)
    method = m3care(inputs)
    encoded = method.encode(whole(inputs))
    alike = method.likeness(encoded.embeddings, encoded.presence)
    torch.testing.assert_close(alike.diagonal(), torch.ones(40), atol=1e-5, rtol=0)
    assert (alike <= 1 + 1e-5).all() and (alike >= 0).all()


def test_samples_are_compared_by_what_both_have() -> None:
    inputs = noise(share=1.0)
    method = m3care(replace(inputs, presence=inputs.presence & torch.tensor([True, True, False])))
    embeddings, shown = torch.randn(1, 3, 8), torch.tensor([[False, True, True]])
    other = embeddings.clone()
    other[:, [0, 2]] = 7.0
    assert torch.equal(method.likeness(embeddings, shown), method.likeness(other, shown))
    assert not method.likeness(embeddings, torch.tensor([[False, False, True]])).any()


def test_an_absent_modality_is_what_neighbours_have_of_it() -> None:
    inputs = noise(share=1.0)
    method = m3care(inputs, threshold=0.1)
    after, there, before, _ = borrowed(method, inputs.without(("cxr",)))
    assert there.all()
    assert not torch.isclose(after[:, 1], before[:, 1]).all()
    nobody_has = m3care(inputs.without(("cxr",)), threshold=0.1)
    after, there, before, _ = borrowed(nobody_has, inputs.without(("cxr",)))
    assert not there[:, 1].any() and torch.equal(after[:, 1], before[:, 1])


def test_in_training_a_patient_is_no_neighbour_of_their_own() -> None:
    inputs = noise(share=1.0)
    method = m3care(inputs)
    batch = whole(inputs)
    encoded = method.encode(batch)
    own = batch.subject[:, None] == method.owner
    assert own.sum() == 40
    weights = method.weights(encoded.embeddings, encoded.presence, own)
    assert not weights[own].any() and weights.any()


def test_as_many_are_stored_as_the_options_allow() -> None:
    assert len(m3care(noise(50), nodes=20).nodes.there) == 17  # every third
    assert len(m3care(noise(50)).nodes.there) == 50


def test_everything_learns_the_threshold_too() -> None:
    _, gradients = step(m3care(threshold=0.1), whole(noise(share=0.7)))
    assert gradients.keys() == {name for name, _ in m3care().named_parameters()}
    assert all(gradient.any() for gradient in gradients.values())


@pytest.mark.parametrize("options", [{"threshold": 0.0}, {"threshold": 1.0}, {"nodes": 0}])
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        M3Care.Options(**options)
