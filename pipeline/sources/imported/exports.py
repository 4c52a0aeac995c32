"""A modality of a cache that was exported before: its rows, times, columns and kind as they were."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from ....cache_schema import InputError, ModalitySpec
from ....cache_schema.export.exported import Export
from ...source import Block, Quarantine, TableModality
from ...tables.feature_files import SAMPLE_ID, STAGE, reading
from ...tables.ids import ids_to_join, refuse_unjoined
from ...tables.sample_table import SampleTable
from .items import NOT_FINITE, is_finite_embedding
from .tables import UNKNOWN_SAMPLE


@dataclass(frozen=True)
class ExportedFeatures:
    """The modality ``part`` of an export."""

    export: Export
    part: str

    def files(self) -> tuple[Path, ...]:
        """Return the file that holds the modality."""
        return self.export.files(self.part)

    def modality(self, name: str, samples: SampleTable) -> TableModality:
        """Return all rows of the samples that are in the table of samples."""
        with reading(self.export.path):
            spec = self.export.spec(self.part)
        recipe = {"part": self.part, "exported": spec.recipe}
        blocks = partial(self._blocks, spec, samples)
        return TableModality(name, spec.kind, spec.columns, spec.row_meaning, recipe, self.files(), blocks)

    def _blocks(self, spec: ModalitySpec, samples: SampleTable, quarantine: Quarantine) -> Iterator[Block]:
        """Yield everything as one block, the rows of a sample in the order of the file."""
        path = self.export.path
        with reading(path):
            rows = self.export.rows(self.part)
            values, time = rows.values.astype(np.float32), rows.time.astype(np.float32)  # [R, D], [R]
        if spec.columns and len(spec.columns) != values.shape[1]:
            raise InputError(f"{path}: {self.part} describes {len(spec.columns)} columns and has {values.shape[1]}.")
        ids = ids_to_join(rows.sample_ids, samples.texts)
        refuse_unjoined(path, ids, samples.texts)
        sample = _sample_of_rows(ids, samples.texts, path, quarantine)  # [R]
        if spec.kind == "embedding":
            broken = np.unique(sample[~is_finite_embedding(values)])
            for text in samples.texts[broken[broken >= 0].tolist()]:
                quarantine.add(STAGE, path.name, f"sample {text}", "", NOT_FINITE)
            sample[np.isin(sample, broken)] = -1
        else:
            for row, column in np.argwhere(np.isinf(values) & (sample >= 0)[:, None]):
                place = f"sample {samples.texts[int(sample[row])]}, {spec.columns[column].name}"
                quarantine.add(STAGE, path.name, place, str(values[row, column]), "no finite number")
            values[np.isinf(values)] = np.nan
        order = np.argsort(sample, kind="stable")[np.count_nonzero(sample < 0) :]
        present, lengths = np.unique(sample[order], return_counts=True)
        yield Block(samples.frame[SAMPLE_ID].to_numpy()[present], lengths, values[order], time[order])


def _sample_of_rows(ids: pl.Series, samples: pl.Series, path: Path, quarantine: Quarantine) -> npt.NDArray[np.int64]:
    """Return the index ``[R]`` of the sample of each row, -1 for one that is not in the table of samples."""
    known = pl.DataFrame({"text": samples}).with_columns(sample=pl.int_range(pl.len(), dtype=pl.Int64))
    found = pl.DataFrame({"text": ids}).join(known, on="text", how="left", maintain_order="left")
    for text in found.filter(pl.col("sample").is_null())["text"].unique(maintain_order=True):
        quarantine.add(STAGE, path.name, f"sample {text}", text or "", UNKNOWN_SAMPLE)
    return found["sample"].fill_null(-1).to_numpy(writable=True)
