"""On-the-fly prediction modulation: chances in closed form, and who is hidden from the head."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.ogm_ge import OGMGE
from omnifuse.fusion.methods.opm import OPM
from omnifuse.fusion.training.loop import Parts, fit, predict
from torch import Tensor

from tests.fusion.vectors import COLUMNS, context_of, noise, spec_of, whole

EVERYONE = Parts(torch.arange(60), torch.arange(0))


def opm(**options: Any) -> OPM:
    torch.manual_seed(0)
    method = OPM(spec_of(), OPM.Options(**options))
    method.on_fit_start(context_of(noise()))
    return method


def shown_with(method: OPM, hidden: list[float], share: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """What samples show that have the modalities in the second tensor, and the embeddings that are left."""
    method.train()
    method.hidden = torch.tensor(hidden)
    encoded = method.encode(whole(noise(2000, share=share)))
    embeddings, shown = method.complete(encoded)
    assert torch.equal(embeddings[~shown], encoded.missing.expand(2000, -1, -1)[~shown])
    assert torch.equal(embeddings[shown], encoded.embeddings[shown])
    return shown, encoded.presence, embeddings


def test_the_further_ahead_the_more_often_hidden() -> None:
    chances = opm().chances(torch.tensor([2.0, 1.0, 0.5, math.nan]))
    torch.testing.assert_close(chances, torch.tensor([0.5 * (1 + 0.5 * math.tanh(1)), 0.0, 0.0, 0.0]))
    assert float(chances[0]) == pytest.approx(0.6904, abs=1e-4)
    assert opm(slope=0.0).chances(torch.tensor([2.0, 9.0])).tolist() == [0.5, 0.5]
    assert opm(base=0.9, slope=1.0).chances(torch.tensor([9.0])).tolist() == [1.0]


def test_modalities_are_hidden_as_often_as_said() -> None:
    shown, _, _ = shown_with(opm(), [0.6904, 0.0, 0.25])
    for share, chance in zip((~shown).float().mean(0).tolist(), (0.6904, 0.0, 0.25), strict=True):
        assert share == pytest.approx(chance, abs=0.04)


def test_nobody_loses_everything() -> None:
    shown, present, _ = shown_with(opm(), [1.0, 1.0, 1.0], share=0.5)
    assert (shown <= present).all()
    assert (shown.sum(1) == 1).all()


def test_predictions_see_everything() -> None:
    method = opm().eval()
    method.hidden = torch.ones(3)
    encoded = method.encode(whole(noise()))
    assert torch.equal(method.complete(encoded)[1], encoded.presence)


@pytest.mark.parametrize("never", [{"executed": 0.0}, {"warm_up": 1.0}, {"base": 0.0}])
def test_where_nothing_is_ever_hidden_it_is_a_concatenation(never: dict[str, float]) -> None:
    """That of `ogm-ge` without its modulation, to the last digit."""
    inputs, said = noise(60), []
    for method in (opm(**never), OGMGE(spec_of(), OGMGE.Options(modulated=0.0))):
        method.load_state_dict(opm().state_dict())
        fit(method, inputs, EVERYONE, FitConfig(epochs=2, batch_size=20), seed=0)
        said.append(predict(method, inputs, torch.arange(60)).probability)
    assert torch.equal(*said)


def test_the_table_tells_what_was_hidden_and_when() -> None:
    method = opm(executed=1.0, warm_up=0.5)
    fit(method, noise(60), EVERYONE, FitConfig(epochs=4, batch_size=20), seed=0)
    rows = method.tables()["hiding"]
    assert [(row["epoch"], row["modality"]) for row in rows] == [(e, name) for e in range(4) for name in COLUMNS]
    assert {row["hidden"] for row in rows if row["epoch"] < 2} == {0.0}
    assert all(sum(row["hidden"] for row in rows if row["epoch"] == epoch) > 0 for epoch in (2, 3))


def test_who_is_ahead_is_told_by_the_undropped_embeddings() -> None:
    method, batch = opm().train(), whole(replace(noise(share=1.0)))
    encoded = method.encode(batch)
    before = method.discrepancy(encoded, batch.y)
    method.hidden = torch.ones(3)
    assert torch.equal(method.discrepancy(encoded, batch.y), before)


@pytest.mark.parametrize("options", [{"slope": -1.0}, {"base": 1.5}, {"executed": math.nan}, {"warm_up": -0.1}])
def test_wrong_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        OPM.Options(**options)
