"""The law through the points of a learning curve, where it is known."""

import numpy as np
import pytest
from omnifuse.fusion.scores.learning_law import extrapolated

SIZES = np.array([100.0, 200, 400, 800, 1600])
AT = np.array([1600.0, 3200, 6400])


@pytest.mark.parametrize("exponent", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_curve_that_follows_the_law_goes_on_by_it(exponent: float, sign: float) -> None:
    level, slope = 0.9, 2.0
    curve = level - sign * slope * SIZES**-exponent
    expected = level - sign * slope * AT**-exponent
    found = extrapolated(SIZES, curve, AT, higher_is_better=sign > 0)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_curves_are_fitted_each_for_itself() -> None:
    curves = np.stack([0.9 - SIZES**-0.5, 0.8 - 3 * SIZES**-1.0])  # [2, P]
    together = extrapolated(SIZES, curves, AT, higher_is_better=True)
    assert together.shape == (2, 3)
    for curve, found in zip(curves, together, strict=True):
        np.testing.assert_allclose(extrapolated(SIZES, curve, AT, higher_is_better=True), found)


def test_more_patients_make_nothing_worse() -> None:
    falling = np.array([0.8, 0.79, 0.78, 0.77, 0.76])
    np.testing.assert_allclose(extrapolated(SIZES, falling, AT, higher_is_better=True), falling.mean())
    rising = extrapolated(SIZES, falling, AT, higher_is_better=False)
    assert (np.diff(rising) < 0).all()


def test_a_curve_with_an_unknown_point_leads_nowhere() -> None:
    curve = np.array([0.7, np.nan, 0.75, 0.78, 0.8])
    assert np.isnan(extrapolated(SIZES, curve, AT, higher_is_better=True)).all()
