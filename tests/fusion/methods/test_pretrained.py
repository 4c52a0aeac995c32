"""Pre-training without labels, then a joint head: contrastive alignment and masked reconstruction."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.inputs.batches import Inputs, ModalityInputs, RowStore
from omnifuse.fusion.inputs.spec import EncoderConfig, InputSpec
from omnifuse.fusion.methods import METHODS
from omnifuse.fusion.methods.base import Context, Method, ModelSpec
from omnifuse.fusion.methods.contrastive import Contrastive
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.masked import Masked
from omnifuse.fusion.methods.pretrained import Pretrained
from omnifuse.fusion.parts.contrast import alignment_losses
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.training.config import make_config
from omnifuse.fusion.training.loop import Parts, fit
from torch import Tensor

from tests.fusion.vectors import COLUMNS, noise, spec_of, whole

NAMES = ("contrastive", "masked")
NOBODY = torch.arange(0)

both_methods = pytest.mark.parametrize("name", NAMES)


def new(name: str, **options: Any) -> Pretrained:
    method = METHODS.get(name)
    torch.manual_seed(0)
    made = method(spec_of(dropout=0.0), method.Options(**options)).eval()
    assert isinstance(made, Pretrained)
    return made


def related(samples: int = 200) -> Inputs:
    """Modalities that show the same three hidden quantities, in different mixtures and with some noise."""
    inputs, generator = noise(samples, share=0.9), torch.Generator().manual_seed(1)
    hidden = torch.randn(samples, 3, generator=generator)
    modalities = {}
    for name, columns in COLUMNS.items():
        mixture = torch.randn(3, columns, generator=generator)
        summary = hidden @ mixture + 0.3 * torch.randn(samples, columns, generator=generator)
        modalities[name] = ModalityInputs(summary, None)
    return replace(inputs, modalities=modalities)


def state(module: torch.nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


def watched(method: Pretrained, inputs: Inputs, config: FitConfig) -> list[tuple[Tensor, Tensor]]:
    """Train, and return the encoders' and the head's parameters before training and after each phase."""
    states = [(state(method.encoders), state(method.head))]
    act = method.on_epoch_end

    def watch(context: Context) -> None:
        act(context)
        if context.epoch == context.epochs - 1:
            states.append((state(method.encoders), state(method.head)))

    method.on_epoch_end = watch  # type: ignore[method-assign]
    fit(method, inputs, Parts(torch.arange(len(inputs.y)), NOBODY), config, seed=0)
    return states


@both_methods
@pytest.mark.parametrize("encoders", ["finetune", "frozen"])
def test_the_encoders_are_trained_first_and_the_head_afterwards(name: str, encoders: str) -> None:
    start, between, end = watched(new(name, encoders=encoders), noise(), FitConfig(epochs=1, batch_size=20))
    assert not start[0].equal(between[0]) and start[1].equal(between[1])
    assert between[0].equal(end[0]) == (encoders == "frozen") and not between[1].equal(end[1])


@both_methods
def test_the_pre_training_reads_no_label(name: str) -> None:
    batch, method = whole(noise()), new(name)
    other = replace(batch, y=torch.full_like(batch.y, torch.nan))
    assert method.pretext(batch)["total"] == method.pretext(other)["total"]


@both_methods
def test_the_history_names_the_terms_of_the_pre_training(name: str) -> None:
    method = new(name, pretraining=2.0)
    history = fit(method, noise(), Parts(torch.arange(40), NOBODY), FitConfig(epochs=1), seed=0)
    rows = [(row["epoch"], row["term"]) for row in history if "total" in row["term"]]
    assert rows == [(0, f"{method.task}: total"), (1, f"{method.task}: total"), (2, "total")]


@both_methods
def test_a_batch_in_which_nobody_has_two_modalities_teaches_nothing(name: str) -> None:
    method, batch = new(name), whole(noise().without(("cxr", "rep")))
    terms = method.pretext(batch)
    terms["total"].backward()
    assert terms["total"] == 0
    assert not any(parameter.grad.any() for parameter in method.encoders.parameters() if parameter.grad is not None)


@both_methods
def test_options_out_of_range_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="pretraining must be positive; got 0"):
        METHODS.get(name).Options(pretraining=0)


@both_methods
@pytest.mark.parametrize("kind", ["binary", "multilabel", "multiclass"])
def test_a_run(toy_cache: Callable[..., Path], tmp_path: Path, name: str, kind: str) -> None:
    """With a modality of bins, one of embeddings alone and one of features alone."""
    overrides = ["fit.epochs=1", "folds=2", "validation=0.2", "encoder.timeseries=recurrent"]
    train(toy_cache(tmp_path / "cache", kind=kind), make_config(name, overrides=overrides), tmp_path / "run")
    assert pl.read_parquet(tmp_path / "run" / "predictions.parquet")["sample_id"].n_unique() > 50
    if name == "contrastive":
        found = pl.read_parquet(tmp_path / "run" / "retrieval.parquet")
        assert found.height == 2 * 2 * 6  # folds, phases, ordered pairs
        assert set(found["after"]) == {"contrast", "joint head"}


# Contrastive alignment


def test_the_loss_is_the_sum_over_pairs_in_the_common_space() -> None:
    batch, method = whole(noise()), new("contrastive", temperature=0.2, weight=0.75)
    assert isinstance(method, Contrastive)
    common = method.projections(method.encode(batch).embeddings)
    expected = alignment_losses(common, batch.presence, batch.subject, 5.0, 0.75)
    terms = method.pretext(batch)
    torch.testing.assert_close(terms["ehr+rep"], expected[0, 2])
    torch.testing.assert_close(terms["total"], sum(expected.values()))


def test_samples_of_one_subject_are_no_rivals() -> None:
    inputs, method = noise(share=1.1), new("contrastive")
    same = replace(inputs, subject=torch.zeros_like(inputs.subject))
    assert method.pretext(whole(inputs))["total"] > 0
    assert method.pretext(whole(same))["total"] == 0


def test_a_learnt_temperature_starts_where_it_is_told_and_has_a_limit() -> None:
    fixed, learnt = new("contrastive", temperature=0.07), new("contrastive", temperature=0.07, learn_temperature=True)
    assert isinstance(fixed, Contrastive) and isinstance(learnt, Contrastive)
    assert learnt.projections.log_factor is not None and fixed.projections.log_factor is None
    torch.testing.assert_close(torch.as_tensor(learnt.projections.scale()), torch.tensor(1 / 0.07))
    learnt.projections.log_factor.data.fill_(9.0)
    assert learnt.projections.scale() == 100


def test_a_learnt_temperature_is_trained() -> None:
    method = new("contrastive", learn_temperature=True)
    method.pretext(whole(noise()))["total"].backward()
    assert isinstance(method, Contrastive) and method.projections.log_factor is not None
    assert method.projections.log_factor.grad is not None and method.projections.log_factor.grad != 0


def test_modalities_find_each_other_on_held_out_samples_after_the_contrast() -> None:
    inputs, method = related(400), new("contrastive")
    assert isinstance(method, Contrastive)
    before = method.retrieval([inputs.batch(torch.arange(300, 400))])
    config = FitConfig(epochs=8, batch_size=50, learning_rate=1e-2)
    fit(method, inputs, Parts(torch.arange(300), torch.arange(300, 400)), config, seed=0)
    after = [row for row in method.tables()["retrieval"] if row["after"] == "contrast"]
    assert len(before) == len(after) == 6
    for row, earlier in zip(after, before, strict=True):
        assert row["median_rank"] < row["median_rank_by_chance"] / 2 < earlier["median_rank"]


def test_retrieval_is_measured_on_the_validation_part_after_each_phase() -> None:
    inputs, method = related(60), new("contrastive")
    assert isinstance(method, Contrastive)
    validation = torch.arange(40, 60)
    fit(method, inputs, Parts(torch.arange(40), validation), FitConfig(epochs=1), seed=0)
    found = method.tables()["retrieval"]
    assert [row["after"] for row in found] == ["contrast"] * 6 + ["joint head"] * 6
    assert [{"after": "joint head", **row} for row in method.retrieval([inputs.batch(validation)])] == found[6:]


def test_without_a_validation_part_there_is_no_table() -> None:
    method: Method = new("contrastive")
    fit(method, noise(), Parts(torch.arange(40), NOBODY), FitConfig(epochs=1), seed=0)
    assert method.tables() == {}


def test_contrastive_options_out_of_range_are_refused() -> None:
    for name, value, message in (
        ("temperature", 0, "temperature must be positive; got 0"),
        ("weight", 1.5, "weight must lie between 0 and 1; got 1.5"),
        ("width", 0, "width must be at least 1; got 0"),
    ):
        with pytest.raises(InputError, match=message):
            Contrastive.Options(**{name: value})


# Masked reconstruction


def test_the_error_is_the_mean_square_of_known_values_of_samples_with_other_modalities() -> None:
    """A decoder that says nothing errs by the input itself."""
    inputs, method = noise(share=0.5), new("masked")
    assert isinstance(method, Masked)
    summary = inputs.modalities["cxr"].summary
    assert summary is not None
    summary[::3, 1] = torch.nan
    for parameter in method.decoders.parameters():
        torch.nn.init.zeros_(parameter)
    terms = method.pretext(whole(inputs))
    torch.testing.assert_close(terms["cxr"], summary[inputs.presence[:, 1]].square().nanmean(1).mean())
    ehr, others = inputs.modalities["ehr"].summary, inputs.presence[:, 1:].any(1)
    assert ehr is not None and not others.all()  # some have ehr alone
    torch.testing.assert_close(terms["ehr"], ehr[others].square().mean())
    torch.testing.assert_close(terms["total"], terms["ehr"] + terms["cxr"] + terms["rep"])


def test_what_is_reconstructed_is_not_looked_at() -> None:
    inputs, method = noise(), new("masked")
    assert isinstance(method, Masked)
    said: list[Tensor] = []
    method.decoders[1].register_forward_hook(lambda module, given, output: said.append(output))
    summaries = {name: one.summary for name, one in inputs.modalities.items()}
    for changed in ("cxr", "ehr"):
        modalities = {n: ModalityInputs(s if n != changed else -s, None) for n, s in summaries.items() if s is not None}
        method.pretext(whole(replace(inputs, modalities=modalities)))
    method.pretext(whole(inputs))
    with_other_cxr, with_other_ehr, as_it_is = said
    assert with_other_cxr.equal(as_it_is) and not with_other_ehr.equal(as_it_is)


def test_of_rows_the_mean_is_reconstructed() -> None:
    values = torch.tensor([[1.0, 3.0], [3.0, 5.0], [7.0, 9.0]])
    store = RowStore(values, torch.tensor([0, 2]), torch.tensor([2, 1]), torch.ones(2), torch.zeros(2))
    modalities = {"rep": ModalityInputs(None, store), "ehr": ModalityInputs(torch.zeros(2, 1), None)}
    inputs = Inputs(torch.zeros(2, 1), torch.ones(2, 2, dtype=torch.bool), modalities, torch.arange(2))
    specs = (InputSpec("rep", "embedding", 0, 2), InputSpec("ehr", "features", 1, 0))
    method = Masked(ModelSpec(specs, Target("binary"), EncoderConfig(dimension=8, hidden=8)))
    for parameter in method.decoders.parameters():
        torch.nn.init.zeros_(parameter)
    means = torch.tensor([[2.0, 4.0], [7.0, 9.0]])
    torch.testing.assert_close(method.pretext(whole(inputs))["rep"], means.square().mean())


def test_modalities_without_anything_in_common_keep_samples_apart() -> None:
    """Embeddings as a goal would become the same for all samples here: then nothing is left to be reconstructed.

    The mean variance of a normalised embedding's entries over samples is at most 1, and 0 if all are the same.
    """
    inputs, method = noise(200), new("masked")
    optimiser = torch.optim.Adam(method.parameters(), lr=1e-2)
    for _ in range(40):
        optimiser.zero_grad()
        method.pretext(whole(inputs))["total"].backward()
        optimiser.step()
    embeddings = method.encode(whole(inputs)).embeddings
    for m in range(3):
        assert embeddings[inputs.presence[:, m], m].var(0).mean() > 0.5


def test_what_modalities_have_in_common_is_reconstructed() -> None:
    inputs, method = related(300), new("masked")
    assert isinstance(method, Masked)
    held_out = inputs.batch(torch.arange(200, 300))
    config = FitConfig(epochs=10, batch_size=50, learning_rate=1e-2)
    before = method.pretext(held_out)["total"]
    history = fit(method, inputs, Parts(torch.arange(200), torch.arange(200, 300)), config, seed=0)
    last = [row["value"] for row in history if (row["part"], row["term"]) == ("validation", "reconstruction: total")][
        -1
    ]
    assert last < before / 2
