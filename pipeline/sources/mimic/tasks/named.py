"""The tasks that come with OmniFuse, and files of one's own: what ``--task`` names."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from .....cache_schema import InputError, MissingInputError, unknown
from .....yaml_file import load_yaml
from .language import TaskFile
from .parsing import parse_task

SUFFIXES = (".yaml", ".yml")
BENCHMARK = ("mortality", "phenotyping", "decompensation", "length_of_stay")
"""Names that the tasks of the ICU benchmark have."""


@dataclass(frozen=True)
class NamedTask:
    """A task, and the YAML values that it was read from: they are in the key of a cache."""

    task: TaskFile
    content: Any


def task_names() -> tuple[str, ...]:
    """Return the names of the tasks that come with OmniFuse."""
    names = (entry.name for entry in files(__package__).joinpath("resources").iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml")))


def read_tasks(given: Sequence[str]) -> tuple[NamedTask, ...]:
    """Return the tasks of files (what ends with .yaml) and of names.

    Raises
    ------
    InputError
        For a name that there is none of, a file that is no task, two tasks of one name, or one of the benchmark's.
    """
    tasks = tuple(_read(one) for one in given)
    sources: dict[str, str] = {}
    for one in tasks:
        name, source = one.task.name, one.task.source
        if name in BENCHMARK:
            raise InputError(f"{source}: name is {name!r}, which a task of the ICU benchmark has; choose another.")
        if name in sources:
            raise InputError(f"{source}: name is {name!r}, as in {sources[name]}; a cache has one task of a name.")
        sources[name] = source
    return tasks


def _read(given: str) -> NamedTask:
    path = Path(given)
    if path.suffix.lower() in SUFFIXES:
        if not path.is_file():
            raise MissingInputError(f"There is no file {path}; name a task, or its file, with --task.")
        return _from_file(path, str(path))
    if given not in task_names():
        raise InputError(f"{unknown('task', given, task_names())} A file of one's own ends with .yaml.")
    with as_file(files(__package__).joinpath("resources").joinpath(f"{given}.yaml")) as path:
        return _from_file(path, f"task {given}")


def _from_file(path: Path, source: str) -> NamedTask:
    content = load_yaml(path)
    return NamedTask(parse_task(content, source), content)
