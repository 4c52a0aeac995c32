"""The common part of the language against ACES itself, whose answers `benchmarks/aces_answers.py` wrote down.

ACES needs another polars, so that it cannot be installed beside us. It gives rows without a trigger where a window
finds no end; those are no samples.
"""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from omnifuse.pipeline.sources.mimic.tasks.execute import execute
from omnifuse.pipeline.sources.mimic.tasks.language import ANCHORS
from omnifuse.pipeline.sources.mimic.tasks.parsing import parse_task

GIVEN: dict[str, Any] = json.loads((Path(__file__).parents[3] / "data" / "aces.json").read_text())


def events() -> dict[str, pl.DataFrame]:
    schema = {"subject": pl.Int64, "time": pl.Int64}
    happened = {
        name: [(row[0], row[1]) for row in GIVEN["rows"] for _ in range(row[2 + place])]
        for place, name in enumerate(GIVEN["predicates"])
    }
    happened["_ANY_EVENT"] = [(row[0], row[1]) for row in GIVEN["rows"]]
    return {name: pl.DataFrame(rows, schema=schema, orient="row") for name, rows in happened.items()}


@pytest.mark.parametrize("name", GIVEN["tasks"])
def test_samples_and_labels_are_those_of_aces(name: str) -> None:
    task = GIVEN["tasks"][name]
    predicates = {one: {"concept": one} for one in GIVEN["predicates"]} | task.get("predicates", {})
    subjects = sorted({row[0] for row in GIVEN["rows"]})
    schema = {
        "subject": pl.Int64,
        **dict.fromkeys(ANCHORS, pl.Int64),
        "death_by_day": pl.Boolean,
        "left_hospital": pl.Boolean,
    }
    units = pl.DataFrame(
        [{"subject": subject, "death_by_day": False, "left_hospital": False} for subject in subjects], schema=schema
    )
    content = {"name": "t", "unit": "subject", **task, "predicates": predicates}
    outcome = execute(parse_task(content, f"{name}.yaml"), units, events())
    found = zip(outcome.unit, outcome.index, outcome.y[:, 0], strict=True)
    answers = [[subjects[unit], int(index), int(label > 0)] for unit, index, label in found]
    assert sorted(answers) == GIVEN["answers"][name]
    assert 0 < sum(label for _, _, label in answers) < len(answers)
