"""LightGBM: settings that cannot be, and the same digits on any number of threads."""

import numpy as np
import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.lightgbm import LightGBM
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.loop import Parts, fit, predict

from tests.fusion.methods.test_boosting import hazards
from tests.fusion.vectors import signal, spec_of, whole

QUICK = {"rounds": 60, "learning_rate": 0.1, "columns": 1.0, "samples_per_leaf": 5}


def trained(target: Target, inputs, **options: object) -> LightGBM:
    method = LightGBM(spec_of(target), LightGBM.Options(**(QUICK | options)))
    fit(method, inputs, Parts(torch.arange(len(inputs.y)), torch.arange(0)), FitConfig(), seed=0)
    return method


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rounds": 0}, "rounds = 0; expected 1 to"),
        ({"leaves": 1}, "leaves = 1; expected 2 to"),
        ({"bins": 256}, "bins = 256; expected 2 to 255"),
        ({"columns": 0.0}, "shares above 0"),
        ({"l2": -1.0}, "not negative"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LightGBM.Options(**settings)


@pytest.mark.parametrize("missing", ["masked", "native"])
def test_one_model_can_serve_all_combinations(missing: str) -> None:
    inputs = signal(400)
    method = trained(Target("binary"), inputs, missing=missing)
    assert [forest.read()[0].booster.num_feature() for forest in method.forests] == [12]
    assert predict(method, inputs.without(("cxr",)), torch.arange(400)).probability.isfinite().all()


def test_trees_are_the_same_whatever_the_seed_of_everything_else() -> None:
    inputs = signal(300)
    states = []
    for other in (0, 1):
        torch.manual_seed(other)
        np.random.seed(other)  # noqa: NPY002
        states.append(trained(Target("binary"), inputs).forest(6).get_extra_state())
    assert torch.equal(*states)


def test_hazards_that_change_over_time_and_with_what_is_known_are_found() -> None:
    """Risk rises over time for one half, and falls for the other."""
    chances = torch.tensor([[0.05, 0.1, 0.4], [0.4, 0.2, 0.05]])
    inputs = hazards(3000, chances)
    said = trained(Target("survival", 3), inputs, missing="native").predict(whole(inputs)).probability
    above = inputs.modalities["ehr"].summary[:, 0] > 0
    for half, expected in zip((~above, above), chances, strict=True):
        torch.testing.assert_close(said[half].mean(0), expected, atol=0.05, rtol=0)
