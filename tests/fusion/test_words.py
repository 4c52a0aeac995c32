"""Numbers as a reader sees them."""

import pytest
from omnifuse.fusion.words import number


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1234, "0.123"), (-54123.4, "−54123.400"), (9.9e6, "9900000.000"), (1.2566e28, "1.26e+28"), (None, "–")],
)
def test_a_number_has_fixed_decimals_and_from_ten_millions_on_a_power_of_ten(value: float | None, text: str) -> None:
    assert number(value) == text
