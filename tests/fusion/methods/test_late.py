"""Late fusion: independent models, and the mean over those that a sample has."""

import pytest
import torch
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.late import Late
from omnifuse.fusion.methods.unimodal import Unimodal
from omnifuse.fusion.parts.late_weights import equal_shares
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.loop import Parts, fit, predict
from torch import Tensor

from tests.fusion.vectors import COLUMNS, TARGETS, changed, noise, spec_of, step, whole

EVERYONE = Parts(torch.arange(40), torch.arange(0))


def late(target: Target = TARGETS[0], **options: str) -> Late:
    torch.manual_seed(0)
    return Late(spec_of(target), Late.Options(**options)).eval()  # type: ignore[arg-type]


def mean_over(present: Tensor, values: Tensor) -> Tensor:
    """Mean of values [B, M, K] over what is present, [B, M]."""
    return (values * present[:, :, None]).sum(1) / present.sum(1, keepdim=True)


def test_shares_are_equal_among_what_is_shown() -> None:
    shown = torch.tensor([[True, False, True], [False, True, False], [False, False, False]])
    assert equal_shares(shown).tolist() == [[0.5, 0.0, 0.5], [0.0, 1.0, 0.0], pytest.approx([1 / 3] * 3)]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
def test_the_mean_is_that_of_the_probabilities(target: Target) -> None:
    method, batch = late(target), whole(noise(target=target))
    expected = mean_over(batch.presence, target.probabilities(method.logits(batch)))
    torch.testing.assert_close(method.predict(batch).probability, expected)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
def test_or_that_of_the_logits(target: Target) -> None:
    method, batch = late(target, combine="logit_mean"), whole(noise(target=target))
    expected = target.probabilities(mean_over(batch.presence, method.logits(batch)))
    torch.testing.assert_close(method.predict(batch).probability, expected)


def test_the_models_are_those_of_unimodal() -> None:
    """To the last digit, from the same initial weights: what differs is what becomes of their answers."""
    states = []
    for method in (late(), Unimodal(spec_of())):
        torch.manual_seed(0)
        for part in method.modules():
            if isinstance(part, torch.nn.Linear):
                part.reset_parameters()
        fit(method, noise(), EVERYONE, FitConfig(epochs=2, batch_size=16), seed=0)
        states.append(method.state_dict())
    assert all(states[0][name].equal(states[1][name]) for name in states[0])


def test_a_modality_trains_its_own_model_alone() -> None:
    inputs, method = noise(share=0.8), late()
    other = noise(share=0.8)
    assert other.modalities["cxr"].summary is not None
    other.modalities["cxr"].summary.mul_(3)
    one, two = step(method, whole(inputs))[1], step(method, whole(other))[1]
    unequal = {name for name in one if not one[name].equal(two[name])}
    assert unequal
    assert all(name.startswith(("encoders.each.1.", "heads.1.")) for name in unequal)


def test_the_history_tells_the_loss_of_the_prediction() -> None:
    inputs, method = noise(), late()
    batch = whole(inputs)
    expected = TARGETS[0].loss(method.predict(batch).probability.logit(), batch.y)
    torch.testing.assert_close(method.loss(batch)["ce"], expected)


def test_a_binary_prediction_says_who_said_what() -> None:
    method, batch = late(), whole(noise())
    prediction = method.predict(batch)
    assert prediction.modality_probability is not None
    assert prediction.weight is not None
    torch.testing.assert_close(
        (prediction.weight * prediction.modality_probability).sum(1), prediction.probability[:, 0]
    )
    assert prediction.weight[~batch.presence].eq(0).all()


def test_imputed_modalities_speak_like_the_others() -> None:
    inputs, method = noise(), late(imputation="ridge")
    fit(method, inputs, EVERYONE, FitConfig(epochs=1, batch_size=16), seed=0)
    batch = whole(inputs)
    encoded = method.encode(batch)
    filled = method.filler(encoded.embeddings, batch.presence)
    heads = torch.stack([head(filled[:, m]) for m, head in enumerate(method.heads)], dim=1)
    prediction = method.predict(batch)
    torch.testing.assert_close(prediction.probability, heads.sigmoid().mean(1))
    assert prediction.imputed is not None
    assert prediction.imputed.equal(~batch.presence)
    poisoned = whole(changed(inputs, ~inputs.presence))
    assert method.predict(poisoned).probability.equal(prediction.probability)


def test_who_has_nothing_gets_the_prior_with_imputation_as_well() -> None:
    inputs, method = noise(), late(imputation="mean")
    fit(method, inputs, EVERYONE, FitConfig(epochs=1, batch_size=16), seed=0)
    nothing = predict(method, inputs.without(tuple(COLUMNS)), torch.arange(3)).probability
    torch.testing.assert_close(nothing, method.prior.sigmoid().expand(3, 1))
