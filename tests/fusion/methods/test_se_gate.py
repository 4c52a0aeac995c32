"""Squeeze and excitation over the concatenated embeddings."""

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods.concat import Concat
from omnifuse.fusion.methods.se_gate import SEGate
from torch import Tensor

from tests.fusion.vectors import spec_of

SHOWN = torch.tensor([[1, 1, 1], [1, 0, 1], [0, 1, 0]]).bool()


def gated(**options: object) -> SEGate:
    torch.manual_seed(0)
    return SEGate(spec_of(), SEGate.Options(**options)).eval()  # type: ignore[arg-type]


def embeddings() -> Tensor:
    return torch.randn(len(SHOWN), 3, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("mask_gate", [False, True])
def test_the_head_reads_every_channel_times_its_gate(mask_gate: bool) -> None:
    method, v = gated(reduction=4, mask_gate=mask_gate), embeddings()
    squeeze, _, excite, _ = method.gate
    u = v.flatten(1)
    s = (excite((squeeze(u)).clamp(min=0))).sigmoid()
    if mask_gate:
        s = s * SHOWN.repeat_interleave(8, dim=1)
    torch.testing.assert_close(method.fuse(v, SHOWN), method.head(s * u))


def test_a_modality_can_have_one_gate_for_all_its_channels() -> None:
    method = gated(granularity="modality")
    assert method.gates(embeddings(), SHOWN).shape == (3, 3, 1)
    assert gated().gates(embeddings(), SHOWN).shape == (3, 3, 8)


def test_masked_gates_of_absent_modalities_are_closed() -> None:
    closed = gated(granularity="modality", mask_gate=True).gates(embeddings(), SHOWN)[:, :, 0] == 0
    assert torch.equal(closed, ~SHOWN)
    assert (gated(granularity="modality").gates(embeddings(), SHOWN) > 0).all()


def test_open_gates_make_it_concatenation() -> None:
    method, concat = gated(), Concat(spec_of()).eval()
    concat.head.load_state_dict(method.head.state_dict())
    torch.nn.init.zeros_(method.gate[2].weight)
    torch.nn.init.constant_(method.gate[2].bias, 50.0)
    torch.testing.assert_close(method.fuse(embeddings(), SHOWN), concat.fuse(embeddings(), SHOWN))


@pytest.mark.parametrize(("reduction", "width"), [(16, 1), (4, 6), (100, 1)])
def test_the_gate_is_read_through_a_narrow_layer(reduction: int, width: int) -> None:
    assert gated(reduction=reduction).gate[0].weight.shape == (width, 24)


def test_a_reduction_below_one_is_refused() -> None:
    with pytest.raises(InputError, match="reduction must be at least 1; got 0"):
        SEGate.Options(reduction=0)
