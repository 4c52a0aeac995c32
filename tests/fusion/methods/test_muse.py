"""MUSE-style fusion: one edge is its own mean, order says nothing, and whom a sample is taught to resemble."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.muse import Muse, likeness, resembling
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.loop import Parts, fit
from torch.nn import functional as F

from tests.fusion.vectors import context_of, noise, spec_of, step, whole

OTHERS = ~torch.eye(3, dtype=torch.bool)
UNKNOWN = math.nan


def muse(**options: Any) -> Muse:
    torch.manual_seed(0)
    method = Muse(spec_of(dropout=0.0), Muse.Options(**{"dropout": 0.0, **options})).eval()
    torch.nn.init.normal_(method.heard)
    method.on_fit_start(context_of(noise()))
    return method


def test_of_one_modality_the_mean_is_its_edge() -> None:
    method = muse(layers=1)
    edges, there = torch.randn(4, 3, 8), torch.tensor([[False, True, False]]).expand(4, -1)
    (only,) = method.rounds
    message = F.relu(only.speak(torch.cat([method.modality[1].expand(4, -1), edges[:, 1]], dim=1)))
    expected = F.relu(only.hear(torch.cat([torch.ones(4, 8), message], dim=1)))
    torch.testing.assert_close(method.vectors(edges, there)[0], expected)


def test_the_order_of_modalities_says_nothing() -> None:
    method, turned = muse(), muse()
    edges, there, order = torch.randn(4, 3, 8), torch.rand(4, 3) < 0.7, [2, 0, 1]
    with torch.no_grad():
        turned.modality.copy_(method.modality[order])
        turned.heard.copy_(method.heard[:, order])
    torch.testing.assert_close(turned.vectors(edges[:, order], there[:, order])[0], method.vectors(edges, there)[0])


def test_modalities_hear_the_mean_of_the_training_samples_that_have_them() -> None:
    method, inputs = muse(), noise(50)
    method.listen(context_of(inputs, size=7))
    batch = whole(inputs)
    first = method.rounds[0]
    messages = first.message(torch.ones(50, 1, 8), method.encode(batch).embeddings)
    for m in range(3):
        torch.testing.assert_close(method.heard[0, m], messages[batch.presence[:, m], m].mean(0))


def test_predictions_use_what_was_heard_at_the_end_of_the_training() -> None:
    inputs, method = noise(40), muse()
    fit(method, inputs, Parts(torch.arange(40), torch.arange(0)), FitConfig(epochs=2, batch_size=20), seed=0)
    heard = method.heard.clone()
    method.listen(context_of(inputs))
    torch.testing.assert_close(method.heard, heard)


def test_everything_learns_what_predicts() -> None:
    _, gradients = step(muse(), whole(noise()))
    assert gradients.keys() == {name for name, _ in muse().named_parameters()}
    assert all(gradient.any() for gradient in gradients.values())


@pytest.mark.parametrize(
    ("target", "labels", "expected"),
    [
        (Target("binary"), [[1], [0], [UNKNOWN]], [[1, 0, 0], [0, 1, 0], [0, 0, 0]]),
        (Target("multiclass", 3), [[2], [2], [UNKNOWN]], [[1, 1, 0], [1, 1, 0], [0, 0, 0]]),
        (
            Target("multilabel", 3),
            [[1, 1, 0], [1, 0, 0], [UNKNOWN, 0, 1]],
            [[1, 1 / 2, 0], [1 / 2, 1, 0], [0, 0, 1]],
        ),
        (Target("multilabel", 2), [[0, 0], [0, 0], [0, 1]], [[1, 1, 0], [1, 1, 0], [0, 0, 1]]),
    ],
)
def test_labels_are_alike_by_the_jaccard_index_of_those_known(
    target: Target, labels: list[list[float]], expected: list[list[float]]
) -> None:
    torch.testing.assert_close(likeness(target, torch.tensor(labels).float()), torch.tensor(expected).float())


def test_who_is_alike_is_to_be_told_among_all_others() -> None:
    vectors = F.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), dim=1)
    alike = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    near = math.sqrt(0.5)
    told = math.log(math.exp(2 * 0.0) + math.exp(2 * near))  # of both, cosine 0 to each other; the third has nobody
    assert float(resembling(vectors, alike, 2.0, OTHERS)) == pytest.approx(told)
    assert float(resembling(vectors, alike, 2.0, OTHERS & False)) == 0


def test_samples_of_one_patient_are_no_rivals() -> None:
    method, inputs = muse(), noise(share=1.0)
    one_patient = replace(inputs, subject=torch.zeros_like(inputs.subject))
    with torch.no_grad():
        alone, among = method.loss(whole(one_patient)), method.loss(whole(inputs))
    assert float(alone["contrast"]) == pytest.approx(0, abs=1e-6)
    assert float(alone["label"]) == 0
    assert float(among["contrast"]) > 0


def test_half_of_the_second_views_lack_something() -> None:
    method, inputs = muse().train(), noise(4000, share=1.0)
    encoded = method.encode(whole(inputs))
    second = method.second_view(encoded, inputs.presence)
    assert second.any(1).all()
    assert float((~second.all(1)).float().mean()) == pytest.approx(0.5, abs=0.03)
    assert method.eval().second_view(encoded, inputs.presence).all()


@pytest.mark.parametrize(
    "options", [{"layers": 0}, {"dropout": 1.0}, {"edge_dropout": 1.5}, {"label_weight": -1.0}, {"temperature": 0.0}]
)
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        Muse.Options(**options)
