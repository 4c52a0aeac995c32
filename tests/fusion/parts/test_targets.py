"""The target adapter: exact log-probabilities, and labels that may be unknown."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.cache_schema.errors import InputError
from omnifuse.fusion.parts.targets import Target

NAN = float("nan")
BASED = Target("survival", 3, (-4.0, -2.0, 1.0))
TARGETS = [Target("binary"), Target("multilabel", 3), Target("multiclass", 4), BASED]
logit = st.floats(-80, 80, width=32)


def test_binary_table_is_ordered_absent_then_present() -> None:
    lp, l1p = Target("binary").log_probabilities(torch.tensor([[math.log(3.0)]]))
    torch.testing.assert_close(lp.exp(), torch.tensor([[[0.25, 0.75]]]))
    torch.testing.assert_close(l1p.exp(), torch.tensor([[[0.75, 0.25]]]))


def test_multiclass_contrary_is_the_sum_of_the_other_classes() -> None:
    lp, l1p = Target("multiclass", 3).log_probabilities(torch.tensor([0.2, 0.3, 0.5]).log())
    torch.testing.assert_close(lp.exp(), torch.tensor([[0.2, 0.3, 0.5]]))
    torch.testing.assert_close(l1p.exp(), torch.tensor([[0.8, 0.7, 0.5]]))


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
@given(values=st.lists(logit, min_size=4, max_size=4))
def test_tables_are_log_probabilities_that_stay_finite(target: Target, values: list[float]) -> None:
    logits = torch.tensor(values[: target.output_size], requires_grad=True)
    lp, l1p = target.log_probabilities(logits)
    for table in (lp, l1p):
        assert table.isfinite().all()
        assert (table <= 0).all()
    torch.testing.assert_close(lp.exp().sum(-1), torch.ones(lp.shape[0]))
    torch.testing.assert_close(lp.exp() + l1p.exp(), torch.ones_like(lp))
    (lp.sum() + l1p.sum()).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_contrary_of_a_sure_class_is_exact_where_one_minus_p_is_zero() -> None:
    sure = torch.tensor([30.0])
    assert 1 - sure.sigmoid() == 0
    assert Target("binary").log_probabilities(sure)[1][0, 1].item() == pytest.approx(-30.0)
    _, l1p = Target("multiclass", 3).log_probabilities(torch.tensor([30.0, 0.0, 0.0]))
    assert l1p[0, 0].item() == pytest.approx(math.log(2) - 30.0)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
def test_logits_of_a_score_give_its_softmax(target: Target) -> None:
    logits = torch.randn(5, target.output_size, generator=torch.Generator().manual_seed(0))
    lp, _ = target.log_probabilities(logits)
    torch.testing.assert_close(target.probabilities(target.logits(lp)), target.probabilities(logits))


def test_logits_of_hazards_are_relative_to_the_base() -> None:
    base = torch.tensor(BASED.base)
    torch.testing.assert_close(BASED.probabilities(torch.zeros(2, 3)), base.sigmoid().expand(2, 3))
    torch.testing.assert_close(BASED.logits_of(base.sigmoid()), torch.zeros(3), atol=1e-4, rtol=0)
    plain, logits = Target("survival", 3), torch.randn(4, 3)
    y = torch.tensor([[0, 1, NAN], [1, NAN, NAN], [0, 0, 0], [0, NAN, NAN]])
    assert torch.equal(BASED.loss(logits, y), plain.loss(logits + base, y))
    assert torch.equal(BASED.probabilities(logits), plain.probabilities(logits + base))


def test_one_label_of_multilabel_is_binary() -> None:
    logits, y = torch.tensor([[0.3], [-2.0]]), torch.tensor([[1.0], [0.0]])
    one, many = Target("binary"), Target("multilabel", 1)
    torch.testing.assert_close(one.log_probabilities(logits), many.log_probabilities(logits))
    torch.testing.assert_close(one.cross_entropy(logits, y), many.cross_entropy(logits, y))


def test_two_classes_are_a_binary_decision() -> None:
    z = torch.tensor([[-1.5], [0.2], [4.0]])
    y = torch.tensor([[1.0], [0.0], [1.0]])
    binary, classes = Target("binary"), Target("multiclass", 2)
    two = torch.cat([torch.zeros_like(z), z], -1)
    torch.testing.assert_close(classes.log_probabilities(two), binary.log_probabilities(z))
    torch.testing.assert_close(classes.cross_entropy(two, y), binary.cross_entropy(z, y))


def test_unknown_labels_are_left_out_of_the_mean() -> None:
    target = Target("multilabel", 2)
    logits = torch.tensor([[0.0, 9.0], [math.log(3), 0.0], [1.0, 1.0]], requires_grad=True)
    y = torch.tensor([[1.0, NAN], [1.0, 0.0], [NAN, NAN]])
    each = target.cross_entropy(logits, y)
    half, three_quarters = math.log(2), -math.log(0.75)
    torch.testing.assert_close(each, torch.tensor([half, (three_quarters + half) / 2, 0.0]))
    assert target.known(y).tolist() == [True, True, False]
    loss = target.loss(logits, y)
    torch.testing.assert_close(loss, each[:2].mean())
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[2].eq(0).all()
    assert logits.grad[0, 1] == 0


def test_a_batch_without_labels_has_no_loss() -> None:
    logits = torch.ones(2, 3, requires_grad=True)
    loss = Target("multiclass", 3).loss(logits, torch.full((2, 1), NAN))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert logits.grad.eq(0).all()


def test_gather_broadcasts_labels_over_leading_axes() -> None:
    table = torch.arange(12.0).reshape(2, 3, 1, 2)  # [B, M, K, C]
    values, known = Target("binary").gather(table, torch.tensor([[[1.0]], [[NAN]]]))
    assert values[0].tolist() == [[1.0], [3.0], [5.0]]
    assert known.tolist() == [[[True]], [[False]]]


@pytest.mark.parametrize(("kind", "classes"), [("binary", 2), ("multilabel", 0), ("multiclass", 1)])
def test_impossible_numbers_of_classes_are_refused(kind: str, classes: int) -> None:
    with pytest.raises(InputError, match=f"{kind} target cannot have {classes} classes"):
        Target(kind, classes)  # type: ignore[arg-type]


@pytest.mark.parametrize("target", [("survival", 3, (1.0,)), ("multilabel", 2, (0.0, 0.0))])
def test_a_base_of_another_length_or_kind_is_refused(target: tuple[str, int, tuple[float, ...]]) -> None:
    with pytest.raises(InputError, match="log-odds of a base"):
        Target(*target)  # type: ignore[arg-type]


def test_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="'ordinal' is unknown; known are binary, multilabel"):
        Target("ordinal")  # type: ignore[arg-type]
