"""Partial least squares: its equation, the scale of blocks, labels of any kind."""

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods.multiview import ViewTable
from omnifuse.fusion.methods.pls import PLS, block_scale, indicators
from omnifuse.fusion.parts.targets import Target

from tests.fusion.vectors import TARGETS, labels_for, spec_of


def table(samples: int = 300, y: torch.Tensor | None = None) -> ViewTable:
    torch.manual_seed(0)
    views = [torch.randn(samples, width) for width in (5, 4, 3)]
    views = [view - view.mean(0) for view in views]
    y = (views[0][:, :1] + views[1][:, :1] > 0).float() if y is None else y
    return ViewTable(views, torch.ones(samples, 3, dtype=torch.bool), y)


def learnt(data: ViewTable, target: Target = TARGETS[0], **options: int) -> PLS:
    method = PLS(spec_of(target), PLS.Options(**options))
    method.learn(data, 0)
    return method


def test_the_first_direction_is_the_covariance_with_the_label() -> None:
    data = table()
    method = learnt(data, dimensions=1)
    scaled = torch.cat(list(data.views), 1) * block_scale(data)
    covariance = scaled.T @ (data.y - data.y.mean()).double()[:, 0]
    direction = method.directions[:, 0] / block_scale(data)
    torch.testing.assert_close(direction, covariance / covariance.norm(), atol=1e-5, rtol=1e-4)


def test_components_are_centred_and_uncorrelated() -> None:
    data = table()
    scores = learnt(data, dimensions=3).scores(data.views, data.present)
    torch.testing.assert_close(scores.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    gram = scores.T @ scores
    torch.testing.assert_close(gram, gram.diagonal().diag(), atol=1e-3, rtol=0)


def test_every_modality_has_the_same_variance_in_all_whoever_has_it() -> None:
    data = table()
    present = data.present.clone()
    present[100:, 1] = False
    hidden = ViewTable(
        [view * shown[:, None] for view, shown in zip(data.views, present.T, strict=True)], present, data.y
    )
    scaled = torch.split(torch.cat(list(hidden.views), 1) * block_scale(hidden), [5, 4, 3], dim=1)
    for view, shown in zip(scaled, present.T, strict=True):
        assert float((view**2).sum() / shown.sum()) == pytest.approx(1)


def test_labels_become_numbers() -> None:
    y = torch.tensor([[1.0, torch.nan], [0.0, 1.0], [1.0, 0.0]])
    torch.testing.assert_close(indicators(Target("multilabel", 2), y)[0], torch.tensor([1.0, 0.5]).double())
    classes = indicators(Target("multiclass", 3), torch.tensor([[2.0], [0.0]]))
    assert classes.tolist() == [[0, 0, 1], [1, 0, 0]]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
def test_samples_whose_label_is_unknown_are_left_out(target: Target) -> None:
    y = labels_for(target, 300, torch.Generator().manual_seed(0))
    y[200:] = torch.nan
    data = table(y=y)
    directions = learnt(data, target).directions
    torch.testing.assert_close(
        learnt(data.take(torch.arange(200)), target).directions, directions, atol=1e-3, rtol=1e-2
    )


def test_without_two_outcomes_there_are_no_components() -> None:
    for y in (torch.ones(300, 1), torch.full((300, 1), torch.nan)):
        data = table(y=y)
        assert (learnt(data).scores(data.views, data.present) == 0).all()


def test_wrong_options_are_refused_with_their_value() -> None:
    with pytest.raises(InputError, match="dimensions must be at least 1; got 0"):
        PLS.Options(dimensions=0)
