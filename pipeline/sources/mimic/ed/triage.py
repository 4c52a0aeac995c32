"""Triage in the emergency department: eight numbers of a stay, known before admission to the unit."""

from collections.abc import Iterator, Mapping

import numpy as np

from .....cache_schema import Column
from ....source import Block, Quarantine
from ..tables import Table, unique_rows
from .measured import AT_TRIAGE, numbers
from .visits import Visits, known_at_admission, rows_of_visits

TITLE = "triage in the emergency department"
COLUMNS = tuple(Column(what.title, what.unit) for what in AT_TRIAGE.values())


def triage_blocks(tables: Mapping[str, Table], visits: Visits, quarantine: Quarantine) -> Iterator[Block]:
    """Yield the rows ``[n, 8]`` of the stays of patients who came through the department."""
    triage = tables["triage"]
    rows = rows_of_visits(triage, visits.read(quarantine), list(AT_TRIAGE), quarantine)
    rows = unique_rows(rows, ["stay_id"], triage, quarantine).sort("stay_id")
    values = numbers(rows, AT_TRIAGE, triage, quarantine).fill_null(np.nan).to_numpy().astype(np.float32)  # [n, 8]
    known = ~np.isnan(values).all(axis=1)
    yield known_at_admission(rows["stay_id"].to_numpy()[known], values[known])
