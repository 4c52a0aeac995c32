"""The page on the methods knows all of them, and names nothing else."""

import re
from pathlib import Path

import pytest
from omnifuse.fusion.methods import METHODS
from omnifuse.fusion.methods.concat import Concat
from omnifuse.fusion.methods.ogm_ge import OGMGE
from omnifuse.fusion.runs.describe import describe_methods
from omnifuse.fusion.training.config import make_config
from torch import nn

from tests.fusion.vectors import spec_of

PAGE = (Path(__file__).parents[3] / "docs" / "methods.md").read_text(encoding="utf-8")
README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", METHODS.names())
def test_every_method_is_there(name: str) -> None:
    assert re.search(rf"`{name}( --preset [\w-]+)?`", PAGE)


def test_rows_name_methods_and_presets_that_exist() -> None:
    for row in re.findall(r"^\| `(.*)", PAGE, re.MULTILINE):
        name = row.split("`")[0].split()[0]
        for preset in re.findall(r"--preset ([\w-]+)", row) or ["default"]:
            make_config("stacking" if preset == "best" else name, preset)


def test_it_says_which_methods_are_trained_for_more_epochs_than_the_others() -> None:
    longer = set()
    for name in METHODS.names():
        method = METHODS.get(name)
        if method.by_gradient and sum(phase.share for phase in method(spec_of()).phases()) > 1:
            longer.add(name)
    (said,) = re.findall(r"^- \*\*Epochs\.\*\* (.*) train for twice `fit.epochs`", PAGE, re.MULTILINE)
    assert set(re.findall(r"`([\w-]+)`", said)) == longer
    assert all("as many epochs again" in describe_methods([name])[0]["summary"] for name in longer)


def test_it_says_whose_head_on_concatenated_embeddings_is_not_that_of_concat() -> None:
    """Same fusion, other head: what such a method gains over `concat` may be the head."""
    assert isinstance(OGMGE(spec_of()).head, nn.Linear) and isinstance(Concat(spec_of()).head, nn.Sequential)
    (row,) = re.findall(r"^\| `ogm-ge` \| (.*)$", PAGE, re.MULTILINE)
    assert row.startswith("concatenation under a linear head")
    assert "linear head" in describe_methods(["ogm-ge"])[0]["summary"]


def test_the_readme_counts_them() -> None:
    assert f"lists {len(METHODS.names())} methods" in README
