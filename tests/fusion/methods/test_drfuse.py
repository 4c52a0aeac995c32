"""DrFuse: pooling of shared parts, their alignment, attention of labels, and its ranking."""

import math
from typing import Any

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods.drfuse import DrFuse, LabelAttention, Parts, alignment, pooled
from omnifuse.fusion.parts.targets import Target
from torch import Tensor

from tests.fusion.vectors import TARGETS, noise, spec_of, step, whole

BOTH = torch.tensor([[True, True]])


def drfuse(target: Target = TARGETS[0], **options: Any) -> DrFuse:
    torch.manual_seed(0)
    return DrFuse(spec_of(target, dropout=0.0), DrFuse.Options(**options)).eval()


def test_two_shared_parts_are_pooled_as_published() -> None:
    one, other = torch.linspace(-4, 4, 9), torch.linspace(3, -2, 9)
    zero = torch.zeros(9)
    above = torch.stack([one + other, one + other, one, other]).logsumexp(0)
    below = torch.stack([zero, zero, one, other]).logsumexp(0)
    torch.testing.assert_close(pooled(torch.stack([one, other])[None], BOTH)[0], above - below)


def test_pooling_is_the_mean_probability_of_what_is_shown_in_any_order() -> None:
    shared, shown = torch.randn(1, 3, 5), torch.tensor([[True, False, True]])
    torch.testing.assert_close(pooled(shared, shown).sigmoid(), shared[:, [0, 2]].sigmoid().mean(1))
    torch.testing.assert_close(pooled(shared.flip(1), shown.flip(1)), pooled(shared, shown))


def test_a_single_shared_part_stays_as_it_is_however_certain() -> None:
    shared = torch.tensor([[[-60.0, 0.0, 60.0], [1.0, 1.0, 1.0]]])
    torch.testing.assert_close(pooled(shared, torch.tensor([[True, False]])), shared[:, 0])


def test_alignment_is_the_mean_over_pairs_that_samples_have() -> None:
    """A unit that one modality has on and another off counts log(2) / 2; samples without a pair do not dilute that."""
    on, off = torch.full((4,), 60.0), torch.full((4,), -60.0)
    shared = torch.stack([torch.stack([on, off, on])] * 3)  # [B, M, D]
    shown = torch.tensor([[True, True, True], [False, True, False], [False, False, False]])
    torch.testing.assert_close(
        alignment(shared, shown), torch.tensor(4 * math.log(2) / 2 * 2 / 3)
    )  # of three pairs one agrees
    assert alignment(shared[1:], shown[1:]) == 0


def test_alignment_weighs_what_the_released_code_weighs() -> None:
    """Sum over all units of (p log(p / m) + q log(q / m)) / 2 with m = (p + q) / 2, divided by the number of pairs."""
    shared = torch.randn(5, 2, 16)
    p, q = shared.sigmoid().unbind(1)
    m = (p + q) / 2
    released = (p * (p / m).log() + q * (q / m).log()).sum() / 2 / 5
    torch.testing.assert_close(alignment(shared, BOTH.expand(5, 2)), released)


def test_alignment_of_units_twice_as_many_is_twice_as_much() -> None:
    shared, shown = torch.randn(5, 3, 8), torch.ones(5, 3, dtype=torch.bool)
    torch.testing.assert_close(alignment(shared.repeat(1, 1, 2), shown), 2 * alignment(shared, shown))


def test_attention_is_shared_by_what_is_there() -> None:
    attention = LabelAttention(labels=4, width=8)
    tokens, there = torch.randn(5, 3, 8), torch.tensor([[True, False, True]]).expand(5, 3)
    features, weights = attention(tokens, there)
    assert features.shape == (5, 4, 8) and not weights[:, :, 1].any()
    torch.testing.assert_close(weights.sum(-1), torch.ones(5, 4))
    alone, _ = attention(tokens[:, [0, 2]], torch.ones(5, 2, dtype=torch.bool))
    torch.testing.assert_close(features, alone)


def test_attention_is_that_of_the_mean_query_and_each_label_s_keys() -> None:
    attention = LabelAttention(labels=2, width=3)
    tokens = torch.randn(1, 4, 3)
    _, weights = attention(tokens, torch.ones(1, 4, dtype=torch.bool))
    query = attention.query(tokens[0]).mean(0)
    for label in range(2):
        rows = slice(3 * label, 3 * label + 3)
        keys = tokens[0] @ attention.keys.weight[rows].T + attention.keys.bias[rows]
        torch.testing.assert_close(weights[0, label], (keys @ query / math.sqrt(3)).softmax(0))


def parts_of(alone: list[float], attention: list[float]) -> Parts:
    """Parts of one sample of a binary task: logits and attention of its tokens."""
    nothing = torch.zeros(1, 2, 4)
    return Parts(nothing, nothing, torch.tensor([[attention]]), torch.tensor(alone)[None, :, None], torch.zeros(1, 1))


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (1.0, 0.0),  # the better a token predicts, the more attention it gets
        (0.0, (0.2 + 0.5 + 0.3) / 3),  # the other way round: each pair is wrong by its difference
        (torch.nan, 0.0),
    ],
)
def test_ranking_counts_attention_that_a_worse_token_gets_more(y: float, expected: float) -> None:
    parts, there = parts_of([2.0, 1.0, 0.0], [0.6, 0.4, 0.1]), torch.ones(1, 3, dtype=torch.bool)
    torch.testing.assert_close(drfuse().ranking(parts, there, torch.tensor([[y]])), torch.tensor(expected))


def test_ranking_is_the_mean_over_pairs_of_tokens_that_are_there() -> None:
    parts, y = parts_of([2.0, 1.0, 0.0], [0.6, 0.4, 0.1]), torch.zeros(1, 1)
    two = torch.tensor([[True, True, False]])
    torch.testing.assert_close(drfuse().ranking(parts, two, y), torch.tensor(0.2))
    assert drfuse().ranking(parts, torch.tensor([[True, False, False]]), y) == 0


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
def test_total_weighs_the_terms(target: Target) -> None:
    weights = {"alignment": 0.3, "orthogonality": 0.5, "auxiliary": 0.7, "ranking": 2.0}
    method = drfuse(target, **{f"{name}_weight": weight for name, weight in weights.items()})
    terms, gradients = step(method, whole(noise(target=target)))
    torch.testing.assert_close(
        terms["total"], terms["ce"] + sum(weight * terms[name] for name, weight in weights.items())
    )
    assert all(term > 0 for term in terms.values())
    assert all(gradient.isfinite().all() for gradient in gradients.values())


def test_orthogonality_is_the_cosine_without_its_sign_summed_over_modalities() -> None:
    batch, method = whole(noise(share=0.5)), drfuse()
    encoded = method.encode(batch)
    parts, shown, expected = method.disentangle(encoded.embeddings, encoded.presence), batch.presence, 0.0
    for m in range(3):
        shared, distinct = parts.shared[shown[:, m], m], parts.distinct[shown[:, m], m]
        cosine = (shared * distinct).sum(1) / (shared.norm(dim=1) * distinct.norm(dim=1))
        expected += cosine.abs().mean()
    torch.testing.assert_close(method.loss(batch)["orthogonality"], expected)


def test_what_is_absent_neither_speaks_nor_weighs() -> None:
    inputs = noise()
    prediction = drfuse().predict(whole(inputs))
    assert prediction.modality_probability is not None and prediction.weight is not None
    assert not prediction.weight[~inputs.presence].any()
    assert (prediction.weight[inputs.presence] > 0).all() and (prediction.weight.sum(1) < 1).all()  # and the shared one
    assert (prediction.modality_probability[~inputs.presence] == 0.5).all()  # the prior of an untrained model


def test_a_batch_without_modalities_trains_nothing_and_breaks_nothing() -> None:
    terms, gradients = step(drfuse(), whole(noise().without(("ehr", "cxr", "rep"))))
    assert all(term.isfinite() for term in terms.values())
    assert not any(gradient.any() for gradient in gradients.values())


def test_every_label_has_keys_of_its_own() -> None:
    shapes = [drfuse(target).attention.keys.weight.shape[0] // 8 for target in TARGETS]
    assert shapes == [1, 3, 4]


@pytest.mark.parametrize("name", ["alignment_weight", "orthogonality_weight", "auxiliary_weight", "ranking_weight"])
@pytest.mark.parametrize("value", [-1, math.nan])
def test_weights_must_not_be_negative(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{name} must not be negative; got {value}"):
        DrFuse.Options(**{name: value})


def test_hidden_modalities_change_no_loss() -> None:
    """Only embeddings that are shown enter: those of absent slots could be anything."""
    method, encoded = drfuse(), drfuse().encode(whole(noise(share=0.5)))
    shown = encoded.presence
    other: Tensor = torch.where(shown[:, :, None], encoded.embeddings, torch.randn_like(encoded.embeddings))
    one, two = (method.disentangle(embeddings, shown) for embeddings in (encoded.embeddings, other))
    torch.testing.assert_close(one.logits, two.logits)
    torch.testing.assert_close(alignment(one.shared, shown), alignment(two.shared, shown))
