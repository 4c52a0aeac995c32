"""Multimodal transfer module: the gates, and who gets one."""

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods.mmtm import MMTM
from torch import Tensor, nn

from tests.fusion.vectors import spec_of

SHOWN = torch.tensor([[1, 1, 1], [1, 0, 1], [0, 1, 0]]).bool()


def mmtm(**options: object) -> MMTM:
    torch.manual_seed(0)
    return MMTM(spec_of(), MMTM.Options(**options)).eval()


def embeddings() -> Tensor:
    return torch.randn(len(SHOWN), 3, 8, generator=torch.Generator().manual_seed(1))


def test_gates_are_twice_a_sigmoid_of_the_joint_squeeze() -> None:
    method, slots = mmtm(), embeddings()
    squeeze = method.squeeze[0]
    z = (slots.flatten(1) @ squeeze.weight.T + squeeze.bias).clamp(min=0)
    assert z.shape == (3, 2 * 3 * 8 // 4)
    for m, excite in enumerate(method.excitations):
        expected = 2 / (1 + torch.exp(-(z @ excite.weight.T + excite.bias)))
        torch.testing.assert_close(method.gates(slots)[:, m], expected)


@pytest.mark.parametrize(("bias", "gate"), [(0.0, 1.0), (50.0, 2.0), (-50.0, 0.0)])
def test_a_gate_lets_through_between_nothing_and_twice_the_channel(bias: float, gate: float) -> None:
    """Half way, without any excitation, it leaves concatenation as it is."""
    method = mmtm()
    for excite in method.excitations:
        nn.init.zeros_(excite.weight)
        nn.init.constant_(excite.bias, bias)
    everyone = torch.ones_like(SHOWN)
    torch.testing.assert_close(method.fuse(embeddings(), everyone), method.head(gate * embeddings().flatten(1)))


def test_absent_modalities_get_no_gate() -> None:
    method = mmtm()
    for excite in method.excitations:
        nn.init.constant_(excite.bias, -50.0)
    left = torch.where(SHOWN[:, :, None], 0.0, embeddings())
    torch.testing.assert_close(method.fuse(embeddings(), SHOWN), method.head(left.flatten(1)))


def test_absent_modalities_take_part_in_the_squeeze() -> None:
    method, other = mmtm(), embeddings()
    other[2, 0] += 1
    changed = (method.gates(other) != method.gates(embeddings())).any(-1)
    assert changed.tolist() == [[False] * 3, [False] * 3, [True] * 3]


def test_the_order_of_the_modalities_does_not_matter() -> None:
    method, turned = mmtm(), mmtm()
    turned.excitations = nn.ModuleList(reversed(method.excitations))
    for ours, theirs in ((method.squeeze[0], turned.squeeze[0]), (method.head[0], turned.head[0])):
        theirs.weight = nn.Parameter(ours.weight.unflatten(1, (3, 8)).flip(1).flatten(1))
    torch.testing.assert_close(turned.fuse(embeddings().flip(1), SHOWN.flip(1)), method.fuse(embeddings(), SHOWN))


def test_the_squeeze_keeps_a_unit_at_least() -> None:
    assert mmtm(reduction=1000).squeeze[0].out_features == 1
    with pytest.raises(InputError, match="reduction must be 1 or more; got 0"):
        MMTM.Options(reduction=0)
