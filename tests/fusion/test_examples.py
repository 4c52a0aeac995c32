"""Every example runs on a small cache and prints what it found."""

import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
PRINTED = {
    "dask_statistics.py": r"rows in \d+ chunks: 10 directions hold 100.0%",  # the toy has 6 columns
    "estimators.py": r"as one table: AUROC 0\.[6-9]\d+ in 3 folds\nall rows .* 20 samples held out",
    "first_steps.py": r"60 stays, omnifuse: AUROC [01]\.\d+, 95 % interval \(.*\)\n(.|\n)*out-of-fold",
    "gradient_boosting.py": r"60 samples, 4 columns: AUROC 0\.[5-9]",
    "lightning_model.py": r"validation log loss 0\.\d+",
    "plain_pytorch.py": r"12 samples held out: AUROC [01]\.\d",
    "scikit_learn.py": r"60 samples, 12 columns: AUROC 0\.[6-9]",
}


@pytest.mark.filterwarnings("ignore")  # Lightning's own, which differ from version to version
@pytest.mark.parametrize("example", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_an_example_does_what_it_says(
    example: str,
    toy_cache: Callable[..., Path],
    synthetic_raw: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if example == "lightning_model.py":
        pytest.importorskip("lightning")
    if example == "first_steps.py":
        options = ["--dataset", "synthetic", "--raw", str(synthetic_raw), "--encoders", "random"]
    else:
        options = ["--cache", str(toy_cache(tmp_path / "cache"))]
        options += [] if example == "dask_statistics.py" else ["--task", "outcome"]
    monkeypatch.setattr(sys, "argv", [example, *options])
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES / example), run_name="__main__")
    assert re.search(PRINTED[example], capsys.readouterr().out)
