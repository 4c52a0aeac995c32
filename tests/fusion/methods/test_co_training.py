"""Co-training: who nominates, who contradicts, and that hidden labels stay hidden."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.inputs.batches import Inputs, ModalityInputs
from omnifuse.fusion.methods.co_training import CoTraining, pseudo_labels
from omnifuse.fusion.methods.fitting import FitConfig, prior_logits
from omnifuse.fusion.parts.linear_head import LinearHead
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.training.config import make_config
from omnifuse.fusion.training.loop import Parts, fit, predict
from sklearn.metrics import roc_auc_score
from torch import Tensor

from tests.fusion.vectors import COLUMNS, TARGETS, noise, spec_of

NAN = float("nan")


def co_training(target: Target = TARGETS[0], **options: float) -> CoTraining:
    return CoTraining(spec_of(target), CoTraining.Options(**options))  # type: ignore[arg-type]


def trained(inputs: Inputs, target: Target = TARGETS[0], samples: int = 60, **options: float) -> CoTraining:
    method = co_training(target, **options)
    fit(method, inputs, Parts(torch.arange(samples), torch.arange(0)), FitConfig(), seed=0)
    return method


def redundant(seed: int, samples: int = 1000) -> Inputs:
    """Every modality shows the label in its own noise, independent of that of the others: what co-training is for."""
    generator = torch.Generator().manual_seed(seed)
    y = (torch.rand(samples, 1, generator=generator) < 0.3).float()
    modalities = {
        name: ModalityInputs(torch.randn(samples, columns, generator=generator) + 1.3 * (y - 0.3) / columns**0.5, None)
        for name, columns in COLUMNS.items()
    }
    return Inputs(y, torch.ones(samples, len(COLUMNS), dtype=torch.bool), modalities, torch.arange(samples))


def binary(*views: list[float]) -> Tensor:
    """Confidence [n, M, 1, 2] of views that say how sure they are of label 1."""
    positive = torch.tensor(views).T[:, :, None]
    return torch.stack([1 - positive, positive], dim=-1)


def labelled(confidence: Tensor, most: float = 1.0, threshold: float = 0.6) -> list[float]:
    return pseudo_labels(confidence, torch.full(confidence.shape[2:], most), threshold)[:, 0].tolist()


class TestPseudoLabels:
    def test_a_modality_nominates_those_it_is_most_sure_of(self) -> None:
        confidence = binary([0.95, 0.85, 0.7, 0.02, 0.5])
        assert labelled(confidence) == pytest.approx([1, NAN, NAN, 0, NAN], nan_ok=True)
        assert labelled(confidence, most=2) == pytest.approx([1, 1, NAN, 0, NAN], nan_ok=True)

    def test_nobody_is_nominated_below_the_threshold(self) -> None:
        assert labelled(binary([0.79, 0.3]), threshold=0.8) == pytest.approx([NAN, NAN], nan_ok=True)

    def test_who_is_contradicted_is_not_added(self) -> None:
        """The second sample has another modality against it; the third one that is not sure."""
        confidence = binary([0.99, 0.98, 0.97], [0.9, 0.3, 0.5])
        assert labelled(confidence, most=3) == pytest.approx([1, NAN, 1], nan_ok=True)

    def test_two_nominations_for_different_outcomes_cancel(self) -> None:
        assert labelled(binary([0.99], [0.01])) == pytest.approx([NAN], nan_ok=True)

    def test_who_has_no_say_neither_nominates_nor_contradicts(self) -> None:
        confidence = binary([0.99, 0.98], [0.01, 0.98])
        confidence[0, 1] = 0.0
        assert labelled(confidence, most=2) == [1, 1]

    def test_classes_and_labels_are_decided_one_by_one(self) -> None:
        classes = torch.tensor([[[[0.1, 0.8, 0.1]]], [[[0.7, 0.2, 0.1]]], [[[0.4, 0.3, 0.3]]]])  # [3, 1, 1, 3]
        assert labelled(classes) == pytest.approx([1, 0, NAN], nan_ok=True)
        labels = torch.stack([binary([0.9, 0.5])[:, :, 0], binary([0.5, 0.1])[:, :, 0]], dim=2)  # [2, 1, 2, 2]
        found = pseudo_labels(labels, torch.ones(2, 2), 0.6)
        assert found.flatten().tolist() == pytest.approx([1, NAN, NAN, 0], nan_ok=True)


def test_with_every_label_known_it_is_the_mean_of_independent_regressions() -> None:
    inputs = replace(noise(60), y=(torch.arange(60.0) % 3 == 0).float()[:, None])
    method = trained(inputs, penalty=0.2)
    assert method.tables() == {}
    said = []
    for m, modality in enumerate(inputs.modalities.values()):
        has, vectors = inputs.presence[:, m], modality.summary
        assert vectors is not None
        head = LinearHead(vectors.shape[1], TARGETS[0])
        head.fit(vectors[has], inputs.y[has], method.prior, 0.2)
        said.append(head(vectors)[:, 0])
    expected = (torch.stack(said, 1) * inputs.presence).sum(1) / inputs.presence.sum(1)
    probability = predict(method, inputs, torch.arange(60)).probability[:, 0]
    torch.testing.assert_close(probability, expected.sigmoid(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("preset", "expected"), [("default", True), ("few-labels", False)])
def test_a_run_says_if_there_was_nothing_to_label(
    preset: str, expected: bool, toy_cache: Callable[..., Path], tmp_path: Path
) -> None:
    run = train(toy_cache(tmp_path / "cache"), make_config("co-training", preset, ["folds=2"]), tmp_path / "run")
    assert any("co-training had nothing to label" in note for note in run.metrics.notes) == expected


def test_labels_that_are_unknown_are_something_to_label() -> None:
    y = np.array([[1.0, 0.0], [0.0, np.nan]], dtype=np.float32)
    assert CoTraining.notes(CoTraining.Options(), y) == []
    assert len(CoTraining.notes(CoTraining.Options(), y[:1])) == 1


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
def test_hidden_labels_are_never_seen(target: Target) -> None:
    inputs = noise(60, target)
    method = trained(inputs, target, labelled_share=0.5)
    hidden = torch.zeros(60, dtype=torch.bool)
    hidden[torch.randperm(60, generator=torch.Generator().manual_seed(0))[30:]] = True
    other = replace(inputs, y=torch.where(hidden[:, None], 0.0, inputs.y))
    again = trained(other, target, labelled_share=0.5)
    assert all(value.equal(again.state_dict()[name]) for name, value in method.state_dict().items())
    torch.testing.assert_close(method.prior, prior_logits(method, inputs.y[~hidden]))


def test_a_frequent_outcome_is_no_contradiction() -> None:
    """A modality that knows nothing says the frequencies, and is then sure of neither outcome."""
    method = co_training()
    method.prior.fill_(-3.0)
    for head in method.heads:
        head.bias.fill_(-3.0)
    columns = [torch.zeros(2, 2 * columns) for columns in COLUMNS.values()]
    torch.testing.assert_close(method._confidence(columns), torch.full((2, 3, 1, 2), 0.5))


@pytest.mark.parametrize("seed", [0, 1])
def test_unlabelled_samples_help_where_modalities_are_redundant(seed: int) -> None:
    inputs, test = redundant(seed), torch.arange(600, 1000)
    control, method = (trained(inputs, samples=600, labelled_share=0.04, rounds=rounds) for rounds in (0, 10))
    scores = [roc_auc_score(inputs.y[test], predict(one, inputs, test).probability) for one in (control, method)]
    assert scores[1] > scores[0] + 0.01
    trace = method.tables()["pseudo_labels"]
    added, right = (sum(row[column] for row in trace) for column in ("added", "right"))
    assert [row["round"] for row in trace] == list(range(len(trace)))
    assert added > 50
    assert right / added > 0.9


def test_labels_that_are_unknown_are_given_as_well() -> None:
    target = Target("multilabel", 3)
    inputs = noise(60, target)
    trace = trained(inputs, target).tables()["pseudo_labels"]
    assert 0 < sum(row["added"] for row in trace) <= int(inputs.y.isnan().sum())
    assert all(row["hidden_on_purpose"] == 0 for row in trace)


def test_unknown_values_are_flagged() -> None:
    """What is unknown decides the label, the values say nothing."""
    inputs = noise(400)
    unknown = torch.arange(400) % 2 == 0
    inputs.modalities["ehr"].summary[unknown, 0] = torch.nan  # type: ignore[index]
    inputs = replace(inputs, y=unknown.float()[:, None])
    method = trained(inputs, samples=200)
    test = torch.arange(200, 400)
    assert roc_auc_score(inputs.y[test], predict(method, inputs, test).probability) > 0.95


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("labelled_share", 0.0),
        ("nominated", 1.5),
        ("rounds", -1),
        ("threshold", 0.4),
        ("threshold", 1.0),
        ("penalty", 0),
    ],
)
def test_wrong_options_are_refused(option: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"{option} must .*; got {value}"):
        CoTraining.Options(**{option: value})  # type: ignore[arg-type]
