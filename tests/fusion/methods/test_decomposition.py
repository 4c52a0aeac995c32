"""Joint and individual variation: planted subspaces, and the random matrices behind the bounds."""

from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from omnifuse.fusion.methods.decomposition import (
    Decomposition,
    Signal,
    decompose,
    gram_matrix,
    noise_size,
    random_bound,
    signal_of,
    wedin_bound,
)

Array = npt.NDArray[np.float64]
SAMPLES, WIDTHS, OWN = 200, (20, 15, 30), (2, 3, 2)


def frame(rows: int, columns: int, rng: np.random.Generator) -> Array:
    return np.linalg.qr(rng.standard_normal((rows, columns)))[0]


@cache
def planted(joint: int = 2) -> tuple[list[Array], Array, list[Array]]:
    """Views of joint and individual scores, all orthonormal, with singular values of 40 to 60 and noise of up to 20.

    Returns views, joint scores, axes of what is individual.
    """
    rng = np.random.default_rng(0)
    scores = np.split(frame(SAMPLES, joint + sum(OWN), rng), np.cumsum((joint, *OWN))[:-1], axis=1)
    views, axes = [], []
    for own, width in zip(scores[1:], WIDTHS, strict=True):
        both = np.concatenate([scores[0], own], axis=1)
        loadings = frame(width, both.shape[1], rng).T
        noise = rng.standard_normal((SAMPLES, width))
        views.append(both * np.linspace(60, 40, both.shape[1]) @ loadings + noise)
        axes.append(loadings[joint:].T)
    return views, scores[0], axes


@cache
def decomposed() -> Decomposition:
    return decompose(planted()[0], 0.6, 200, 0)


def agreement(first: Array, second: Array) -> float:
    """Smallest cosine between two subspaces of orthonormal columns."""
    return float(np.linalg.svd(first.T @ second, compute_uv=False).min())


def test_the_joint_scores_are_found() -> None:
    joint = decomposed().joint
    assert joint.shape == (SAMPLES, 2)
    assert agreement(joint, planted()[1]) > 0.97
    np.testing.assert_allclose(joint.T @ joint, np.eye(2), atol=1e-9)


def test_what_is_individual_is_found() -> None:
    for found, axes in zip(decomposed().individual, planted()[2], strict=True):
        found = found[:, : axes.shape[1]]
        assert agreement(found, axes) > 0.85


def test_nothing_joint_is_found_where_nothing_is() -> None:
    assert decompose(planted(joint=0)[0], 0.6, 200, 0).joint.shape == (SAMPLES, 0)


def test_the_joint_rank_is_that_above_both_bounds() -> None:
    found = decomposed()
    assert (found.squared > max(found.wedin_bound, found.random_bound)).sum() == 2
    assert 1 < found.random_bound < 2 < found.squared[1] < 3


def test_what_is_joint_but_noise_in_one_view_is_dropped() -> None:
    views, joint, _ = planted()
    without = views[2] - joint[:, 1:] @ (joint[:, 1:].T @ views[2])
    found = decompose([*views[:2], without], 0.6, 200, 0)
    assert found.joint.shape[1] == 1
    assert agreement(found.joint, joint[:, :1]) > 0.97


def test_the_same_seed_draws_the_same_bounds() -> None:
    again = decompose(planted()[0], 0.6, 200, 0)
    assert (again.wedin_bound, again.random_bound) == (decomposed().wedin_bound, decomposed().random_bound)


@pytest.mark.parametrize(("share", "rank"), [(0.5, 1), (0.81, 2), (0.99, 3), (1.0, 3)])
def test_the_signal_is_the_smallest_rank_with_its_share_of_variance(share: float, rank: int) -> None:
    view = np.diag([6.0, 4.0, 3.0])  # 36, 52, 61 of 61
    signal = signal_of(view, share)
    assert len(signal.values) == rank
    assert signal.threshold == {1: 5.0, 2: 3.5, 3: 1.5}[rank]


def test_a_view_of_zeros_has_no_signal() -> None:
    found = decompose([np.zeros((20, 3)), np.random.default_rng(0).standard_normal((20, 4))], 0.9, 10, 0)
    assert found.joint.shape[1] == 0
    assert found.individual[0].shape == (3, 0)
    assert found.individual[1].shape[1] > 0


@pytest.mark.parametrize(("rows", "columns"), [(30, 4), (3, 4)])
def test_gram_matrices_have_the_moments_of_drawn_rows(rows: int, columns: int) -> None:
    rng = np.random.default_rng(0)
    grams = np.array([gram_matrix(rows, columns, rng) for _ in range(4000)])
    np.testing.assert_allclose(grams.mean(0), rows * np.eye(columns), atol=0.05 * rows)
    np.testing.assert_allclose(grams[:, 0, 0].var(), 2 * rows, rtol=0.15)
    np.testing.assert_allclose(grams[:, 0, 1].var(), rows, rtol=0.15)


def test_noise_along_random_directions_is_as_large_as_if_the_directions_were_drawn() -> None:
    rng = np.random.default_rng(0)
    values, space, rank = np.array([5.0, 3.0, 1.0]), 10, 2
    drawn = [np.linalg.norm(values[:, None] * frame(space, rank, rng)[:3], 2) for _ in range(2000)]
    sizes = [noise_size(values, space, rank, rng) for _ in range(2000)]
    np.testing.assert_allclose(np.percentile(sizes, [10, 50, 90]), np.percentile(drawn, [10, 50, 90]), rtol=0.05)


def signal(rank: int, rest: list[float]) -> Signal:
    return Signal(np.zeros((50, rank)), np.full(rank, 10.0), np.array(rest), 50, rank + len(rest))


def test_the_random_bound_is_that_of_drawn_subspaces() -> None:
    rng = np.random.default_rng(0)
    drawn = [np.linalg.norm(np.hstack([frame(50, 3, rng), frame(50, 4, rng)]), 2) ** 2 for _ in range(2000)]
    bound = random_bound([signal(3, []), signal(4, [])], 2000, rng)
    assert bound == pytest.approx(np.percentile(drawn, 95), rel=0.02)


@pytest.mark.parametrize(("rest", "bound"), [([], 2.0), ([100.0] * 5, 0.0)])
def test_without_noise_only_equal_directions_are_joint_and_with_much_all_are(rest: list[float], bound: float) -> None:
    assert wedin_bound([signal(2, rest), signal(2, rest)], 50, np.random.default_rng(0)) == bound
