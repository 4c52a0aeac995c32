"""The page on the method names things that exist, and leaves no open question out."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from omnifuse.fusion.methods.omnifuse.method import OmniFuse
from omnifuse.fusion.training.config import make_config

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")


def test_all_questions_are_answered() -> None:
    rows = re.findall(r"^\| A(\d+) \|", PAGE, re.MULTILINE)
    assert rows == [str(number) for number in range(1, 32)]


@pytest.mark.parametrize(("symbol", "path"), re.findall(r"\[`([\w.]+)`\]\(\.\./([\w/]+\.py)\)", PAGE))
def test_code_that_is_linked_by_name_is_there(symbol: str, path: str) -> None:
    code = (ROOT / path).read_text(encoding="utf-8")
    for name in symbol.split("."):
        assert re.search(rf"(class|def) {name}\b", code), f"{path} has no {name}"


def test_all_choices_of_options_are_explained() -> None:
    for option in fields(OmniFuse.Options):
        assert f"`{option.name}" in PAGE or f"options.{option.name}" in PAGE, option.name


@pytest.mark.parametrize("setting", sorted(set(re.findall(r"--set (options\.\w+=[\w.+]+)", PAGE))))
def test_settings_that_are_shown_can_be_set(setting: str) -> None:
    make_config("omnifuse", overrides=[setting])


@pytest.mark.parametrize("preset", list(OmniFuse.presets))
def test_presets_are_named(preset: str) -> None:
    assert preset in PAGE or preset.startswith("table4-")
