"""Label a data set's samples as a commit does, without a cache."""

import numpy as np
from omnifuse.cache_schema import Task
from omnifuse.pipeline.source import FirstHours, Quarantine, Records


def first_hours_of(records: Records) -> FirstHours:
    """Read all tables and return the time of each sample's first observation."""
    ids = records.samples["sample_id"].to_numpy()
    first_hours = {}
    for table in records.tables:
        hours = np.full(len(ids), np.nan)
        for block in table.blocks(Quarantine()):
            if block.first_hours is not None:
                hours[np.searchsorted(ids, block.sample_ids)] = block.first_hours
        first_hours[table.name] = hours
    return first_hours


def tasks_of(records: Records) -> tuple[Task, ...]:
    return records.tasks(first_hours_of(records))
