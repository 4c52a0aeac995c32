"""InfoReg: leads and pulls in closed form, when the window is open, and what a pull adds to gradients."""

import math
from typing import Any

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.inforeg import InfoReg, opens
from omnifuse.fusion.methods.ogm_ge import OGMGE
from omnifuse.fusion.parts.balance import pairwise_gaps
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.loop import Parts, fit, predict
from torch import Tensor

from tests.fusion.vectors import COLUMNS, TARGETS, context_of, noise, spec_of, step, whole

EVERYONE = Parts(torch.arange(60), torch.arange(0))


def inforeg(target: Target = TARGETS[0], **options: Any) -> InfoReg:
    torch.manual_seed(0)
    method = InfoReg(spec_of(target, dropout=0.0), InfoReg.Options(**options))
    method.on_fit_start(context_of(noise()))
    return method.eval()


def gradients(method: InfoReg, away: float, window: list[bool]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Gradients of a step before and after the pull, with the weights so far from the anchor."""
    inputs = noise(target=method.target)
    method.on_epoch_start(context_of(inputs))
    method.anchors = [[start - away for start in anchor] for anchor in method.anchors]
    method.window = torch.tensor(window)
    _, plain = step(method, whole(inputs))
    method.gap = torch.tensor([0.2, math.nan, 0.1])
    method.before_step(context_of(inputs))
    return plain, {name: p.grad.clone() for name, p in method.named_parameters() if p.grad is not None}


def test_gaps_are_of_the_samples_that_have_both() -> None:
    scores = torch.tensor([[0.9, 0.7, 0.1], [0.5, 0.1, math.nan], [0.3, math.nan, 0.2]])
    gaps = pairwise_gaps(scores, ~scores.isnan())
    expected = torch.tensor([[math.nan, 0.3, 0.45], [-0.3, math.nan, 0.6], [-0.45, -0.6, math.nan]])
    torch.testing.assert_close(gaps, expected, equal_nan=True)


def test_a_lead_is_over_those_behind_alone_and_the_weakest_has_none() -> None:
    scores = torch.tensor([[0.9, 0.7, 0.2]])
    lead = inforeg().lead(scores, scores > 0)
    torch.testing.assert_close(lead, torch.tensor([0.45, 0.5, math.nan]), equal_nan=True)
    alone = inforeg().lead(scores, torch.tensor([[True, False, False]]))
    assert alone.isnan().all()


def test_the_pull_grows_with_the_lead() -> None:
    pulls = inforeg().pulls(torch.tensor([0.2, 0.0, math.nan]))
    assert pulls.tolist() == pytest.approx([math.exp(0.9 * math.tanh(0.2)), 1.0, 0.0])
    assert float(pulls[0]) == pytest.approx(1.1944, abs=1e-4)


def test_the_window_is_open_after_fast_growth() -> None:
    traces = torch.tensor([1.0, 1.03, 1.2])
    assert [bool(opens(traces[t], traces[t + 1], 0.04)) for t in range(2)] == [False, True]
    assert not opens(torch.tensor(0.0), torch.tensor(0.0), 0.04)


def test_where_weights_are_those_of_the_anchor_nothing_changes() -> None:
    plain, pulled = gradients(inforeg(), 0.0, [True] * 3)
    assert all(torch.equal(plain[name], pulled[name]) for name in plain)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
def test_elsewhere_the_pull_is_added_times_the_distance(target: Target) -> None:
    method = inforeg(target)
    plain, pulled = gradients(method, 0.5, [True, True, False])
    added = {"encoders.each.0": 0.5 * math.exp(0.9 * math.tanh(0.2)), "encoders.each.1": 0.0, "encoders.each.2": 0.0}
    for name, gradient in plain.items():
        by = added.get(name[:15], 0.0)
        torch.testing.assert_close(pulled[name], gradient + by)
    (information,) = method.squares
    for m in range(3):
        squares = [plain[name].square().sum() for name in plain if name.startswith(f"encoders.each.{m}.")]
        torch.testing.assert_close(information[m], torch.stack(squares).sum())


def test_nothing_is_held_in_the_first_two_epochs() -> None:
    """So that of two epochs it is `ogm-ge` without its modulation, to the last digit."""
    inputs, said = noise(60), []
    plain = OGMGE(spec_of(), OGMGE.Options(modulated=0.0))
    regulated = InfoReg(spec_of(), InfoReg.Options(threshold=-math.inf))
    regulated.load_state_dict(plain.state_dict())
    for method in (regulated, plain):
        fit(method, inputs, EVERYONE, FitConfig(epochs=2, batch_size=20), seed=0)
        said.append(predict(method, inputs, torch.arange(60)).probability)
    assert torch.equal(*said)


def test_the_table_tells_who_was_held_and_when() -> None:
    method = inforeg(threshold=-math.inf)
    fit(method, noise(60), EVERYONE, FitConfig(epochs=4, batch_size=20), seed=0)
    rows = method.tables()["regulation"]
    assert [(row["epoch"], row["modality"]) for row in rows] == [(e, name) for e in range(4) for name in COLUMNS]
    assert [row["window"] for row in rows] == [0.0] * 6 + [1.0] * 6
    assert all(row["pull"] == 0 for row in rows[:6]) and any(row["pull"] for row in rows[6:])
    assert all(row["information"] > 0 for row in rows)


def test_modalities_alone_can_have_losses_of_their_own() -> None:
    method, batch = inforeg(unimodal_weight=2.0), whole(noise())
    terms = method.loss(batch)
    alone = torch.stack([terms[name] for name in COLUMNS]).sum()
    torch.testing.assert_close(terms["total"], terms["ce"] + 2 * alone)


@pytest.mark.parametrize("options", [{"beta": -1.0}, {"unimodal_weight": math.nan}, {"threshold": 1.0}])
def test_wrong_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        InfoReg.Options(**options)
