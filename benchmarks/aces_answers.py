"""What ACES itself makes of the tasks in ``tests/data/aces.json``: writes its answers there.

    python benchmarks/aces_answers.py tests/data/aces.json

in an environment of its own with ``es-aces`` (Xu et al. 2024, arXiv 2406.19653), which needs another polars than we do.
Rows are a subject, seconds, and 0 or 1 for each predicate; an answer is a subject, the seconds of a trigger, and
whether the label is above 0.
"""

import json
import sys
import tempfile
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

BEGIN = datetime(2020, 1, 1)


def answers(given: dict[str, Any], name: str) -> list[list[int]]:
    """Return the samples of one task."""
    from aces.config import TaskExtractorConfig
    from aces.query import query

    names, task = given["predicates"], given["tasks"][name]
    predicates = {one: {"code": one} for one in names} | task.get("predicates", {})
    config = {**task, "predicates": predicates}
    table = _table(given)
    for derived, definition in task.get("predicates", {}).items():
        operator, _, arguments = definition["expr"].rstrip(")").partition("(")
        happened = [pl.col(one.strip()) > 0 for one in arguments.split(",")]
        all_or_any = pl.any_horizontal(happened) if operator == "or" else pl.all_horizontal(happened)
        table = table.with_columns(all_or_any.cast(pl.Int64).alias(derived))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "task.yaml"
        path.write_text(json.dumps(config))
        found = query(TaskExtractorConfig.load(path), table)
    found = found.drop_nulls("trigger").select("subject_id", "trigger", "label")
    return sorted(
        [subject, round((time - BEGIN).total_seconds()), int(label > 0)] for subject, time, label in found.rows()
    )


def _table(given: dict[str, Any]) -> pl.DataFrame:
    rows = [(subject, BEGIN + timedelta(seconds=second), *counts) for subject, second, *counts in given["rows"]]
    table = pl.DataFrame(rows, ["subject_id", "timestamp", *given["predicates"]], orient="row")
    time = pl.col("timestamp").cast(pl.Datetime("us"))
    return table.sort("subject_id", "timestamp").with_columns(
        time,
        _ANY_EVENT=pl.lit(1, pl.Int64),
        _RECORD_START=(time == time.min().over("subject_id")).cast(pl.Int64),
        _RECORD_END=(time == time.max().over("subject_id")).cast(pl.Int64),
    )


if __name__ == "__main__":
    file = Path(sys.argv[1])
    content = json.loads(file.read_text())
    content["version"] = f"es-aces {version('es-aces')}"
    content["answers"] = {name: answers(content, name) for name in content["tasks"]}
    file.write_text(json.dumps(content) + "\n")
