"""Joint and individual scores of samples that the decomposition never saw, with any modalities missing."""

from dataclasses import replace

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods.ajive import AJIVE
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.multiview import ViewTable
from omnifuse.fusion.training.loop import Parts, fit
from torch import Tensor

from tests.fusion.vectors import COLUMNS, noise, spec_of

OPTIONS = AJIVE.Options(draws=50, signal=0.8)
HALF = torch.arange(200)


def planted(samples: int = 400) -> tuple[ViewTable, Tensor]:
    """Views with one joint score and one individual score each, and the joint score."""
    generator = torch.Generator().manual_seed(0)
    joint = torch.randn(samples, 1, generator=generator)
    views = []
    for width in COLUMNS.values():
        loadings, _ = torch.linalg.qr(torch.randn(width, 2, generator=generator))
        scores = torch.cat([joint, torch.randn(samples, 1, generator=generator)], dim=1)
        views.append(1 + 3 * scores @ loadings.T + 0.2 * torch.randn(samples, width, generator=generator))
    return ViewTable(views, torch.ones(samples, 3, dtype=torch.bool), torch.zeros(samples, 1)), joint[:, 0]


def learnt() -> tuple[AJIVE, ViewTable, Tensor]:
    table, joint = planted()
    method = AJIVE(spec_of(), OPTIONS)
    method.learn(table.take(HALF), 0)
    return method, table.take(HALF + 200), joint[200:]


def correlation(first: Tensor, second: Tensor) -> float:
    return abs(float(torch.corrcoef(torch.stack([first, second]))[0, 1]))


@pytest.mark.parametrize("shown", [(True, True, True), (True, False, False), (False, True, True)])
def test_the_joint_score_of_new_samples_is_estimated_from_any_modalities(shown: tuple[bool, ...]) -> None:
    method, table, joint = learnt()
    present = torch.tensor(shown).expand(200, 3)
    scores = method.scores([v * p[:, None] for v, p in zip(table.views, present.T, strict=True)], present)
    assert method.ranks[0] == 1
    assert correlation(scores[:, 0], joint) > 0.97
    assert scores[:, 0].std() == pytest.approx(1, abs=0.15)


def test_individual_scores_have_nothing_of_the_joint_one_and_those_of_a_missing_modality_are_zero() -> None:
    method, table, joint = learnt()
    present = torch.tensor([True, True, False]).expand(200, 3)
    first, second, third = torch.split(method.scores(table.views, present)[:, 3:], [5, 4, 3], dim=1)
    for scores in (first, second):
        assert scores[:, 0].std() > 1
        assert correlation(scores[:, 0], joint) < 0.2
    assert (third == 0).all()


def test_training_samples_that_lack_something_are_left_out() -> None:
    table, _ = planted()
    present = table.present.clone()
    present[200:, 1] = False
    some, complete = AJIVE(spec_of(), OPTIONS), AJIVE(spec_of(), OPTIONS)
    some.learn(replace(table, present=present), 0)
    complete.learn(table.take(HALF), 0)
    assert torch.equal(some.to_joint, complete.to_joint)


def test_the_ranks_are_told() -> None:
    details = learnt()[0].details()
    assert details["joint_rank"] == 1
    assert details["individual_ranks"].keys() == COLUMNS.keys()


def test_without_complete_samples_it_is_an_error() -> None:
    inputs = noise(40)
    inputs = replace(inputs, presence=~torch.eye(3, dtype=torch.bool)[torch.arange(40) % 3])
    with pytest.raises(InputError, match="needs training samples that have all modalities"):
        fit(AJIVE(spec_of()), inputs, Parts(torch.arange(40), torch.arange(0)), FitConfig(), 0)


@pytest.mark.parametrize("wrong", [{"signal": 0.0}, {"signal": 1.5}, {"draws": 0}])
def test_wrong_options_are_refused_with_their_value(wrong: dict[str, float]) -> None:
    (name, value), *_ = wrong.items()
    with pytest.raises(InputError, match=rf"{name} must .*; got {value}"):
        AJIVE.Options(**wrong)
