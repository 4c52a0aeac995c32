"""Imputation watched over the epochs: what is counted, and that watching changes nothing."""

from dataclasses import replace

import polars as pl
import pytest
import torch
from omnifuse.fusion.inputs.batches import Inputs, ModalityInputs
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.omnifuse.method import OmniFuse
from omnifuse.fusion.methods.omnifuse.trace import SEED, imputation_rows
from omnifuse.fusion.parts.completion.patterns import sample_patterns
from omnifuse.fusion.scores.metrics import auroc
from omnifuse.fusion.training.loop import Parts, fit
from torch.nn import functional as F

from tests.fusion.vectors import COLUMNS, TARGETS, model, noise, whole

CONFIG = FitConfig(epochs=3, batch_size=16)
PARTS = Parts(torch.arange(60), torch.arange(60, 80))


def fitted(**options: object) -> OmniFuse:
    method = model(**options)
    fit(method, noise(80), PARTS, CONFIG, seed=1)
    return method


def test_a_row_for_each_epoch_part_and_modality() -> None:
    trace = pl.DataFrame(fitted().tables()["imputation"])
    assert trace.columns == ["epoch", "part", "modality", "cosine", "centred_cosine", "auroc"]
    keys = [(epoch, part, name) for epoch in range(3) for part in ("train", "validation") for name in COLUMNS]
    assert trace.select("epoch", "part", "modality").rows() == keys
    assert trace["cosine"].is_between(-1, 1).all() and trace["centred_cosine"].is_between(-1, 1).all()


def test_without_a_validation_part_there_is_no_row_of_it() -> None:
    method = model()
    fit(method, noise(80), Parts(torch.arange(80), torch.arange(0)), CONFIG, seed=1)
    assert {row["part"] for row in method.imputation_trace} == {"train"}


def test_a_second_fit_forgets_the_first() -> None:
    method = fitted()
    first = method.imputation_trace
    fit(method, noise(80), PARTS, CONFIG, seed=1)
    assert len(method.imputation_trace) == len(first)


def test_without_imputation_there_is_no_table() -> None:
    assert set(fitted(imputation="none").tables()) == {"laziness"}


@pytest.mark.parametrize("target", TARGETS)
def test_all_kinds_of_labels(target: object) -> None:
    method, batch = model(target), whole(noise(target=target))
    with torch.no_grad():
        rows = imputation_rows(method, [(method.encode(batch), batch.y)])
    assert all(0 <= row["auroc"] <= 1 for row in rows)


def test_what_is_counted_are_the_slots_that_exist_and_are_hidden() -> None:
    method, batch = model(), whole(noise())
    generator = torch.Generator().manual_seed(SEED)
    shown = sample_patterns(batch.presence, generator, dropout=1.0, patterns="proper")
    with torch.no_grad():
        encoded = method.encode(batch)
        rows = imputation_rows(method, [(encoded, batch.y)])
        assert method.imputation is not None
        imputed, _ = method.imputation(encoded.embeddings, encoded.missing, shown)
        heads = method.run(encoded.embeddings, encoded.missing, shown)
        probability = torch.sigmoid(method.logits(heads))
    hidden = batch.presence & ~shown
    similarity = F.cosine_similarity(imputed, encoded.embeddings, dim=2)
    for m, row in enumerate(rows):
        assert row["cosine"] == pytest.approx(similarity[hidden[:, m], m].mean().item(), rel=1e-5)
    assert rows[0]["auroc"] == pytest.approx(auroc(batch.y[:, 0].numpy(), probability[:, 0].numpy()))


def told_by_each_other(samples: int = 300) -> Inputs:
    """Return modalities that all show the same two numbers, whose sum decides the label."""
    generator = torch.Generator().manual_seed(0)
    latent = torch.randn(samples, 2, generator=generator)
    vectors = {name: latent @ torch.randn(2, columns, generator=generator) for name, columns in COLUMNS.items()}
    modalities = {name: ModalityInputs(vector, None) for name, vector in vectors.items()}
    return replace(noise(samples, share=1.1), y=(latent.sum(1) > 0).float()[:, None], modalities=modalities)


def test_training_brings_imputed_embeddings_closer_where_modalities_tell_of_each_other() -> None:
    method, everyone = model(dropout=0.0, modality_dropout=1.0), Parts(torch.arange(300), torch.arange(0))
    fit(method, told_by_each_other(), everyone, FitConfig(epochs=5, batch_size=16, learning_rate=1e-2), seed=1)
    of_cxr = [row for row in method.imputation_trace if row["modality"] == "cxr"]
    for name, gain in (("cosine", 0.1), ("centred_cosine", 0.3), ("auroc", 0.0)):
        assert of_cxr[-1][name] > of_cxr[0][name] + gain


def test_watching_changes_no_digit_of_the_training() -> None:
    method, batch = model(), whole(noise())
    drawn = torch.get_rng_state(), method.generator.get_state()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    with torch.no_grad():
        assert imputation_rows(method, [(method.encode(batch), batch.y)])
    assert drawn[0].equal(torch.get_rng_state()) and drawn[1].equal(method.generator.get_state())
    assert all(value.equal(before[name]) for name, value in method.state_dict().items())
    assert not method.training
