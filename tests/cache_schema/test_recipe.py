"""Keys: equal content has equal digests, and a difference names what differs."""

import pytest
from omnifuse.cache_schema import canonical_json, difference, digest

OLD = {"encoder": "bert", "bin_hours": 2.0, "variables": ["HR", "pH"], "inner": {"version": 1}}


def test_order_of_keys_does_not_matter() -> None:
    assert digest(OLD) == digest(dict(reversed(OLD.items())))
    assert canonical_json({"b": 1, "a": [1.5, None, "é"]}) == '{"a":[1.5,null,"é"],"b":1}'


def test_unknown_types_are_refused_instead_of_stringified() -> None:
    with pytest.raises(TypeError):
        canonical_json({"path": object()})
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


def test_difference_names_each_leaf() -> None:
    new = {"encoder": "bert", "bin_hours": 1.0, "variables": ["HR", "SpO2"], "inner": {"version": 2}, "limit": 5}
    assert difference(OLD, new) == [
        "bin_hours: 2.0 -> 1.0",
        "inner.version: 1 -> 2",
        "limit: (absent) -> 5",
        'variables: without ["pH"], with ["SpO2"]',
    ]
    assert difference(OLD, OLD) == []
    assert difference([1, 2], [2, 1]) == ["value: same values in another order"]
