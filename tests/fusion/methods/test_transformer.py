"""Transformer fusion: attention over what is there, whatever the order."""

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods.transformer import TransformerFusion
from torch import Tensor, nn

from tests.fusion.vectors import spec_of

SHOWN = torch.tensor([[1, 1, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0]]).bool()


def transformer(**options: object) -> TransformerFusion:
    torch.manual_seed(0)
    return TransformerFusion(spec_of(), TransformerFusion.Options(**{"width": 8, "heads": 2, **options})).eval()


def embeddings() -> Tensor:
    return torch.randn(len(SHOWN), 3, 8, generator=torch.Generator().manual_seed(1))


def test_what_is_absent_is_as_if_it_were_not_in_the_sequence() -> None:
    method = transformer()
    logits = method.fuse(embeddings(), SHOWN)
    for sample, shown, logit in zip(embeddings(), SHOWN, logits, strict=True):
        tokens = [project(sample[m]) + method.modality[m] for m, project in enumerate(method.projections) if shown[m]]
        sequence = torch.stack([method.cls, *tokens])[None]
        torch.testing.assert_close(method.head(method.transformer(sequence)[0, 0]), logit)


def test_one_layer_is_pre_norm_attention_and_feed_forward() -> None:
    method = transformer(layers=1, heads=1)
    (layer,) = method.transformer.layers
    shown = torch.ones(4, 3, dtype=torch.bool)
    tokens = torch.stack([project(embeddings()[:, m]) for m, project in enumerate(method.projections)], 1)
    x = torch.cat([method.cls.expand(4, 1, 8), tokens + method.modality], 1)  # [B, 1 + M, W]
    query, key, value = nn.functional.linear(
        layer.norm1(x), layer.self_attn.in_proj_weight, layer.self_attn.in_proj_bias
    ).chunk(3, -1)
    weights = (query @ key.transpose(1, 2) / 8**0.5).softmax(-1)  # [B, 1 + M, 1 + M]
    x = x + layer.self_attn.out_proj(weights @ value)
    x = x + layer.linear2(nn.functional.gelu(layer.linear1(layer.norm2(x))))
    expected = method.head(method.transformer.norm(x[:, 0]))
    torch.testing.assert_close(method.fuse(embeddings(), shown), expected)


def test_the_order_of_the_modalities_does_not_matter() -> None:
    method, turned = transformer(), transformer()
    turned.projections = nn.ModuleList(reversed(method.projections))
    turned.modality = nn.Parameter(method.modality.flip(0))
    torch.testing.assert_close(turned.fuse(embeddings().flip(1), SHOWN.flip(1)), method.fuse(embeddings(), SHOWN))


def test_a_prediction_has_a_gradient_at_what_is_shown_alone() -> None:
    """In evaluation mode, in which torch has a fast path without derivative, and with frozen weights as well."""
    method, slots = transformer(), embeddings().requires_grad_()
    fast = torch.no_grad()(method.fuse)(slots, SHOWN)
    logits = method.requires_grad_(False).fuse(slots, SHOWN)
    logits.sum().backward()
    torch.testing.assert_close(logits.detach(), fast)
    assert torch.equal((slots.grad != 0).any(-1), SHOWN)


def test_layers_start_different() -> None:
    first, second = transformer().transformer.layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)


def test_dropout_is_for_training_alone() -> None:
    method = transformer(dropout=0.5)
    slots = embeddings()
    assert torch.equal(method.fuse(slots, SHOWN), method.fuse(slots, SHOWN))
    method.train()
    assert not torch.equal(method.fuse(slots, SHOWN), method.fuse(slots, SHOWN))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width must be 1 or more; got 0"),
        ({"layers": 0}, "layers must be 1 or more; got 0"),
        ({"heads": 0}, "heads must be 1 or more; got 0"),
        ({"width": 10, "heads": 4}, "width must be a multiple of heads; got 10 and 4"),
        ({"dropout": 1.0}, "dropout must be 0 or more and less than 1; got 1.0"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TransformerFusion.Options(**options)
