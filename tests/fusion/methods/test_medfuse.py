"""MedFuse: the LSTM, what it reads in which order, and the two phases."""

from itertools import permutations

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.medfuse import MedFuse, last_state
from omnifuse.fusion.training.loop import Parts, fit
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from tests.fusion.vectors import noise, spec_of, whole

SHOWN = torch.tensor([[1, 1, 1], [1, 0, 1], [0, 1, 0], [0, 1, 1], [1, 0, 0]]).bool()


def medfuse(**options: object) -> MedFuse:
    torch.manual_seed(0)
    return MedFuse(spec_of(dropout=0.0), MedFuse.Options(**{"lstm_hidden": 6, **options})).eval()


def embeddings() -> torch.Tensor:
    return torch.randn(len(SHOWN), 3, 8, generator=torch.Generator().manual_seed(1))


def test_the_recurrence_is_a_packed_lstm_over_what_is_there() -> None:
    torch.manual_seed(0)
    tokens, lstm, cell = torch.randn(len(SHOWN), 3, 8), nn.LSTM(8, 6, batch_first=True), nn.LSTMCell(8, 6)
    cell.load_state_dict({name.removesuffix("_l0"): weight for name, weight in lstm.state_dict().items()})
    there = torch.zeros_like(tokens)
    for row, (sample, shown) in enumerate(zip(tokens, SHOWN, strict=True)):
        there[row, : shown.sum()] = sample[shown]
    packed = pack_padded_sequence(there, SHOWN.sum(1), batch_first=True, enforce_sorted=False)
    _, (expected, _) = lstm(packed)
    torch.testing.assert_close(last_state(cell, tokens, SHOWN), expected[0])


def test_the_state_of_nothing_is_zero() -> None:
    state = last_state(nn.LSTMCell(8, 6), torch.randn(2, 3, 8), torch.zeros(2, 3, dtype=torch.bool))
    assert torch.equal(state, torch.zeros(2, 6))


def test_absent_tokens_are_not_read() -> None:
    method = medfuse()
    other = torch.where(SHOWN[:, :, None], embeddings(), 9.0)
    assert torch.equal(method.fuse(other, SHOWN), method.fuse(embeddings(), SHOWN))


def test_the_order_of_the_modalities_matters() -> None:
    """Other than for the methods that treat modalities as a set."""
    method, turned = medfuse(), medfuse()
    turned.projections = nn.ModuleList(reversed(method.projections))
    changed = turned.fuse(embeddings().flip(1), SHOWN.flip(1)) - method.fuse(embeddings(), SHOWN)
    alone = SHOWN.sum(1) == 1
    torch.testing.assert_close(changed[alone], torch.zeros_like(changed[alone]))
    assert (changed[~alone].abs() > 1e-4).all()


def test_random_order_permutes_each_training_sample_on_its_own() -> None:
    method = medfuse(order="random")
    method.generator = torch.Generator().manual_seed(0)
    slots = torch.randn(1, 3, 8).expand(50, 3, 8)
    shown = torch.ones(50, 3, dtype=torch.bool)
    tokens = torch.stack([project(slots[0, m]) for m, project in enumerate(method.projections)])
    state = [last_state(method.cell, tokens[list(order)][None], shown[:1]) for order in permutations(range(3))]
    possible = method.head(torch.cat(state))  # [6, 1]
    method.train()
    seen = (method.fuse(slots, shown) - possible.T).abs() < 1e-6  # [50, 6]
    assert seen.any(1).all() and seen.any(0).all()
    torch.testing.assert_close(method.eval().fuse(slots, shown), possible[:1].expand(50, 1))


def test_random_order_keeps_what_is_shown_with_its_token() -> None:
    method = medfuse(order="random")
    method.generator = torch.Generator().manual_seed(0)
    alone = torch.eye(3, dtype=torch.bool)
    slots = embeddings()[:3]
    expected = method.fuse(slots, alone)
    torch.testing.assert_close(method.train().fuse(slots, alone), expected)


def test_encoders_learn_alone_before_the_fusion() -> None:
    inputs, method, everyone = noise(), medfuse(), torch.arange(40)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    alone, fusion = method.phases()
    gradients = []
    for phase in (alone, fusion):
        method.zero_grad()
        phase.loss(whole(inputs))["total"].backward()
        gradients.append({name.split(".")[0] for name, p in method.named_parameters() if p.grad is not None})
    fused = {"projections", "cell", "head"}
    assert gradients == [{"encoders", "heads"}, {"encoders", *fused}]
    history = fit(method, inputs, Parts(everyone, everyone), FitConfig(epochs=4), 0)
    terms = {row["epoch"]: row["term"] for row in history if row["term"].endswith("total")}
    assert terms == {0: "pretraining: total", 1: "pretraining: total", 2: "total", 3: "total"}
    assert not any(torch.equal(before[name], value) for name, value in method.named_parameters())


def test_without_pretraining_there_is_one_phase() -> None:
    (phase,) = medfuse(pretraining_share=0).phases()
    assert phase.name == "" and phase.share == 1


def test_impossible_options_are_refused() -> None:
    for name, value in (("lstm_hidden", 0), ("pretraining_share", 1.0), ("modality_dropout", 1.5)):
        with pytest.raises(InputError, match=f"{name} must .*; got {value}"):
            MedFuse.Options(**{name: value})
