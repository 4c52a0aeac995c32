"""Settings of any kind: what a text or a JSON value may set, and what it may not."""

from dataclasses import asdict, dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.cache_schema import InputError
from omnifuse.fusion.settings import as_text, build, leaves, overridden, setting_types


@dataclass(frozen=True)
class Oven:
    degrees: float = 180.0
    rack: Literal["top", "middle"] = "middle"
    name: str = "old"


@dataclass(frozen=True)
class Cake:
    name: str = "plain"
    eggs: int = 3
    fruit: tuple[str, ...] = ()
    rest: float | None = None
    glazed: bool = False
    oven: Oven = field(default_factory=Oven)
    baker: type = field(default=object, compare=False)


def test_a_text_sets_one_value_and_leaves_the_rest() -> None:
    cake = overridden(Cake(), ["oven.rack=top", "fruit=plum,pear", " eggs = 4 ", "rest=none", "glazed=yes"])
    assert cake == Cake(eggs=4, fruit=("plum", "pear"), glazed=True, oven=Oven(rack="top"))


def test_what_is_fixed_is_fixed_by_its_whole_name() -> None:
    assert overridden(Cake(), ["oven.name=new"], fixed=("name",)).oven.name == "new"
    with pytest.raises(InputError, match=r"Unknown setting 'name'\. .*Known are: eggs, fruit, rest, glazed, oven"):
        overridden(Cake(), ["name=rich"], fixed=("name",))


def test_what_is_not_compared_is_no_setting() -> None:
    assert "baker" not in setting_types(Cake)
    with pytest.raises(InputError, match="Unknown setting 'baker'"):
        overridden(Cake(), ["baker=int"])
    with pytest.raises(InputError, match="Unknown setting 'baker'"):
        build(Cake, {"baker": "int"}, "")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("oven.degree=3", r"Did you mean 'oven\.degrees'\? Known are: oven\.degrees, oven\.rack"),
        ("oven=3", r"'oven' is a group; set one of: oven\.degrees, oven\.rack"),
        ("eggs.white=3", "'eggs' has no parts"),
        ("eggs", "write key=value"),
        ("eggs=2.5", "expected int"),
        ("oven.rack=low", "expected one of: top, middle"),
        ("oven.degrees=nan", "expected float"),
    ],
)
def test_a_wrong_text_is_answered_by_what_is_right(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        overridden(Cake(), [override])


@given(
    st.builds(
        Cake,
        eggs=st.integers(),
        fruit=st.lists(st.sampled_from(["plum", "pear"]), min_size=1).map(tuple),
        rest=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        glazed=st.booleans(),
        oven=st.builds(Oven, degrees=st.floats(allow_nan=False, allow_infinity=False)),
    )
)
def test_settings_come_back_from_their_texts_and_from_their_values(cake: Cake) -> None:
    values = {name: value for name, value in asdict(cake).items() if name != "baker"}
    assert build(Cake, values, "") == cake
    assert overridden(Cake(), [f"{key}={as_text(value)}" for key, value in leaves(values)]) == cake
