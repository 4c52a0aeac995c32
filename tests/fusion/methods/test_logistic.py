"""Ridge logistic regression on the table of everything, its penalty chosen within the training part."""

from dataclasses import replace

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.inputs.batches import Inputs, ModalityInputs
from omnifuse.fusion.inputs.spec import InputSpec
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.logistic import Logistic
from omnifuse.fusion.parts.table import pooled_table
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.loop import Parts, fit, predict
from sklearn.metrics import roc_auc_score
from torch import Tensor

from tests.fusion.vectors import TARGETS, noise, signal, spec_of, whole


def logistic(inputs: Inputs, samples: int, target: Target = TARGETS[0], **options: object) -> Logistic:
    """Return the method, fitted to the first samples."""
    widths = {name: modality.summary.shape[1] for name, modality in inputs.modalities.items()}
    specs = tuple(InputSpec(name, "features", width, 0) for name, width in widths.items())
    method = Logistic(replace(spec_of(target), inputs=specs), Logistic.Options(**options))
    fit(method, inputs, Parts(torch.arange(samples), torch.arange(0)), FitConfig(), seed=0)
    return method


@pytest.fixture(scope="module")
def wide() -> Inputs:
    """Three modalities of 200 columns, which share ten factors, of which one decides the label."""
    generator = torch.Generator().manual_seed(0)
    factors = torch.randn(500, 10, generator=generator)

    def columns() -> Tensor:
        return factors @ torch.randn(10, 200, generator=generator) / 3 + torch.randn(500, 200, generator=generator)

    inputs = noise(500, share=1.0)
    y = factors[:, :1] + 0.5 * torch.randn(500, 1, generator=generator) > 0
    return replace(
        inputs, y=y.float(), modalities={name: ModalityInputs(columns(), None) for name in inputs.modalities}
    )


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
def test_mean_cross_entropy_and_penalty_are_least(target: Target) -> None:
    inputs = noise(60, target)
    if target.kind == "multilabel":  # the mean over samples is that of each label only if all are known
        inputs = replace(inputs, y=inputs.y.nan_to_num(0.0))
    method = logistic(inputs, 60, target, penalties=(0.1,))
    weight = method.head.weight.clone().requires_grad_()
    bias = method.head.bias.clone().requires_grad_()
    batch, labels = whole(inputs), inputs.y.shape[1]
    logits = pooled_table(method.spec.inputs, batch) @ weight.T + bias
    (labels * target.loss(logits, batch.y) + 0.1 / 2 * weight.square().sum()).backward()
    torch.testing.assert_close(weight.grad, torch.zeros_like(weight), atol=1e-3, rtol=0)
    torch.testing.assert_close(bias.grad, torch.zeros_like(bias), atol=1e-3, rtol=0)


def test_fewer_samples_than_columns_are_no_obstacle(wide: Inputs) -> None:
    method, test = logistic(wide, 245, penalties=(1e-3, 0.1, 10.0)), torch.arange(245, 500)
    assert roc_auc_score(wide.y[test, 0], predict(method, wide, test).probability[:, 0]) > 0.9


def test_noise_gets_the_largest_penalty_and_signal_a_smaller_one() -> None:
    chosen = [logistic(inputs, 200).details()["penalty"] for inputs in (noise(200), signal(200))]
    assert chosen[0] == max(Logistic.Options().penalties)
    assert chosen[1] < chosen[0]


def test_a_missing_modality_adds_nothing(wide: Inputs) -> None:
    method = logistic(wide, 100, penalties=(0.1,))
    shown = whole(wide.without(("cxr",)))
    ehr = 3 * 200
    table = pooled_table(method.spec.inputs, shown)
    kept = torch.cat([torch.arange(ehr), torch.arange(2 * ehr, 3 * ehr), torch.tensor([3 * ehr, 3 * ehr + 2])])
    expected = table[:, kept] @ method.head.weight[:, kept].T + method.head.bias
    torch.testing.assert_close(method.logits(shown), expected)


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match=r"penalties must be positive, one at least; got \(0.1, 0.0\)"):
        Logistic.Options(penalties=(0.1, 0.0))
    with pytest.raises(InputError, match="one at least; got"):
        Logistic.Options(penalties=())
    with pytest.raises(InputError, match="folds must be at least 2; got 1"):
        Logistic.Options(folds=1)
