"""The page on tasks: its example is a task, and it names all that come with us."""

import re
from pathlib import Path

from omnifuse.pipeline.sources.mimic.tasks.concept_events import TaskConcepts
from omnifuse.pipeline.sources.mimic.tasks.named import task_names
from omnifuse.pipeline.sources.mimic.tasks.parsing import read_task_file

PAGE = (Path(__file__).parents[4] / "docs" / "tasks.md").read_text(encoding="utf-8")


def test_its_example_is_a_task_of_both_releases(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0])
    task = read_task_file(tmp_path / "mine.yaml")
    assert all(len(TaskConcepts([task], version).concepts) == 1 for version in (3, 4))


def test_it_names_every_task() -> None:
    table = PAGE.partition("## The tasks that come with us")[2].partition("##")[0]
    assert set(re.findall(r"`([a-z]+_[a-z0-9_]+)`", table)) >= set(task_names())
