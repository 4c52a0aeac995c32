"""The page on adding a method shows a package that works."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods import METHODS
from omnifuse.fusion.methods.base import Method
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.methods.index import index
from omnifuse.fusion.training.config import make_config
from omnifuse.fusion.training.loop import Parts, fit, predict
from omnifuse.testing.vectors import signal, spec_of
from sklearn.metrics import roc_auc_score

PAGE = (Path(__file__).parents[1] / "docs" / "add-a-method.md").read_text(encoding="utf-8")
CODE, TEST = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
ENTRY = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0]


@pytest.fixture
def attention(install: Callable[[str, str, str], None], monkeypatch: pytest.MonkeyPatch) -> type[Method]:
    """The class that the page shows, from an installed package."""
    group, line = (text.replace("project.entry-points.", "").replace('"', "") for text in ENTRY.splitlines())
    monkeypatch.delitem(sys.modules, "my_fusion", raising=False)
    install("my_fusion", f"{group}\n{line}", CODE)
    return METHODS.get("attention")


def test_it_is_as_short_as_promised() -> None:
    assert len(CODE.splitlines()) < 60


def test_it_is_listed_and_chosen_by_name(attention: type[Method]) -> None:
    assert "attention" in [entry.name for entry in index() if entry.family == "joint head"]
    config = make_config("attention", overrides=["options.temperature=2"])
    assert config.method_class is attention and config.options.temperature == 2


def test_it_keeps_what_the_page_says_it_keeps(attention: type[Method]) -> None:
    place = {"Attention": attention}
    exec(compile(TEST, "add-a-method.md", "exec"), place)
    place["test_attention_is_a_method"]()


def test_it_learns_and_predicts_whatever_is_missing(attention: type[Method]) -> None:
    inputs = signal(600)
    torch.manual_seed(0)
    method = attention(spec_of())
    config = FitConfig(epochs=20, batch_size=64, learning_rate=1e-2)
    fit(method, inputs, Parts(torch.arange(400), torch.arange(0)), config, seed=0)
    test = torch.arange(400, 600)
    assert roc_auc_score(inputs.y[test, 0], predict(method, inputs, test).probability[:, 0]) > 0.7
    assert predict(method, inputs.without(("cxr", "rep")), test).probability.isfinite().all()


def test_it_refuses_a_wrong_option(attention: type[Method]) -> None:
    with pytest.raises(InputError, match=r"temperature must be positive; got 0\.0"):
        attention.Options(temperature=0.0)
