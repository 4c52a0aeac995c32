"""A study before it is run, and what failed in it, for a person and for a machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...progress import duration
from .expected import expected_seconds
from .run import Plan


def plan_content(plan: Plan, workers: int) -> dict[str, Any]:
    """Return how much there is to do, and how long that may take."""
    return {
        "study": str(plan.folder),
        "grid": plan.grid.name,
        "task": plan.scope.task,
        "modalities": list(plan.scope.modalities),
        "cells": len(plan.cells),
        "finished": len(plan.cells) - len(plan.open),
        "trainings": plan.trainings,
        "expected_seconds": round(expected_seconds(plan, workers)),
        **({} if plan.beside is None else {"reproduction": plan.beside.to_json()}),
    }


def plan_text(content: Mapping[str, Any]) -> str:
    """Return the same in a few lines."""
    lines = [
        f"Study {content['grid']}: {content['task']} from {', '.join(content['modalities'])}.",
        f"{content['cells']} cells, {content['finished']} of them finished; {content['trainings']} trainings to do.",
    ]
    if content["trainings"]:
        lines.append(f"About {duration(content['expected_seconds'])} on this machine, as busy as it is now.")
    return "\n".join(lines)


def failures_text(failed: Mapping[str, str]) -> str:
    """Return a line for every cell that failed."""
    return "".join(f"Failed: {cell}: {message}\n" for cell, message in failed.items())
