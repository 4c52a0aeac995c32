"""TriMF-style fusion: pairs that a sample has are averaged, one modality speaks for itself."""

import math
from typing import Any

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.inputs.spec import EncoderConfig, InputSpec
from omnifuse.fusion.methods.base import ModelSpec
from omnifuse.fusion.methods.trimf import TriMF
from omnifuse.fusion.parts.targets import Target

from tests.fusion.vectors import TARGETS, noise, spec_of, step, whole

SMALL = {"width": 8, "layers": 1, "heads": 2, "dropout": 0.0}


def trimf(target: Target = TARGETS[0], **options: Any) -> TriMF:
    torch.manual_seed(0)
    return TriMF(spec_of(target, dropout=0.0), TriMF.Options(**{**SMALL, **options})).eval()


def of_modalities(number: int) -> TriMF:
    specs = tuple(InputSpec(f"m{m}", "features", 2, 0) for m in range(number))
    spec = ModelSpec(specs, Target("binary"), EncoderConfig(dimension=8, hidden=8))
    return TriMF(spec, TriMF.Options(**SMALL)).eval()


def test_it_says_that_it_is_a_reconstruction() -> None:
    assert "our reconstruction" in (TriMF.__doc__ or "").partition("\n")[0]


@pytest.mark.parametrize(
    ("shown", "pairs"),
    [((True, True, True), [0, 1, 2]), ((True, False, True), [1]), ((False, True, True), [2])],
)
def test_the_prediction_is_the_mean_of_the_pairs_that_are_there(shown: tuple[bool, ...], pairs: list[int]) -> None:
    said = trimf(TARGETS[2]).say(torch.randn(5, 3, 8), torch.tensor(shown).expand(5, 3))
    torch.testing.assert_close(said.fused, said.pairs[:, pairs].mean(1))


@pytest.mark.parametrize("only", [0, 1, 2])
def test_one_modality_is_predicted_by_its_own_head(only: int) -> None:
    shown = torch.zeros(5, 3, dtype=torch.bool)
    shown[:, only] = True
    said = trimf().say(torch.randn(5, 3, 8), shown)
    torch.testing.assert_close(said.fused, said.alone[:, only])


def test_a_pair_reads_its_two_modalities_and_nothing_else() -> None:
    method, embeddings, shown = trimf(), torch.randn(5, 3, 8), torch.ones(5, 3, dtype=torch.bool)
    other = embeddings.clone()
    other[:, 1] = torch.randn(5, 8)
    same = (method.say(embeddings, shown).pairs == method.say(other, shown).pairs).all(-1).all(0)
    assert same.tolist() == [False, True, False]  # the pairs (0, 1), (0, 2) and (1, 2)


@pytest.mark.parametrize(("modalities", "transformers"), [(2, 1), (3, 3), (4, 6), (5, 1)])
def test_above_four_modalities_pairs_share_their_weights(modalities: int, transformers: int) -> None:
    method = of_modalities(modalities)
    assert len(method.fusions) == transformers
    said = method.say(torch.randn(2, modalities, 8), torch.ones(2, modalities, dtype=torch.bool))
    assert said.pairs.shape == (2, math.comb(modalities, 2), 1)


def test_shared_weights_still_tell_modalities_apart() -> None:
    same = torch.randn(1, 1, 8).expand(2, 5, 8)
    method = of_modalities(5)
    for projection in method.projections:
        torch.nn.init.eye_(projection.weight)
    pairs = method.say(same, torch.ones(2, 5, dtype=torch.bool)).pairs[0, :, 0]
    assert len(pairs.unique()) == 10


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
def test_total_weighs_the_terms(target: Target) -> None:
    method = trimf(target, pair_weight=0.3, modality_weight=0.5, alignment_weight=2.0)
    terms, gradients = step(method, whole(noise(target=target)))
    torch.testing.assert_close(
        terms["total"], terms["ce"] + 0.3 * terms["pairs"] + 0.5 * terms["modalities"] + 2.0 * terms["alignment"]
    )
    assert all(gradient.isfinite().all() for gradient in gradients.values())


def test_auxiliary_losses_are_means_over_the_samples_that_have_the_parts() -> None:
    batch, method = whole(noise()), trimf()
    encoded = method.encode(batch)
    shown, terms = batch.presence, method.loss(batch)
    said = method.say(encoded.embeddings, shown)
    pairs = [(0, 1), (0, 2), (1, 2)]
    of_pairs = [
        method.target.loss(said.pairs[has, p], batch.y[has])
        for p, (one, other) in enumerate(pairs)
        for has in [shown[:, one] & shown[:, other]]
    ]
    of_modalities = [method.target.loss(said.alone[shown[:, m], m], batch.y[shown[:, m]]) for m in range(3)]
    torch.testing.assert_close(terms["pairs"], torch.stack(of_pairs).mean())
    torch.testing.assert_close(terms["modalities"], torch.stack(of_modalities).mean())


def test_a_batch_without_any_pair_trains() -> None:
    terms, gradients = step(trimf(), whole(noise().without(("cxr", "rep"))))
    assert terms["alignment"] == terms["pairs"] == 0 and terms["ce"] > 0
    assert all(gradient.isfinite().all() for gradient in gradients.values())


def test_modality_dropout_hides_pairs_in_training_only() -> None:
    batch = whole(noise(share=1.1))
    hiding, showing = trimf(modality_dropout=1.0), trimf()
    hiding.generator = torch.Generator().manual_seed(0)
    assert step(hiding, batch)[0]["pairs"] != step(showing, batch)[0]["pairs"]
    assert hiding.predict(batch).probability.equal(showing.predict(batch).probability)


def test_options_out_of_range_are_refused() -> None:
    for name in ("pair_weight", "modality_weight", "alignment_weight"):
        with pytest.raises(InputError, match=f"{name} must not be negative; got -1"):
            TriMF.Options(**{name: -1})
    with pytest.raises(InputError, match="temperature must be positive; got 0"):
        TriMF.Options(temperature=0)
