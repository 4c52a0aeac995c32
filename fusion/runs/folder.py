"""The folder of a run: the names of its files, and what is refused before anything in it is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...cache_schema import MissingInputError
from ..sealed_folder import SEAL, check_seal, sealed_files

SHOWN = 8
"""Files of a foreign folder that are named."""


@dataclass(frozen=True)
class RunFolder:
    """Where everything lies below ``path``. Nothing is read but by `check`."""

    path: Path

    @property
    def metrics(self) -> Path:
        """What the run found, as `RunMetrics`; the last file to be written but the checksums."""
        return self.path / "metrics.json"

    @property
    def config(self) -> Path:
        """Settings, and under ``model`` what the models demand of a cache."""
        return self.path / "config.json"

    @property
    def environment(self) -> Path:
        """Versions and machine."""
        return self.path / "environment.json"

    @property
    def predictions(self) -> Path:
        """What was predicted of each tested sample."""
        return self.path / "predictions.parquet"

    @property
    def splits(self) -> Path:
        """Which sample was in which part of which fold."""
        return self.path / "splits.parquet"

    @property
    def folds(self) -> Path:
        """Holds a folder for each fold, by number."""
        return self.path / "folds"

    def fold(self, number: int) -> Path:
        """Return the folder of a fold, whose files `training` names."""
        return self.folds / str(number)

    def of_folds(self, name: str) -> list[Path]:
        """Return a file of every fold that has it."""
        return sorted(self.folds.glob(f"*/{name}"))

    def table(self, name: str) -> Path:
        """Return the file of a table that the method leaves."""
        return self.path / f"{name}.parquet"

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that the method left; what was measured of the run later is not among them."""
        names = (Path(file) for file in sealed_files(self.path))
        own = self.predictions.name, self.splits.name
        return tuple(sorted(file.stem for file in names if file.match("*.parquet") and len(file.parts) == 1
                            and file.name not in own))  # fmt: skip

    @property
    def is_finished(self) -> bool:
        """Whether a training has ended here."""
        return self.metrics.is_file()

    def check(self) -> None:
        """Compare the files with their checksums.

        Raises
        ------
        MissingInputError
            If the folder is not that of a finished run, or a file is missing.
        InputError
            If a file is damaged.
        """
        if not self.path.is_dir():
            raise MissingInputError(
                f"{self.path} is not a folder. Give the folder of a run, such as runs/NAME of `omnifuse train`."
            )
        needed = self.metrics, self.config, self.environment, self.predictions
        absent = [file.name for file in needed if not file.is_file()]
        if absent and not (self.path / SEAL).is_file():
            found = ", ".join(sorted(entry.name for entry in self.path.iterdir())[:SHOWN]) or "nothing"
            raise MissingInputError(
                f"{self.path} is no finished run: {', '.join(absent)} missing, found {found}. "
                "Give the folder that `omnifuse train` printed, or train again."
            )
        check_seal(self.path)
