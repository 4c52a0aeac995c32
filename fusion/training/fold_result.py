"""What a fold found, kept beside its model until the run is complete: a training that is stopped goes on from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from safetensors.numpy import load, save

from ..files import write_file, write_table
from ..inputs.splits import Positions
from ..sealed_folder import SEAL
from .search import Trial

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]

ARRAYS_FILE, ROWS_FILE, FACTS_FILE = "result.safetensors", "predictions.parquet", "result.json"

OF_THE_TRAINING_ALONE = (ARRAYS_FILE, ROWS_FILE, FACTS_FILE, SEAL)
"""Files of a fold's folder that a complete run has no use for: everything in them is in the files of the run."""


@dataclass(frozen=True)
class FoldResult:
    """One fold: its n tested samples and what its model said of them.

    ``tested`` [n] positions in the cohort; ``presence`` [n, M] bool, what the model was shown; ``probability`` [n, K],
    of quantities their values and of a time to an event the survival at the times of the run (see `Outcome.own`);
    ``alone`` [n, M], what each modality says by itself, if the method tells; ``rows`` of predictions.parquet;
    ``tables`` and ``details`` of the method; ``trials`` of the search, if there was one. Where modalities are hidden in
    the test alone, ``draws`` [S, n, K] are the probabilities under each draw, of which ``probability`` is the first,
    and ``complete`` [n, K] those with everything shown.
    """

    tested: Positions
    presence: BoolArray
    probability: FloatArray
    alone: FloatArray | None
    draws: FloatArray
    complete: FloatArray
    rows: pl.DataFrame
    tables: Mapping[str, list[dict[str, Any]]]
    details: Mapping[str, Any]
    trials: list[Trial]
    epochs: int
    seconds: float

    def save(self, folder: Path) -> None:
        """Write the files of a result into an existing folder."""
        names = ("tested", "presence", "probability", "draws", "complete", "alone")
        arrays = {name: array for name in names if (array := getattr(self, name)) is not None}
        write_file(folder / ARRAYS_FILE, save({name: np.ascontiguousarray(a) for name, a in arrays.items()}))
        write_table(folder / ROWS_FILE, self.rows)
        trials = [asdict(trial) for trial in self.trials]
        facts = {"tables": self.tables, "details": self.details, "trials": trials}
        # NaN may stand in them; scalars of numpy have to become plain
        text = json.dumps({**facts, "epochs": self.epochs, "seconds": self.seconds}, default=methodcaller("item"))
        write_file(folder / FACTS_FILE, text.encode())

    @classmethod
    def load(cls, folder: Path) -> FoldResult:
        """Read a result back."""
        arrays = {"alone": None, **load((folder / ARRAYS_FILE).read_bytes())}
        rows = pl.read_parquet((folder / ROWS_FILE).read_bytes())
        facts = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
        trials = [Trial(tuple(trial["overrides"]), trial["loss"]) for trial in facts.pop("trials")]
        return cls(**arrays, rows=rows, trials=trials, **facts)
