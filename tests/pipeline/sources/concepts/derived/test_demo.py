"""Scores of the MIMIC-III demo as they were counted there, ingredients counting from when they were charted."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from omnifuse.pipeline.sources.mimic.concepts.definitions import starter_set
from omnifuse.pipeline.sources.mimic.concepts.derived import Given, ingredients_of, oxygenation
from omnifuse.pipeline.sources.mimic.concepts.derived.given import CODES, STAYS, below
from omnifuse.pipeline.sources.mimic.concepts.derived.latest import of_one_sample
from omnifuse.pipeline.sources.mimic.concepts.derived.making import NEEDED, Making
from omnifuse.pipeline.sources.mimic.concepts.reading import ConceptEvents
from omnifuse.pipeline.sources.mimic.folder import MimicFolder


@pytest.fixture(scope="module")
def charted(shared_data: Callable[[str], Path]) -> Given:
    """The ingredients of P/F and of the anion gap, of all patients."""
    folder = MimicFolder.find(shared_data("mimic-iii-demo"))
    scores = [one for one in starter_set("scores", 3) if one.name in ("pf_ratio", "anion_gap_no_k")]
    extra = [one for one in starter_set("labs", 3) if one.name in ("potassium", "anion_gap")]
    concepts = [*ingredients_of(scores, 3), *extra]
    whole = pl.lit(None, pl.Int64)
    patients = pl.read_csv(folder.table("patients").path).select("subject_id")
    events = pl.concat(ConceptEvents(folder, concepts, patients.with_columns(first=whole, last=whole)).of_subjects())
    rows = {
        one.name: (one, events.filter(pl.col("concept") == number).select(*NEEDED))
        for number, one in enumerate(concepts)
    }
    making = Making(rows, pl.DataFrame(schema=STAYS), pl.DataFrame(schema=CODES), 3, at_once=True)
    return making.given(None)


def test_arterial_samples_and_their_oxygen(charted: Given) -> None:
    samples = oxygenation.pf_samples(charted)
    assert (len(samples), samples["fio2_lab"].count(), samples["value"].count()) == (1073, 320, 773)
    assert samples["value"].median() == 196
    assert [int(samples.select(below("value", limit).sum()).item()) for limit in (300, 200, 100)] == [575, 397, 82]


def test_the_gap_of_the_laboratory_includes_potassium(charted: Given) -> None:
    names = ("sodium", "potassium", "chloride", "bicarbonate", "anion_gap")
    sample = of_one_sample({name: charted[name] for name in names})
    ours = sample.select(pl.col("sodium") - pl.col("chloride") - pl.col("bicarbonate")).to_series()
    with_potassium = sample["anion_gap"] - ours - sample["potassium"]
    assert (len(sample), int((with_potassium.abs() <= 1 + 1e-6).sum())) == (2134, 2134)
    assert (sample["anion_gap"] - ours).mean() == pytest.approx(4.1, abs=0.05)
