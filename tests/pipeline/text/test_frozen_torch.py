"""What both frozen encoders share."""

from pathlib import Path

import numpy as np
import pytest
import torch
from omnifuse.pipeline import frozen_torch
from omnifuse.pipeline.frozen_torch import digest_weights, fast_precision, seed_weights, to_float16
from torch import nn


def seeded(seed: int) -> nn.Module:
    model = nn.Sequential(nn.Linear(400, 100), nn.LayerNorm(100), nn.Conv2d(4, 3, 10))
    seed_weights(model, seed)
    return model


def test_seeded_weights_have_the_spread_of_their_fan_in() -> None:
    linear, norm, convolution = seeded(0)
    assert float(linear.weight.detach().std()) == pytest.approx(400**-0.5, rel=0.02)
    assert float(convolution.weight.detach().std()) == pytest.approx((4 * 10 * 10) ** -0.5, rel=0.05)
    assert (linear.bias == 0).all()
    assert (norm.weight == 1).all()


def test_the_seed_alone_decides_the_weights() -> None:
    assert digest_weights(seeded(0)) == digest_weights(seeded(0)) != digest_weights(seeded(1))


@pytest.mark.parametrize(
    ("flags", "expected"), [("flags: avx512f avx512_bf16 amx_tile", torch.bfloat16), ("flags: avx2", torch.float32)]
)
def test_precision_follows_what_the_processor_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, expected: torch.dtype
) -> None:
    (tmp_path / "cpuinfo").write_text(flags)
    monkeypatch.setattr(frozen_torch, "CPU_FLAGS", tmp_path / "cpuinfo")
    assert fast_precision(torch.device("cpu")) == expected


def test_precision_is_float32_where_the_processor_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen_torch, "CPU_FLAGS", tmp_path / "absent")
    assert fast_precision(torch.device("cpu")) == torch.float32


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e6])
def test_only_values_that_float16_holds_are_cast(value: float) -> None:
    np.testing.assert_array_equal(to_float16(torch.tensor([1.5]), "ours"), np.array([1.5], np.float16))
    with pytest.raises(ValueError, match="'ours' gave values that are not finite in float16"):
        to_float16(torch.tensor([value]), "ours")
