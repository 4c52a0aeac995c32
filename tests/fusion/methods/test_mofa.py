"""Factor analysis as a method: a label that a shared factor decides."""

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.inputs.batches import Inputs, ModalityInputs
from omnifuse.fusion.inputs.spec import InputSpec
from omnifuse.fusion.methods.base import ModelSpec
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.mofa import MOFA
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.loop import Parts, fit, predict
from sklearn.metrics import roc_auc_score

from tests.fusion.vectors import COLUMNS, spec_of

TRAIN, TEST = torch.arange(200), torch.arange(200, 400)


def shared() -> Inputs:
    """A factor shows in every column, and decides the label."""
    generator = torch.Generator().manual_seed(0)
    factor = torch.randn(400, 1, generator=generator)
    modalities = {
        name: ModalityInputs(factor + torch.randn(400, columns, generator=generator), None)
        for name, columns in COLUMNS.items()
    }
    present = torch.rand(400, len(COLUMNS), generator=generator) < 0.8
    return Inputs((factor > 0).float(), present, modalities, torch.arange(400))


def test_a_shared_factor_is_found_and_read_from_any_modality() -> None:
    pytest.importorskip("mofapy2")
    inputs, method = shared(), MOFA(spec_of(), MOFA.Options(factors=3))
    fit(method, inputs, Parts(TRAIN, TRAIN[:0]), FitConfig(), 0)
    for hidden in ((), ("ehr",), ("ehr", "cxr")):
        has = inputs.without(hidden).presence[TEST].any(1)
        probability = predict(method, inputs.without(hidden), TEST).probability[has, 0]
        assert roc_auc_score(inputs.y[TEST][has, 0], probability) > 0.85


def test_a_factor_of_one_wide_modality_is_found() -> None:
    pytest.importorskip("mofapy2")
    generator = torch.Generator().manual_seed(0)
    factor = torch.randn(240, 1, generator=generator)
    wide = factor * torch.randn(1, 100, generator=generator) + torch.randn(240, 100, generator=generator)
    inputs = Inputs(
        (factor > 0).float(),
        torch.ones(240, 1, dtype=torch.bool),
        {"rna": ModalityInputs(wide, None)},
        torch.arange(240),
    )
    spec = ModelSpec((InputSpec("rna", "features", 100, 0),), Target("binary", 1))
    method = MOFA(spec, MOFA.Options(factors=3, components=20))
    fit(method, inputs, Parts(torch.arange(120), TRAIN[:0]), FitConfig(), 0)
    probability = predict(method, inputs, torch.arange(120, 240)).probability[:, 0]
    assert roc_auc_score(inputs.y[120:, 0], probability) > 0.95


@pytest.mark.parametrize("wrong", [{"factors": 0}, {"components": 0}])
def test_wrong_options_are_refused_with_their_value(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(wrong))} must be at least 1; got 0"):
        MOFA.Options(**wrong)
