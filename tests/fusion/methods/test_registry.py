"""Methods by name: each class of the folder under the name that it sets, and those of packages from elsewhere."""

import logging
from dataclasses import dataclass

import pytest
from omnifuse.cache_schema import InputError
from omnifuse.fusion import methods
from omnifuse.fusion.methods import METHODS, flaw
from omnifuse.fusion.methods.base import Method
from omnifuse.fusion.methods.concat import Concat
from omnifuse.fusion.methods.index import index

MEAN = '''
"""Another mean of embeddings."""

from omnifuse.fusion.methods.sum import Sum


class Mean(Sum):
    name = "mean"
    family = "of elsewhere"
    source = "nobody"
'''


@pytest.mark.parametrize("name", METHODS.names())
def test_a_method_is_found_under_the_name_that_its_class_sets(name: str) -> None:
    assert METHODS.get(name).name == name


@pytest.mark.parametrize("name", METHODS.names())
def test_ours_keep_the_contract_of_those_from_elsewhere(name: str) -> None:
    assert flaw(METHODS.get(name)) is None


def test_no_two_classes_have_one_name() -> None:
    assert len(methods.found()) == len(METHODS.own)


def test_a_method_of_a_package_is_listed_under_its_family(install) -> None:
    install("acme", "[omnifuse.methods]\nmean = acme:Mean", MEAN)
    assert index()[-1] == ("mean", "of elsewhere", "Another mean of embeddings.")
    assert str(METHODS.package("mean")) == "acme 1.2"


def test_one_that_fails_to_import_is_named_in_a_line_and_the_others_are_listed(
    install, caplog: pytest.LogCaptureFixture
) -> None:
    before = index()
    install("broken", "[omnifuse.methods]\nsick = broken:Sick\nwell = broken:Concat", "import nowhere")
    with caplog.at_level(logging.WARNING):
        assert index() == before
    assert [record.getMessage() for record in caplog.records] == [
        f"The method {name!r} of the package broken 1.2 cannot be used: "
        "it fails to import: ModuleNotFoundError: No module named 'nowhere'."
        for name in ("sick", "well")
    ]


class Complete(Concat):
    name = "complete"


@dataclass(frozen=True)
class Asking:
    width: int


@dataclass
class Mutable:
    width: int = 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"source": None}, "it does not set 'source' to a text"),
        ({"predict": Method.predict}, "it does not define 'predict'"),
        ({"by_gradient": False}, "it does not define 'fit'"),
        ({"presets": {}}, "it has no preset 'default'"),
        ({"Options": Asking}, "its option 'width' has no default"),
        ({"Options": Mutable}, "its Options are no frozen dataclass"),
    ],
)
def test_what_a_class_lacks_is_said(changes: dict, said: str | None) -> None:
    assert flaw(type("Changed", (Complete,), changes)) == said


def test_what_is_no_method_cannot_be_registered() -> None:
    with pytest.raises(InputError, match=r"'mean' cannot be used: it is no subclass of .*methods\.base\.Method"):
        METHODS.register("mean", dict)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"Unknown method 'concta'\. Did you mean 'concat'\? Known are: prior, "):
        METHODS.get("concta")
