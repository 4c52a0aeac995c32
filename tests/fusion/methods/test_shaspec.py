"""ShaSpec: what stands for an absent modality, and what its two other losses are and reach."""

import math
from typing import Any

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods.shaspec import ShaSpec, alignment, told_apart
from omnifuse.fusion.parts.targets import Target
from omnifuse.testing.vectors import OTHERS

from tests.fusion.vectors import TARGETS, context_of, noise, spec_of, whole

SHOWN = torch.tensor([[True, False, True], [True, True, True], [False, True, False], [False, False, False]])


def shaspec(target: Target = TARGETS[0], **options: Any) -> ShaSpec:
    torch.manual_seed(0)
    method = ShaSpec(spec_of(target, dropout=0.0), ShaSpec.Options(**options)).eval()
    method.on_fit_start(context_of(noise()))
    return method


def test_an_absent_modality_is_the_mean_of_the_shared_parts_that_are_there() -> None:
    features = shaspec().features(torch.randn(4, 3, 8), SHOWN)
    shared, fused = features.shared, features.fused
    torch.testing.assert_close(fused[0, 1], (shared[0, 0] + shared[0, 2]) / 2)
    torch.testing.assert_close(fused[2, 0], shared[2, 1])
    torch.testing.assert_close(fused[2, 2], shared[2, 1])
    assert not fused[3].any()


def test_one_that_is_there_is_its_shared_part_and_what_both_parts_add() -> None:
    method = shaspec()
    shared, specific, fused = method.features(torch.randn(4, 3, 8), SHOWN)
    torch.testing.assert_close(fused[1], shared[1] + method.add(torch.cat([shared[1], specific[1]], dim=1)))


def test_what_is_stored_in_an_absent_slot_says_nothing() -> None:
    method, embeddings = shaspec(), torch.randn(4, 3, 8)
    other = torch.where(SHOWN[:, :, None], embeddings, 7.0)
    assert torch.equal(method.fuse(other, SHOWN), method.fuse(embeddings, SHOWN))


def test_shared_parts_that_are_alike_cost_nothing() -> None:
    assert alignment(torch.randn(4, 1, 8).expand(-1, 3, -1), SHOWN) == 0


def test_alignment_is_the_mean_over_the_pairs_that_samples_have() -> None:
    shared = torch.tensor([0.0, 1.0, 4.0])[None, :, None].expand(4, -1, 8)
    assert float(alignment(shared, SHOWN)) == pytest.approx((4 + 1 + 4 + 3) / 4)
    assert alignment(shared[2:], SHOWN[2:]) == 0


def test_modalities_are_told_apart_over_what_is_there() -> None:
    logits = torch.zeros(4, 3, 3)
    logits[1] = 100 * torch.eye(3)
    assert float(told_apart(logits, SHOWN)) == pytest.approx(3 * math.log(3) / 6)
    assert told_apart(logits[3:], SHOWN[3:]) == 0


@pytest.mark.parametrize("target", [*TARGETS, *OTHERS], ids=lambda target: target.kind)
def test_telling_modalities_apart_does_not_teach_the_shared_encoder_nor_alignment_the_specific_ones(
    target: Target,
) -> None:
    method, batch = shaspec(target), whole(noise(target=target))
    reached = {}
    for term in ("ce", "alignment", "domain"):
        method.zero_grad()
        method.loss(batch)[term].backward()
        reached[term] = {name.split(".")[0] for name, p in method.named_parameters() if p.grad is not None}
    assert reached["domain"] == {"encoders", "adapt", "to_specific", "domain"}
    assert reached["alignment"] == {"encoders", "adapt", "to_shared"}
    assert reached["ce"] == {"encoders", "adapt", "to_shared", "to_specific", "add", "head"}


def test_the_total_is_weighed_as_the_options_say() -> None:
    terms = shaspec(alignment_weight=2.0, domain_weight=3.0).loss(whole(noise()))
    torch.testing.assert_close(terms["total"], terms["ce"] + 2 * terms["alignment"] + 3 * terms["domain"])


def test_it_learns_from_parts_of_what_samples_have() -> None:
    inputs = noise(2000, share=1.0)
    method = shaspec().train()
    _, shown = method.complete(method.encode(whole(inputs)))
    assert float((~shown.all(1)).float().mean()) == pytest.approx(0.5 * 6 / 7, abs=0.04)


@pytest.mark.parametrize("options", [{"alignment_weight": -1.0}, {"domain_weight": math.nan}, {"modality_dropout": 2}])
def test_wrong_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        ShaSpec.Options(**options)
