"""What the documents show works as written."""

import re
import runpy
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def python_blocks(document: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(encoding="utf-8"), re.DOTALL)


def run_blocks(blocks: Iterable[str]) -> None:
    """Run each as a script of its own."""
    for block in blocks:
        exec(compile(block, "block", "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("document", ["README.md", "docs/cache-format.md"])
def test_every_example_runs_on_a_cache(
    synthetic_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: str
) -> None:
    (tmp_path / "cache").symlink_to(synthetic_cache)
    monkeypatch.chdir(tmp_path)
    blocks = python_blocks(document)
    assert blocks
    run_blocks(blocks)


def test_the_page_on_the_library_is_what_the_docstrings_say() -> None:
    written = runpy.run_path(str(ROOT / "docs/library_page.py"))
    assert (ROOT / "docs/library.md").read_text(encoding="utf-8") == written["page"]()


def test_the_first_steps_of_the_library_work(
    synthetic_raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, estimators = (block for block in python_blocks("docs/library.md") if "import" in block)
    small = start.replace(
        '"mimic", "data/mimic", "cache"', f'"synthetic", {str(synthetic_raw)!r}, "cache", modalities=["ehr"]'
    )
    assert small != start
    (tmp_path / "other-cache").symlink_to(tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    run_blocks([small.replace("20}", "2}").replace("folds=5", "folds=2"), estimators])


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        *(
            f"docs/{name}.md"
            for name in (
                "architecture",
                "cache-format",
                "data-sets",
                "library",
                "method",
                "mimic",
                "performance",
                "records",
                "results",
                "study",
                "tasks",
                "variables",
            )
        ),
    ],
)
def test_links_inside_the_project_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in target]
    folder = (ROOT / document).parent
    assert [target for target in targets if not (folder / target).exists()] == []


def test_the_page_on_studies_names_every_kind_and_preset_and_its_grid_can_be_read(tmp_path: Path) -> None:
    from omnifuse.fusion.study.grid import read_grid
    from omnifuse.fusion.study.kinds import KINDS
    from omnifuse.fusion.study.presets import preset_names

    text = (ROOT / "docs/study.md").read_text(encoding="utf-8")
    shared = {"title", "seeds", "settings"}
    for name, kind in KINDS.items():
        (row,) = re.findall(rf"^\| `{name}` \|.*\| (.*) \|$", text, re.MULTILINE)
        assert set(re.findall(r"`(\w+)`", row)) == {field.name for field in fields(kind)} - shared
    assert all(f"| `{name}` |" in text for name in preset_names())
    (grid,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "mine.yaml").write_text(grid)
    assert [experiment.kind for experiment in read_grid(tmp_path / "mine.yaml").experiments] == ["methods", "missing"]
