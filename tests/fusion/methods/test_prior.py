"""The label frequencies of the training part, whatever a sample has."""

from dataclasses import replace

import pytest
import torch
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.prior import Prior
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.loop import Parts, fit, predict

from tests.fusion.vectors import noise, spec_of

NAN = torch.nan


@pytest.mark.parametrize(
    ("target", "y", "expected"),
    [
        (Target("binary"), [[1.0], [0.0], [0.0]], [2 / 5]),
        (Target("multilabel", 2), [[1.0, NAN], [1.0, 0.0], [0.0, 0.0]], [3 / 5, 1 / 4]),
        (Target("multiclass", 4), [[0.0], [2.0], [2.0]], [2 / 7, 1 / 7, 3 / 7, 1 / 7]),
    ],
    ids=lambda value: value.kind if isinstance(value, Target) else "",
)
def test_everybody_gets_the_frequencies_with_one_count_added(
    target: Target, y: list[list[float]], expected: list[float]
) -> None:
    inputs = noise(6, target)
    inputs = replace(inputs, y=torch.cat([torch.tensor(y), inputs.y[3:]]))
    method = Prior(spec_of(target))
    fit(method, inputs, Parts(torch.arange(3), torch.arange(0)), FitConfig(), seed=0)
    probability = predict(method, inputs.without(("cxr",)), torch.arange(6)).probability
    torch.testing.assert_close(probability, torch.tensor(expected).expand(6, -1))


def test_there_is_nothing_to_learn() -> None:
    assert list(Prior(spec_of()).state_dict()) == ["prior"]
