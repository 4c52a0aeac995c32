"""The one loop: what it promises to every method."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.inputs.batches import Batch, Cohort, Inputs
from omnifuse.fusion.inputs.normalisation import Normaliser
from omnifuse.fusion.inputs.preparation import prepare
from omnifuse.fusion.methods.base import Context, Method, Prediction
from omnifuse.fusion.methods.concat import Concat
from omnifuse.fusion.methods.fitting import FitConfig, prior_logits
from omnifuse.fusion.scores.metrics import auroc
from omnifuse.fusion.training.config import make_config
from omnifuse.fusion.training.loop import History, Parts, cosine, fit, predict
from omnifuse.fusion.training.model import new_method
from omnifuse.fusion.training.outcome import fit_outcome

TRAIN, VALIDATION, TEST = torch.arange(30), torch.arange(30, 40), torch.arange(40, 60)
QUICK = FitConfig(epochs=2, batch_size=8)


def ready(cohort: Cohort, method: str = "concat", **settings: Any) -> tuple[Method, Inputs]:
    config = make_config(method, **settings)
    prepared = prepare(cohort, config.encoder)
    normaliser = Normaliser.fit(prepared, TRAIN.numpy())
    method = new_method(config, fit_outcome(cohort.task, cohort.y).target, normaliser.input_specs(prepared), seed=0)
    return method, normaliser.apply(cohort, prepared, torch.device("cpu"))


def trained(
    cohort: Cohort, method: str = "concat", fit_config: FitConfig = QUICK, seed: int = 0
) -> tuple[Method, Inputs, History]:
    module, inputs = ready(cohort, method)
    return module, inputs, fit(module, inputs, Parts(TRAIN, VALIDATION), fit_config, seed)


@pytest.mark.parametrize("method", ["concat", "unimodal", "omnifuse"])
def test_the_same_seed_gives_the_same_numbers(method: str, toy_cohort: Callable[..., Cohort]) -> None:
    results = []
    for seed in (3, 3, 4):
        torch.manual_seed(len(results))  # the global generator must not matter
        module, inputs, history = trained(toy_cohort(), method, seed=seed)
        results.append((history, predict(module, inputs, TEST).probability))
    assert results[0][0] == results[1][0] and torch.equal(results[0][1], results[1][1])
    assert not torch.equal(results[0][1], results[2][1])


def test_the_global_generator_is_left_alone(toy_cohort: Callable[..., Cohort]) -> None:
    state = torch.random.get_rng_state()
    trained(toy_cohort())
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("kind", ["binary", "multilabel", "multiclass"])
@pytest.mark.parametrize("method", ["concat", "unimodal", "omnifuse"])
def test_labels_do_not_reach_predictions(method: str, kind: str, toy_cohort: Callable[..., Cohort]) -> None:
    module, inputs, _ = trained(toy_cohort(kind=kind), method)
    expected = predict(module, inputs, TEST).probability
    assert expected.shape == (20, {"binary": 1, "multilabel": 2, "multiclass": 3}[kind])
    for y in (torch.full_like(inputs.y, torch.nan), inputs.y.flip(0)):
        assert torch.equal(predict(module, replace(inputs, y=y), TEST).probability, expected)
    if kind == "multiclass":
        torch.testing.assert_close(expected.sum(1), torch.ones(20))


@pytest.mark.parametrize("method", ["concat", "unimodal", "omnifuse"])
def test_a_hidden_modality_may_hold_anything(method: str, toy_cohort: Callable[..., Cohort]) -> None:
    module, inputs, _ = trained(toy_cohort(), method)
    hidden = inputs.without(["ehr"])
    expected = predict(module, hidden, TEST).probability
    garbage = replace(
        hidden.modalities["ehr"], summary=torch.full((60, inputs.modalities["ehr"].summary.shape[1]), 1e9)
    )
    changed = replace(hidden, modalities={**hidden.modalities, "ehr": garbage})
    assert torch.equal(predict(module, changed, TEST).probability, expected)


@pytest.mark.parametrize("method", ["concat", "unimodal", "omnifuse"])
def test_batches_of_one_sample_train_and_predict(method: str, toy_cohort: Callable[..., Cohort]) -> None:
    _, _, history = trained(toy_cohort(), method, FitConfig(epochs=1, batch_size=1))
    assert all(np.isfinite(row["value"]) for row in history)


def test_predictions_do_not_depend_on_the_batch(toy_cohort: Callable[..., Cohort]) -> None:
    module, inputs, _ = trained(toy_cohort())
    together = predict(module, inputs, TEST).probability
    alone = torch.cat([predict(module, inputs, sample[None]).probability for sample in TEST])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize(("strength", "low", "high"), [(0.0, 0.35, 0.65), (2.0, 0.9, 1.0)])
def test_signal_is_found_and_noise_is_not(
    strength: float, low: float, high: float, toy_cohort: Callable[..., Cohort]
) -> None:
    cohort = toy_cohort(strength=strength, samples=600)
    module, inputs = ready(cohort)
    fit(module, inputs, Parts(torch.arange(300), torch.arange(0)), FitConfig(epochs=5, batch_size=32), 0)
    p = predict(module, inputs, torch.arange(300, 600)).probability.numpy()
    area = auroc(cohort.y[300:, 0], p[:, 0])
    assert area is not None and low < area <= high


def test_history_has_every_epoch_part_and_term(toy_cohort: Callable[..., Cohort]) -> None:
    _, _, history = trained(toy_cohort(), "unimodal")
    seen = {(row["epoch"], row["part"], row["term"]) for row in history}
    terms = ("total", "ehr", "rep", "static")
    losses = {(epoch, part, term) for epoch in (0, 1) for part in ("train", "validation") for term in terms}
    assert seen == losses | {(epoch, "validation", "auroc") for epoch in (0, 1)}


def test_the_last_area_of_the_history_is_that_of_the_trained_model(toy_cohort: Callable[..., Cohort]) -> None:
    cohort = toy_cohort()
    module, inputs, history = trained(cohort, "concat")
    p = predict(module, inputs, VALIDATION).probability.numpy()
    areas = [row["value"] for row in history if row["term"] == "auroc"]
    assert areas[-1] == auroc(cohort.y[VALIDATION, 0], p[:, 0])


def test_without_validation_there_is_no_validation_history(toy_cohort: Callable[..., Cohort]) -> None:
    module, inputs = ready(toy_cohort())
    assert {row["part"] for row in fit(module, inputs, Parts(TRAIN, TRAIN[:0]), QUICK, 0)} == {"train"}


class Watched(Concat):
    """Records when its hooks are called and what they see."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.calls: list[str] = []
        self.seen: list[list[int]] = []

    def _note(self, name: str, context: Context) -> None:
        self.calls.append(f"{name} {context.epoch}{' training' if self.training else ''}")

    def on_fit_start(self, context: Context) -> None:
        super().on_fit_start(context)
        self._note("fit start", context)

    def on_epoch_start(self, context: Context) -> None:
        self._note("epoch start", context)

    def before_step(self, context: Context) -> None:
        assert all(parameter.grad is not None for parameter in self.parameters())
        self._note("step", context)

    def on_epoch_end(self, context: Context) -> None:
        assert not torch.is_grad_enabled()
        self.seen.append([i for batch in context.training() for i in batch.index.tolist()])
        self._note("epoch end", context)

    def on_fit_end(self, context: Context) -> None:
        self._note("fit end", context)


def test_hooks_are_called_in_order_and_see_training_samples_only(toy_cohort: Callable[..., Cohort]) -> None:
    plain, inputs = ready(toy_cohort())
    method = Watched(plain.spec, plain.options)
    fit(method, inputs, Parts(TRAIN, VALIDATION), FitConfig(epochs=2, batch_size=30, mining_rows=12), 0)
    epochs = [[f"epoch start {e} training", f"step {e} training", f"epoch end {e}"] for e in (0, 1)]
    assert method.calls == ["fit start 0 training", *epochs[0], *epochs[1], "fit end 1"]
    assert method.seen[0] == method.seen[1] and len(method.seen[0]) == 12
    assert set(method.seen[0]) <= set(TRAIN.tolist())


def test_unimodal_parts_are_independent(toy_cohort: Callable[..., Cohort]) -> None:
    """A modality's model is the same whatever the labels of samples that lack it."""
    cohort = toy_cohort()
    method, inputs = ready(cohort, "unimodal")
    batch: Batch = inputs.batch(TRAIN)
    method.eval()
    y = torch.where(batch.presence[:, :1], batch.y, 1 - batch.y)
    assert method.loss(batch)["ehr"] == method.loss(replace(batch, y=y))["ehr"]
    owned = [set(map(id, part.parameters())) for part in method.independent_parts()]
    assert not owned[0] & owned[1] and set.union(*owned) == set(map(id, method.parameters()))


def test_unimodal_answers_with_the_prior_where_its_modality_is_missing(toy_cohort: Callable[..., Cohort]) -> None:
    method, inputs, _ = trained(toy_cohort(), "unimodal")
    chosen = method.details()["chosen"]
    hidden = predict(method, inputs.without([chosen]), TEST).probability
    torch.testing.assert_close(hidden, method.prior.sigmoid().expand(20, 1))
    share = (inputs.y[TRAIN].sum() + 1) / (len(TRAIN) + 2)
    torch.testing.assert_close(hidden[0, 0], share)


def test_prior_of_labels_and_classes(toy_cohort: Callable[..., Cohort]) -> None:
    labels, _ = ready(toy_cohort(kind="multilabel"))
    y = torch.tensor([[1.0, torch.nan], [1.0, 0.0]])
    torch.testing.assert_close(prior_logits(labels, y).sigmoid(), torch.tensor([3 / 4, 1 / 3]))
    classes, _ = ready(toy_cohort(kind="multiclass"))
    torch.testing.assert_close(
        prior_logits(classes, torch.tensor([[2.0], [0.0]])).softmax(0), torch.tensor([2, 1, 2]) / 5
    )


def test_modality_dropout_changes_training_only(toy_cohort: Callable[..., Cohort]) -> None:
    method, inputs = ready(toy_cohort(), overrides=["options.modality_dropout=1"])
    fit(method, inputs, Parts(TRAIN, VALIDATION), QUICK, 0)
    batch = inputs.batch(VALIDATION)
    assert method.loss(batch)["total"] == method.loss(batch)["total"]
    method.encoders.eval(), method.head.eval()
    method.training = True
    assert method.loss(batch)["total"] != method.loss(batch)["total"]


def test_the_learning_rate_ends_at_its_final_share() -> None:
    optimiser = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = cosine(optimiser, final=0.1, steps=10)
    rates = []
    for _ in range(10):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    assert rates[0] == 1 and rates == sorted(rates, reverse=True)
    assert optimiser.param_groups[0]["lr"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda p: p[:1], r"'concat' gives probabilities \[1, 1\]; expected \[20, 1\]"),
        (lambda p: p[:, 0], r"'concat' gives probabilities \[20\]; expected \[20, 1\]"),
        (lambda p: p * torch.nan, "'concat' gives probabilities that are no numbers: its training diverged"),
    ],
)
def test_an_answer_that_is_no_probability_of_every_sample_is_refused(
    wrong: Callable[[torch.Tensor], torch.Tensor], message: str, toy_cohort: Callable[..., Cohort]
) -> None:
    class Wrong(Concat):
        def predict(self, batch: Batch) -> Prediction:
            return Prediction(wrong(super().predict(batch).probability))

    method, inputs = ready(toy_cohort())
    method.__class__ = Wrong
    with pytest.raises(InputError, match=message):
        predict(method, inputs, TEST)
