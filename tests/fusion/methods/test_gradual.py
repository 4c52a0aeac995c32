"""Gradual fusion: the recursion over modalities, and their order."""

from dataclasses import replace

import pytest
import torch
from omnifuse.fusion.inputs.batches import Inputs, ModalityInputs
from omnifuse.fusion.methods.gradual import Gradual, most_correlated_first
from torch import Tensor

from tests.fusion.vectors import COLUMNS, context_of, noise, spec_of

SHOWN = torch.tensor([[1, 1, 1], [1, 0, 1], [1, 0, 0], [0, 1, 1]]).bool()


def gradual(**options: object) -> Gradual:
    torch.manual_seed(0)
    return Gradual(spec_of(), Gradual.Options(**options)).eval()  # type: ignore[arg-type]


def embeddings() -> Tensor:
    return torch.randn(len(SHOWN), 3, 8, generator=torch.Generator().manual_seed(1))


def merged(method: Gradual, number: int, h: Tensor, v: Tensor) -> Tensor:
    """Return F(h, v), of zero mean and unit deviation."""
    out = method.merges[number](torch.cat([h, v])).clamp(min=0)
    return (out - out.mean()) / (out.var(correction=0) + 1e-5).sqrt()


def test_modalities_are_merged_one_after_the_other_and_skipped_where_absent() -> None:
    method, v = gradual(), embeddings()
    h = [
        merged(method, 1, merged(method, 0, v[0, 0], v[0, 1]), v[0, 2]),
        merged(method, 1, v[1, 0], v[1, 2]),
        v[2, 0],
        merged(method, 1, merged(method, 0, v[3, 0], v[3, 1]), v[3, 2]),
    ]
    torch.testing.assert_close(method.fuse(v, SHOWN), method.head(torch.stack(h)))


def test_merges_follow_the_order() -> None:
    method, v = gradual(), embeddings()
    method.order.copy_(torch.tensor([2, 0, 1]))
    h = merged(method, 1, merged(method, 0, v[0, 2], v[0, 0]), v[0, 1])
    torch.testing.assert_close(method.fuse(v, SHOWN)[0], method.head(h))
    assert method.details() == {"order": ["rep", "ehr", "cxr"]}


def test_the_closest_pair_comes_first_and_then_what_is_closest_to_it() -> None:
    between = torch.tensor(
        [
            [1.0, 0.1, 0.2, 0.3],
            [0.1, 1.0, 0.8, 0.4],
            [0.2, 0.8, 1.0, -0.5],
            [0.3, 0.4, -0.5, 1.0],
        ]
    )
    assert most_correlated_first(between) == [1, 2, 0, 3]  # 0.15 on average against -0.05


def test_ties_keep_the_given_order_and_one_modality_is_an_order() -> None:
    assert most_correlated_first(torch.eye(4)) == [0, 1, 2, 3]
    assert most_correlated_first(torch.ones(1, 1)) == [0]


@pytest.fixture
def alike() -> Inputs:
    """Noise, but for what ``cxr`` and ``rep`` have in common."""
    inputs = noise(200)
    shared = inputs.modalities["cxr"].summary
    assert shared is not None
    return replace(inputs, modalities={**inputs.modalities, "rep": ModalityInputs(shared[:, : COLUMNS["rep"]], None)})


def test_the_order_is_decided_by_what_modalities_have_in_common_and_stored(alike: Inputs) -> None:
    method, again = gradual(), gradual()
    method.on_fit_start(context_of(alike))
    assert method.order.tolist() == [1, 2, 0]
    again.load_state_dict(method.state_dict())
    assert again.order.tolist() == [1, 2, 0]


def test_labels_do_not_decide_the_order(alike: Inputs) -> None:
    method = gradual()
    method.on_fit_start(context_of(replace(alike, y=torch.full_like(alike.y, torch.nan))))
    assert method.order.tolist() == [1, 2, 0]


def test_the_order_can_be_the_given_one(alike: Inputs) -> None:
    method = gradual(order="given")
    method.on_fit_start(context_of(alike))
    assert method.order.tolist() == [0, 1, 2]
