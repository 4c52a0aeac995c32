"""The page on adding a method shows one that works."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods.base import Method
from omnifuse.fusion.methods.fitting import FitConfig
from omnifuse.fusion.training.loop import Parts, fit, predict
from sklearn.metrics import roc_auc_score

from tests.fusion.vectors import signal, spec_of

PAGE = (Path(__file__).parents[1] / "docs" / "add-a-method.md").read_text(encoding="utf-8")


@pytest.fixture
def attention(monkeypatch: pytest.MonkeyPatch) -> type[Method]:
    """The class that the page shows, as if it lay beside the other methods."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    module = ModuleType("omnifuse.fusion.methods.attention")
    module.__package__ = "omnifuse.fusion.methods"
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, "add-a-method.md", "exec"), vars(module))
    return module.Attention


def test_it_is_as_short_as_promised() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(code.splitlines()) < 60


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
