"""Dynamic affine transform: scale and shift of the target, and what happens where something is missing."""

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods.daft import DAFT
from torch import Tensor, nn

from tests.fusion.vectors import spec_of

SHOWN = torch.tensor([[1, 1, 1], [1, 0, 1], [1, 0, 0], [0, 1, 1]]).bool()


def daft(modalities: tuple[str, ...] = ("ehr", "cxr", "rep"), **options: object) -> DAFT:
    torch.manual_seed(0)
    return DAFT(spec_of(modalities=modalities), DAFT.Options(**options)).eval()


def embeddings() -> Tensor:
    return torch.randn(len(SHOWN), 3, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("scale", "squash"),
    [("linear", lambda a: a), ("tanh", torch.tanh), ("sigmoid", lambda a: 1 / (1 + torch.exp(-a)))],
)
def test_all_modalities_scale_and_shift_the_target(scale: str, squash: object) -> None:
    method, slots = daft(target="cxr", scale=scale), embeddings()
    first, _, second = method.auxiliary
    decided = (slots.flatten(1) @ first.weight.T).clamp(min=0) @ second.weight.T
    expected = squash(decided[:, :8]) * slots[:, 1] + decided[:, 8:]
    torch.testing.assert_close(method.transform(slots, torch.ones_like(SHOWN)), expected)
    torch.testing.assert_close(method.fuse(slots, torch.ones_like(SHOWN)), method.head(expected))


def test_the_network_that_decides_has_a_bottleneck_and_no_bias() -> None:
    first, _, second = daft().auxiliary
    assert (first.in_features, first.out_features, second.out_features) == (24, 24 // 7, 2 * 8)
    assert first.bias is None and second.bias is None
    assert daft(bottleneck=100).auxiliary[0].out_features == 1


def test_a_target_alone_stays_as_it_is() -> None:
    transformed = daft().transform(embeddings(), SHOWN)
    same = (transformed == embeddings()[:, 0]).all(1)
    assert same.tolist() == [False, False, True, False]


def test_the_others_speak_where_the_target_is_missing() -> None:
    """They scale and shift its missing embedding, here of ones."""
    slots, others = embeddings(), SHOWN & torch.tensor([False, True, True])
    slots[:, 0] = 1.0
    transformed = daft().transform(slots, others)
    assert torch.equal((transformed != 1.0).any(1), others.any(1))
    assert len(transformed.unique(dim=0)) == len(SHOWN)


def test_the_first_modality_is_the_target_by_default() -> None:
    assert torch.equal(daft().fuse(embeddings(), SHOWN), daft(target="ehr").fuse(embeddings(), SHOWN))
    assert not torch.equal(daft().fuse(embeddings(), SHOWN), daft(target="rep").fuse(embeddings(), SHOWN))


def test_the_order_of_the_modalities_does_not_matter() -> None:
    method, turned = daft(target="cxr"), daft(("rep", "cxr", "ehr"), target="cxr")
    weight = method.auxiliary[0].weight.unflatten(1, (3, 8)).flip(1).flatten(1)
    turned.auxiliary[0].weight = nn.Parameter(weight)
    torch.testing.assert_close(turned.fuse(embeddings().flip(1), SHOWN.flip(1)), method.fuse(embeddings(), SHOWN))


def test_a_target_that_is_no_modality_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match=r"options\.target = 'ekg' is no modality .*: ehr, cxr, rep"):
        daft(target="ekg")


def test_impossible_options_are_refused() -> None:
    with pytest.raises(InputError, match="bottleneck must be positive; got 0"):
        DAFT.Options(bottleneck=0)
