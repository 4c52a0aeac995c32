"""HEALNet: what is absent is skipped, padding and order of a set say nothing, and a single token leaves no choice."""

import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.inputs.batches import Batch, ModalityBatch, Rows
from omnifuse.fusion.inputs.spec import EncoderConfig, InputSpec
from omnifuse.fusion.methods.base import ModelSpec
from omnifuse.fusion.methods.healnet import HEALNet, Reading
from omnifuse.fusion.parts.targets import Target

from tests.fusion.vectors import context_of, noise, spec_of, step, whole

LENGTHS = torch.tensor([2, 5, 3])


def healnet(spec: ModelSpec | None = None, **options: Any) -> HEALNet:
    torch.manual_seed(0)
    return HEALNet(spec or spec_of(), HEALNet.Options(**{"width": 8, "latents": 4, **options})).eval()


def of_rows(kind: str) -> HEALNet:
    specs = (InputSpec("cxr", kind, 0, 3), InputSpec("lab", "features", 2, 0))
    return healnet(ModelSpec(specs, Target("binary"), EncoderConfig(dimension=8, hidden=8)))


def ragged(values: torch.Tensor, lengths: torch.Tensor = LENGTHS) -> Batch:
    """Samples that have rows [R, 3], and none the second modality."""
    everyone = torch.arange(len(lengths))
    nobody = ModalityBatch(everyone[:0], torch.zeros(0, 2), None)
    modalities = {"cxr": ModalityBatch(everyone, None, Rows(values, lengths)), "lab": nobody}
    presence = torch.tensor([[True, False]]).expand(len(lengths), -1)
    return Batch(everyone, torch.ones(len(lengths), 1), presence, modalities, everyone)


def test_an_absent_modality_is_as_a_model_without_it() -> None:
    method, inputs = healnet(), noise(share=1.0)
    without = healnet(spec_of(modalities=("ehr", "rep")))
    own = method.state_dict()
    second = re.compile(r"^(tokens|layers\.\d)\.1\.")  # of two modalities, the third of three
    without.load_state_dict({name: own[second.sub(r"\1.2.", name)] for name in without.state_dict()})
    two = replace(
        inputs,
        presence=inputs.presence[:, [0, 2]],
        modalities={name: inputs.modalities[name] for name in ("ehr", "rep")},
    )
    torch.testing.assert_close(method.logits(whole(inputs.without(("cxr",)))), without.logits(whole(two)))


def test_skipping_leaves_the_feed_forward_layer_out_as_well() -> None:
    method, inputs = healnet(), noise(share=1.0)
    nothing = method.norm(method.latents).mean(0)
    alone = whole(replace(inputs, presence=torch.zeros_like(inputs.presence)))
    alone = replace(alone, presence=whole(inputs).presence)  # nobody has anything to read, yet nobody gets the prior
    torch.testing.assert_close(method.logits(alone), method.head(nothing).expand(40, -1))


@pytest.mark.parametrize("kind", ["embedding", "timeseries"])
def test_padding_changes_nothing(kind: str) -> None:
    method, values = of_rows(kind), torch.randn(10, 3)
    together = method.logits(ragged(values))
    alone = method.logits(ragged(values[:2], LENGTHS[:1]))
    torch.testing.assert_close(together[:1], alone)


@pytest.mark.parametrize(("kind", "matters"), [("embedding", False), ("timeseries", True)])
def test_order_matters_among_steps_of_time_alone(kind: str, matters: bool) -> None:
    method, values = of_rows(kind), torch.randn(10, 3)
    turned = torch.cat([values[:2], values[2:7].flip(0), values[7:]])
    assert torch.allclose(method.logits(ragged(values)), method.logits(ragged(turned)), atol=1e-6) is not matters


def test_of_a_single_token_everybody_reads_the_same() -> None:
    torch.manual_seed(0)
    reading = Reading(HEALNet.Options(width=8)).eval()
    token = torch.randn(1, 1, 8)
    one, other = (reading.attention(torch.randn(1, 4, 8), token, token)[0] for _ in range(2))
    torch.testing.assert_close(one, other)
    torch.testing.assert_close(one[:, 0], one[:, 3])


def test_everything_learns() -> None:
    method = healnet()
    _, gradients = step(method, whole(noise()))
    assert gradients.keys() == {name for name, _ in method.named_parameters()}
    assert all(gradient.any() for gradient in gradients.values())


def test_modality_dropout_hides_in_training_alone() -> None:
    method, inputs = healnet(modality_dropout=1.0), noise(share=1.0)
    method.on_fit_start(context_of(inputs))
    assert method.shown(inputs.presence).all()
    method.train()
    shown = method.shown(inputs.presence)
    assert shown.any(1).all() and not shown.all()


@pytest.mark.parametrize("options", [{"latents": 0}, {"depth": 0}, {"width": 6}, {"dropout": 1.0}])
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        HEALNet.Options(**options)
