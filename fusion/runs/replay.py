"""The models of a finished run, asked again about the samples that they were tested on, with modalities hidden."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor

from ...cache_schema import FeatureCache, InputError, Task
from ...device import check_device
from ..inputs.batches import Cohort, Inputs
from ..inputs.loading import select
from ..inputs.missingness import draw_hidden
from ..inputs.preparation import prepare
from ..methods.base import Method
from ..scores.measures import evaluate_over_folds
from ..scores.survival import as_predicted
from ..training import loop as training
from ..training.folds import torch_threads
from ..training.model import Model
from ..training.outcome import Outcome
from .run import Run, load_run

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]
FoldNumbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FoldModel:
    """The model of a fold, the whole cohort normalised for it, and who it was tested on: ``tested`` [n] positions."""

    method: Method
    inputs: Inputs
    tested: Tensor
    outcome: Outcome


class Replay:
    """A run that predicts its own test samples again, each by the model of the fold that tested it.

    Labels choose nothing here: whoever compares what it predicts describes a finished run.

    Parameters
    ----------
    run : the finished training
    cohort : its N samples, as the training saw them
    fold : int [N], the fold that tested each sample; -1 for samples that none did
    """

    def __init__(self, run: Run, cohort: Cohort, fold: FoldNumbers) -> None:
        self.run, self.cohort, self.fold = run, cohort, fold
        self.presence: BoolArray = cohort.presence
        """[N, M]: which sample has which modality; what training hid from itself is gone."""
        self._prepared = prepare(cohort, run.config.encoder)
        self._models: dict[int, FoldModel] = {}

    @classmethod
    def open(
        cls,
        run_dir: str | Path,
        cache_path: str | Path | None = None,
        device: str | None = None,
        complete: bool = False,
    ) -> Replay:
        """Open a run folder and the cache that it was trained on, by default from where it was then.

        Modalities that were hidden in training as well (``missing.protocol=train-and-test``) are hidden again, unless
        the ``complete`` samples are asked for; those that were hidden in the test alone are not.

        Raises
        ------
        MissingInputError
            If the folder is not that of a finished run.
        InputError
            If the cache is not the one that the run was trained on.
        """
        run = load_run(run_dir, device)
        check_device(run.config.device)
        trained_on = run.metrics.cache
        cache = FeatureCache.open(trained_on.path if cache_path is None else cache_path)
        if cache.digest != trained_on.digest:
            raise InputError(
                f"{cache.path} has the digest {cache.digest}, but {run.path} was trained on {trained_on.path} with "
                f"the digest {trained_on.digest}. Give the cache of the run, or train again on this one."
            )
        config = run.config
        assert config.task is not None
        selection = select(cache, config.task, config.modalities)
        if config.missing.protocol == "train-and-test" and not complete:
            cohort = selection.cohort
            selection = selection.hiding(draw_hidden(config.missing, cohort.presence, cohort.modalities))
        cohort = selection.read()
        return cls(run, cohort, _tested_by(run, cohort))

    @property
    def samples(self) -> npt.NDArray[Any]:
        """[N] identifiers of the samples, in the order of every N axis."""
        return self.cohort.sample_id

    @property
    def subject_id(self) -> npt.NDArray[Any]:
        """[N] identifiers of the subjects."""
        return self.cohort.subject_id

    @property
    def y(self) -> FloatArray:
        """[N, C] labels as in `Task`, NaN where unknown."""
        return self.cohort.y

    @property
    def task(self) -> Task:
        """The task of the run."""
        return self.cohort.task

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, in the order of every M axis."""
        return self.cohort.modalities

    def model(self, fold: int) -> FoldModel:
        """Return the model of a fold, read when it is first asked for."""
        if fold not in self._models:
            model = Model.load(self.run.files.fold(fold), self.run.config, self.task, self._prepared)
            tested = torch.from_numpy(np.flatnonzero(self.fold == fold)).to(self.run.config.device)
            inputs = model.inputs(self.cohort, self._prepared)
            self._models[fold] = FoldModel(model.method, inputs, tested, model.outcome)
        return self._models[fold]

    def predict(self, hidden: BoolArray | None = None) -> FloatArray:
        """Predict every tested sample, as if it lacked what is ``hidden``, bool [N, M] or [M], as well.

        Returns
        -------
        float32 [N, K] probabilities, or what `Outcome.own` says of quantities and times: the label frequencies of the
        training part for a sample that nothing is left of, NaN for one that was never tested. With nothing hidden they
        are those of predictions.parquet, unless the run hid modalities in the test alone; then they are those of its
        complete test.
        """
        unseen = torch.from_numpy(np.zeros_like(self.presence) if hidden is None else hidden)
        answers = []
        with torch_threads(self.run.config.threads):
            for number in range(len(self.run.metrics.folds)):
                fold = self.model(number)
                said = training.probabilities(fold.method, fold.inputs.hiding(unseen), fold.tested)
                answers.append((fold.tested.cpu().numpy(), fold.outcome.own(said.numpy(), self.run.metrics.times)))
        positions, found = (np.concatenate(parts) for parts in zip(*answers, strict=True))
        everyone = np.full((len(self.fold), found.shape[1]), np.nan, dtype=np.float32)
        everyone[positions] = found
        return everyone

    def scores(self, probability: FloatArray, among: BoolArray | None = None) -> dict[str, float | None]:
        """Return the mean over folds of every measure, as in metrics.json, for what `predict` returns, [N, K].

        Only the tested samples ``among`` bool [N] count, by default all. A measure is None where no fold has a value.
        """
        counted = self.fold >= 0 if among is None else among & (self.fold >= 0)
        predicted = as_predicted(self.task.kind, probability[counted], self.run.metrics.times)
        return evaluate_over_folds(self.task.kind, self.y[counted], predicted, self.fold[counted])


def _tested_by(run: Run, cohort: Cohort) -> FoldNumbers:
    splits = run.splits.filter(part="test").select("sample_id", "fold")
    samples = pl.DataFrame({"sample_id": cohort.sample_id})
    fold = samples.join(splits, on="sample_id", how="left", maintain_order="left")["fold"]
    return fold.fill_null(-1).cast(pl.Int64).to_numpy()
