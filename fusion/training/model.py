"""One fitted model: a method with its normaliser and outcome, saved in a folder, and what it demands of a cache."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save

from ...cache_schema import FeatureCache, InputError, Task, difference
from ..files import write_file
from ..inputs.batches import Cohort, Inputs
from ..inputs.normalisation import Normaliser
from ..inputs.preparation import Prepared
from ..inputs.spec import InputSpec
from ..methods.base import Method, ModelSpec
from ..parts.targets import Target
from .config import TrainConfig, changed
from .members import Members
from .outcome import Outcome, stored_outcome

MODEL_FILE = "model.safetensors"
NORMALISER_FILE = "normaliser.safetensors"
OUTCOME_FILE = "outcome.safetensors"
"""Of models that predict quantities or times."""
OVERRIDES_FILE = "overrides.json"


def new_method(config: TrainConfig, target: Target, inputs: tuple[InputSpec, ...], seed: int) -> Method:
    """Return an untrained method whose initial weights depend on the seed alone."""
    spec = ModelSpec(inputs, target, config.encoder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        members = [config.method_class(spec, config.options) for _ in range(config.fit.members)]
    return (Members(members) if len(members) > 1 else members[0]).to(config.device)


@dataclass(frozen=True)
class Model:
    """A method, the normaliser that makes its inputs, and what its outcome is to it.

    ``overrides`` of the run's settings are those that a search chose.
    """

    method: Method
    normaliser: Normaliser
    outcome: Outcome
    overrides: tuple[str, ...] = ()

    def inputs(self, cohort: Cohort, prepared: Mapping[str, Prepared]) -> Inputs:
        """Return a cohort normalised for this model, labels as it learns them, on the model's device."""
        learnt = replace(cohort, y=self.outcome.learnt(cohort.y))
        return self.normaliser.apply(learnt, prepared, self.method.prior.device)

    def save(self, folder: Path) -> None:
        """Write the files of a model into an existing folder."""
        write_file(folder / MODEL_FILE, save(self.method.state_dict()))
        write_file(folder / NORMALISER_FILE, save(self.normaliser.tensors()))
        if tensors := self.outcome.tensors():
            write_file(folder / OUTCOME_FILE, save(tensors))
        if self.overrides:
            write_file(folder / OVERRIDES_FILE, f"{json.dumps(self.overrides)}\n".encode())

    @classmethod
    def load(cls, folder: Path, config: TrainConfig, task: Task, prepared: Mapping[str, Prepared]) -> Model:
        """Read a saved model back, to predict, strictly: every number has its place and every place its number.

        Raises
        ------
        InputError
            If the files do not fit the settings of the run.
        """
        chosen = folder / OVERRIDES_FILE
        overrides = tuple(json.loads(chosen.read_text(encoding="utf-8"))) if chosen.is_file() else ()
        normaliser = Normaliser.from_tensors(load_file(folder / NORMALISER_FILE), prepared)
        fitted = folder / OUTCOME_FILE
        outcome = stored_outcome(task, load_file(fitted) if fitted.is_file() else {})
        method = new_method(changed(config, overrides), outcome.target, normaliser.input_specs(prepared), seed=0)
        try:
            method.load_state_dict(load_file(folder / MODEL_FILE, device=config.device), strict=True)
        except RuntimeError as error:
            raise InputError(f"{folder / MODEL_FILE} does not fit the run's config.json: {error}") from error
        return cls(method.eval(), normaliser, outcome, overrides)


def demands(cache: FeatureCache, cohort: Cohort) -> dict[str, Any]:
    """Return what a model trained on this cohort demands of any cache: the task's view, recipes and columns."""
    task = cohort.task
    view = {"name": task.name, "kind": task.kind, "labels": list(task.labels), "window_hours": task.window_hours}
    history = {} if task.history_hours == 0 else {"history_hours": task.history_hours}
    unit = {"unit": task.unit} if task.unit else {}
    many = {"long": True} if task.long else {}
    select = {name: dict(rule) for name, rule in task.select.items()}
    return {
        "task": {**view, **history, **unit, **many, "select": select},
        "inputs": {name: modality_demand(cache, name) for name in cohort.modalities},
    }


def modality_demand(cache: FeatureCache, name: str) -> dict[str, Any]:
    """Return what the rows of a modality are and how they were made."""
    spec = cache.modality_spec(name)
    columns = [[column.name, column.unit, column.variable, column.role] for column in spec.columns]
    return {"kind": spec.kind, "columns": columns, "recipe": spec.recipe}


def check_inputs(cache: FeatureCache, inputs: Mapping[str, Any]) -> None:
    """Raise `InputError` naming every difference between what a model demands and what a cache has."""
    absent = [name for name in inputs if name not in cache.modalities]
    if absent:
        raise InputError(
            f"{cache.path} has no modality {', '.join(absent)}, which the model was trained on; "
            f"it has: {', '.join(cache.modalities) or 'none'}."
        )
    found = {name: modality_demand(cache, name) for name in inputs}
    lines = difference(dict(inputs), found)
    lines += [
        f"{name}: the model knows the levels {', '.join(levels)} of {column}; extract with `levels:{column}: "
        f"[{', '.join(levels)}]` in the YAML file of --columns, then others are listed and count as missing"
        for name, demanded in inputs.items()
        for column, levels in demanded["recipe"].get("levels", {}).items()
        if levels != found[name]["recipe"].get("levels", {}).get(column)
    ]
    if lines:
        raise InputError(
            "\n".join([f"{cache.path} was not made as the model demands (trained on -> this cache):", *lines])
        )


def task_view(cache: FeatureCache, view: Mapping[str, Any]) -> Task:
    """Return the trained task as seen on another cache: with its labels if the cache has them, else unknown ones.

    Raises
    ------
    InputError
        If the labels of the cache are in another unit; or if the task has several predictions a sample, and the cache
        does not say at which times.
    """
    width = 1 if view["kind"] in ("binary", "multiclass") else len(view["labels"])
    y, sample, time = np.full((cache.samples.height, width), np.nan, dtype=np.float32), None, None
    long, known = view.get("long", False), cache.task(view["name"]) if view["name"] in cache.tasks else None
    if known and (known.kind, list(known.labels), known.long) == (view["kind"], view["labels"], long):
        _refuse_other_unit(known, view)
        y, sample, time = known.y, known.sample, known.time
    elif long:
        raise InputError(
            f"{cache.path} has no task {view['name']!r} with the times of its predictions, at which the models are to "
            "be asked. Make the cache with this task."
        )
    return Task(
        view["name"], view["kind"], tuple(view["labels"]), y, view["window_hours"], view["select"],
        sample=sample, time=time, history_hours=view.get("history_hours", 0.0), unit=view.get("unit", ""),
    )  # fmt: skip


def _refuse_other_unit(known: Task, view: Mapping[str, Any]) -> None:
    """Raise `InputError` where the labels of a cache are in another unit than those of the training."""
    if known.unit != (unit := view.get("unit", "")):
        raise InputError(
            f"Task {known.name!r} of this cache is in {known.unit or 'no unit'}; the models were trained on "
            f"{unit or 'no unit'}. Extract it in the same unit, or under another name."
        )
