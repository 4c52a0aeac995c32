"""What a model learns of quantities and of times to an event, and what its answers are in their own form."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.cache_schema import Task
from omnifuse.fusion.methods.concat import Concat
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.parts.targets import Target
from omnifuse.fusion.training.loop import Parts, fit, predict
from omnifuse.fusion.training.outcome import (
    Hazards,
    Quantities,
    evaluation_times,
    fit_outcome,
    judged,
    stored_outcome,
)
from scipy.special import expit, logit

from tests.fusion.vectors import COLUMNS, model, noise, signal, spec_of, step, whole

NAN = np.nan


def survival(y: object) -> Task:
    return Task("death", "survival", ("time", "event"), np.array(y, np.float32))


def stay(y: object) -> Task:
    return Task("los", "regression", ("los",), np.array(y, np.float32)[:, None])


class TestQuantities:
    Y = np.array([[2.0, 10.0], [4.0, NAN], [6.0, 30.0]], np.float32)

    def test_they_are_learnt_in_deviations_from_the_training_mean(self) -> None:
        outcome = Quantities.fit(self.Y)
        spread = np.sqrt(8 / 3)
        np.testing.assert_allclose(outcome.learnt(self.Y), [[-2 / spread, -1], [0, NAN], [2 / spread, 1]], rtol=1e-6)

    def test_what_is_predicted_comes_back_in_their_unit(self) -> None:
        outcome = Quantities.fit(self.Y)
        np.testing.assert_allclose(outcome.own(outcome.learnt(self.Y)), self.Y, rtol=1e-6)
        np.testing.assert_allclose(outcome.own(np.zeros((1, 2))), [[4, 20]])

    def test_a_constant_of_a_training_part_is_predicted_as_it_is(self) -> None:
        outcome = Quantities.fit(np.full((3, 1), 7.0, np.float32))
        np.testing.assert_array_equal(outcome.learnt(np.array([[7.0], [9.0]], np.float32)), [[0], [2]])

    def test_next_to_the_largest_numbers_nothing_overflows(self) -> None:
        y = np.array([[-3e38], [3e38], [1e38]], np.float32)
        outcome = Quantities.fit(y)
        assert np.isfinite(outcome.learnt(y)).all()
        np.testing.assert_allclose(outcome.own(outcome.learnt(y)), y, rtol=1e-5, atol=1e32)


class TestHazards:
    GRID = Hazards.of_edges(np.array([0.0, 2.0, 4.0, 8.0]))

    @pytest.mark.parametrize(
        ("time", "event", "learnt"),
        [
            (1, 1, [1, NAN, NAN]),
            (2, 1, [1, NAN, NAN]),  # intervals end with their last moment
            (3, 1, [0, 1, NAN]),
            (9, 1, [0, 0, 0]),  # after the last interval it was lived through
            (2.5, 0, [0, NAN, NAN]),
            (3, 0, [0, 0, NAN]),  # from the middle on
            (4, 0, [0, 0, NAN]),
            (9, 0, [0, 0, 0]),
            (0, 1, [1, NAN, NAN]),
            (0, 0, [NAN, NAN, NAN]),
            (NAN, NAN, [NAN, NAN, NAN]),
        ],
    )
    def test_an_interval_is_lived_through_ended_by_the_event_or_unknown(
        self, time: float, event: float, learnt: list[float]
    ) -> None:
        np.testing.assert_array_equal(self.GRID.learnt(np.array([[time, event]], np.float32)), [learnt])

    def test_intervals_end_at_quantiles_of_the_events_and_are_fewer_if_those_are_few(self) -> None:
        times = np.arange(1, 201, dtype=np.float32)
        y = np.stack([times, np.arange(200) % 2], axis=1).astype(np.float32)  # events at 2, 4, ..., 200
        np.testing.assert_array_equal(Hazards.fit(y).edges, [0, 20, 40, 58, 78, 96, 116, 134, 154, 172, 192])
        np.testing.assert_array_equal(Hazards.fit(y[:50]).edges, [0, 24, 48])
        np.testing.assert_array_equal(Hazards.fit(y[:6]).edges, [0, 6])

    def test_within_an_interval_the_hazard_is_constant_and_after_the_last_none(self) -> None:
        own = self.GRID.own(np.array([[0.19, 0.5, 0.75]]), [0, 1, 2, 3, 4, 8, 100])
        last = 0.81 * 0.5 * 0.25
        np.testing.assert_allclose(own, [[1, 0.9, 0.81, 0.81 * np.sqrt(0.5), 0.405, last, last]])

    def test_a_sure_event_leaves_next_to_no_survival_and_no_nan(self) -> None:
        assert 0 <= self.GRID.own(np.array([[1.0, 0.5, 0.5]]), [2])[0, 0] < 1e-6

    @given(st.lists(st.floats(0, 1), min_size=3, max_size=3))
    def test_survival_never_rises(self, hazards: list[float]) -> None:
        curve = self.GRID.own(np.array([hazards]), np.linspace(0, 10, 21))[0]
        assert (np.diff(curve) <= 0).all()
        assert ((curve >= 0) & (curve <= 1)).all()

    def test_without_censoring_the_mean_hazards_are_those_of_kaplan_and_meier(self) -> None:
        rng = np.random.default_rng(0)
        y = np.stack([rng.exponential(5, 500), np.ones(500)], axis=1).astype(np.float32)
        outcome = Hazards.fit(y)
        hazards = np.nanmean(outcome.learnt(y), axis=0)
        ends = outcome.edges[1:]
        empirical = [(y[:, 0] > end).mean() for end in ends[:-1]]
        np.testing.assert_allclose(outcome.own(hazards[None], ends[:-1])[0], empirical, rtol=1e-6)

    def test_censoring_within_intervals_does_not_bias_the_hazards(self) -> None:
        """Rates .1 of the event and of loss: survival is exp(-t / 10), whoever is lost."""
        rng = np.random.default_rng(0)
        time, lost = rng.exponential(10, (2, 50_000))
        y = np.stack([np.minimum(time, lost), time <= lost], axis=1).astype(np.float32)
        outcome = Hazards.fit(y)
        hazards = np.nanmean(outcome.learnt(y), axis=0)
        ends = outcome.edges[1:-1]
        np.testing.assert_allclose(outcome.own(hazards[None], ends)[0], np.exp(-ends / 10), rtol=0.02)

    def test_within_an_interval_hazards_run_as_that_of_everybody(self) -> None:
        """At risk are 40, 30, 20, 10, of whom 10 have the event at 1, 2, 4 and 8; between these times run lines."""
        y = np.array([[1, 1], [2, 1], [4, 1], [8, 1]], np.float32).repeat(10, axis=0)
        outcome = replace(Hazards.fit(y), edges=np.array([0.0, 2.0, 8.0]))
        np.testing.assert_allclose(outcome.passed, np.cumsum([0, 1 / 4, 1 / 3, 1 / 2, 1]))
        first, second = 1 / 4 / (1 / 4 + 1 / 3), 1 / 2 / (1 / 2 + 1)
        np.testing.assert_allclose(
            outcome.over(np.array([0.5, 1, 2, 4, 6, 8, 9])),
            [[first / 2, 0], [first, 0], [1, 0], [1, second], [1, (1 + second) / 2], [1, 1], [1, 1]],
        )

    @pytest.mark.parametrize("shape", [0.4, 1.0, 3.0])
    def test_times_that_crowd_at_one_end_of_an_interval_bias_neither_hazards_nor_curves(self, shape: float) -> None:
        """Weibull laws of event and loss, the same: survival is exp(-t ** shape), within intervals as well."""
        time, lost = np.random.default_rng(0).weibull(shape, (2, 50_000))
        y = np.stack([np.minimum(time, lost), time <= lost], axis=1).astype(np.float32)
        outcome = Hazards.fit(y)
        hazards = np.nanmean(outcome.learnt(y), axis=0)
        when = np.quantile(y[:, 0], np.arange(0.05, 0.91, 0.05))
        np.testing.assert_allclose(outcome.own(hazards[None], when)[0], np.exp(-(when**shape)), rtol=0.02)


class TestTheBaseline:
    """What is added to the log-odds of hazards after the training."""

    def test_as_many_events_are_expected_of_the_training_part_as_it_had(self) -> None:
        rng = np.random.default_rng(0)
        y = np.where(rng.random((500, 3)) < 0.2, NAN, rng.random((500, 3)) < [0.02, 0.1, 0.5])
        said = expit(rng.normal([-6, 0, 3], 1.5, (500, 3)))
        outcome = Hazards.of_edges(np.arange(4.0)).after_training(lambda: said, y)
        shifted = expit(logit(said) + outcome.shift)
        np.testing.assert_allclose(np.where(np.isnan(y), 0, shifted).sum(0), np.nansum(y, axis=0), rtol=1e-9)

    def test_hazards_that_are_right_on_average_stay_as_they_are(self) -> None:
        y = np.array([[1, NAN], [0, 1], [0, 0], [0, 0]])
        outcome = Hazards.of_edges(np.array([0.0, 1.0, 2.0])).after_training(lambda: np.full((4, 2), [1 / 4, 1 / 3]), y)
        np.testing.assert_allclose(outcome.shift, 0, atol=1e-9)
        np.testing.assert_allclose(outcome.own(np.array([[1 / 4, 1 / 3]]), [1, 2]), [[3 / 4, 1 / 2]])

    def test_what_says_nothing_is_not_shifted(self) -> None:
        y = np.array([[0, 1, NAN]] * 5)
        outcome = Hazards.of_edges(np.arange(4.0)).after_training(lambda: np.full((5, 3), 0.3), y)
        assert outcome.shift.tolist() == [0, 0, 0]

    def test_who_shows_nothing_keeps_the_frequencies(self) -> None:
        outcome = replace(Hazards.of_edges(np.array([0.0, 1.0])), shift=np.array([2.0]))
        own = outcome.own(np.full((2, 1), 0.5), [1], np.array([True, False]))
        np.testing.assert_allclose(own, [[1 - expit(2)], [0.5]])

    def test_a_network_begins_at_the_hazards_of_the_training_part(self) -> None:
        """A hundredth in each interval, and one short epoch: from an even chance nothing comes near that."""
        y = torch.zeros(200, 3)
        y[torch.arange(6), torch.arange(6) % 3] = 1
        inputs = replace(noise(200, Target("survival", 3)), y=y)
        said = []
        for base in ((), (float(logit(0.01)),) * 3):
            torch.manual_seed(0)
            method, everyone = Concat(spec_of(Target("survival", 3, base))), torch.arange(200)
            fit(method, inputs, Parts(everyone, everyone[:0]), FitConfig(epochs=1), seed=0)
            said.append(float(predict(method, inputs, everyone).probability.mean()))
        assert said[0] > 0.3
        assert said[1] == pytest.approx(0.01, rel=0.5)

    def test_what_logits_are_relative_to_are_the_hazards_of_the_training_part_with_one_count_each(self) -> None:
        y = np.stack([np.repeat(np.arange(1.0, 11), 40), np.ones(400)], axis=1).astype(np.float32)
        at_risk = np.arange(400, 0, -40)
        np.testing.assert_allclose(expit(Hazards.fit(y).target.base), 41 / (at_risk + 2), rtol=1e-9)


def test_hazards_that_were_stored_as_edges_alone_are_constant_and_not_shifted() -> None:
    outcome = stored_outcome(survival([[1, 1]]), {"edges": torch.tensor([0.0, 2.0], dtype=torch.float64)})
    np.testing.assert_allclose(outcome.own(np.array([[0.36]]), [1, 2]), [[0.8, 0.64]])


def test_stored_numbers_make_the_same_outcome() -> None:
    y = np.array([[1, 1], [2, 0], [5, 1]], np.float32)
    for task in (survival(y), Task("los", "regression", ("a", "b"), y)):
        outcome = fit_outcome(task, y)
        again = stored_outcome(task, outcome.tensors())
        assert again.target == outcome.target
        np.testing.assert_array_equal(again.learnt(y), outcome.learnt(y))


def test_times_of_evaluation_are_quantiles_of_the_events_with_six_digits() -> None:
    y = np.stack([np.arange(1, 2101) / 7, np.arange(2100) % 2], axis=1).astype(np.float32)
    times = evaluation_times(survival(y), y)
    assert len(times) == 20
    assert times == tuple(sorted(float(f"{time:.6g}") for time in times))
    assert times[0] == pytest.approx(100 / 7, abs=0.3)
    assert evaluation_times(stay([1, 2]), np.ones((2, 1), np.float32)) == ()


def test_a_methods_hazards_are_judged_as_curves_over_intervals() -> None:
    y = np.array([[0, 1, NAN], [0, NAN, NAN], [NAN, NAN, NAN]])
    lived, curves = judged(Target("survival", 3), y, np.full((3, 3), 0.5))
    np.testing.assert_array_equal(lived, [[2, 1], [1, 0], [NAN, NAN]])
    np.testing.assert_array_equal(curves.times, [1, 2, 3])
    np.testing.assert_array_equal(curves[:1].survival, [[0.5, 0.25, 0.125]])


def test_with_one_interval_and_no_censoring_hazards_are_a_binary_task_to_the_last_digit() -> None:
    """Who has the event by the horizon is the label of both; survival at the horizon is what is left of it."""
    inputs = signal(200)
    early = inputs.y[:, 0] == 1
    y = torch.stack([torch.where(early, 2.0, 9.0), torch.ones(200)], dim=1).numpy()
    grid = Hazards.of_edges(np.array([0.0, 5.0]))
    learnt = torch.from_numpy(grid.learnt(y))
    assert torch.equal(learnt, inputs.y)
    said = []
    for target in (Target("binary"), grid.target):
        torch.manual_seed(0)
        method = Concat(spec_of(target))
        fit(method, inputs, Parts(torch.arange(150), torch.arange(0)), FitConfig(epochs=3), seed=0)
        said.append(predict(method, inputs, torch.arange(150, 200)).probability)
    assert torch.equal(*said)
    np.testing.assert_allclose(1 - grid.own(said[1].numpy(), [5.0]), said[0].numpy(), atol=1e-6)


def test_omnifuse_has_the_same_equations_for_hazards_as_for_labels() -> None:
    """To the last digit where all intervals are known; else only the mean over them differs, see the next test."""
    labels, hazards = Target("multilabel", 3), Target("survival", 3)
    batch = whole(noise(40, hazards))
    batch = replace(batch, y=batch.y.nan_to_num())
    (one, there), (other, here) = (step(model(target, tuple(COLUMNS)), batch) for target in (labels, hazards))
    assert all(torch.equal(one[term], other[term]) for term in one)
    assert all(torch.equal(there[name], here[name]) for name in there)


def test_the_loss_of_hazards_is_lowest_at_the_shares_of_those_at_risk() -> None:
    """Of four one has the event in the first interval, of the three others one in the second: 1/4 and 1/3."""
    y = torch.tensor([[1, NAN], [0, 1], [0, 0], [0, 0]])
    logits = torch.logit(torch.tensor([1 / 4, 1 / 3])).requires_grad_()
    Target("survival", 2).loss(logits.expand(4, 2), y).backward()
    assert logits.grad is not None and logits.grad.abs().max() < 1e-6
