"""The page on the methods knows all of them, and names nothing else."""

import re
from pathlib import Path

import pytest
from omnifuse.fusion import methods
from omnifuse.fusion.config import make_config

PAGE = (Path(__file__).parents[2] / "docs" / "methods.md").read_text(encoding="utf-8")
README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", methods.names())
def test_every_method_is_there(name: str) -> None:
    assert re.search(rf"`{name}( --preset [\w-]+)?`", PAGE)


def test_rows_name_methods_and_presets_that_exist() -> None:
    for row in re.findall(r"^\| `(.*)", PAGE, re.MULTILINE):
        name = row.split("`")[0].split()[0]
        for preset in re.findall(r"--preset ([\w-]+)", row) or ["default"]:
            make_config("stacking" if preset == "best" else name, preset)


def test_the_readme_counts_them() -> None:
    assert f"lists {len(methods.names())} methods" in README
