"""Labels by sample of a data set that has none of its own for MIMIC's ids: which tasks they are, what is refused."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import FeatureCache, InputError, MissingInputError, Task
from omnifuse.pipeline.core.plan import Encoders
from omnifuse.pipeline.core.stages import extract
from omnifuse.pipeline.sources import open_dataset
from omnifuse.pipeline.tables.outside_labels import outside_tasks

SAMPLES = pl.Series([3, 7, 12])
PATIENT = "Time,Parameter,Value\n00:00,RecordID,{0}\n00:00,Age,54\n00:00,Gender,0\n00:00,ICUType,4\n00:30,HR,80\n"


def tasks_of(path: Path, text: str) -> dict[str, Task]:
    path.write_text(text)
    return {task.name: task for task in outside_tasks(path, SAMPLES)}


def test_columns_are_tasks_of_the_samples_in_their_order(tmp_path: Path) -> None:
    found = tasks_of(tmp_path / "mine.csv", "sample_id,sick,days,grade\n12,1,2.5,a\n3,0,0.5,b\n7,,1,c\n")
    assert {name: (task.kind, task.window_hours) for name, task in found.items()} == {
        "sick": ("binary", None), "days": ("regression", None), "grade": ("multiclass", None),
    }  # fmt: skip
    np.testing.assert_array_equal(found["sick"].y[:, 0], [0, np.nan, 1])
    assert found["days"].y[:, 0].tolist() == [0.5, 1, 2.5]
    assert found["sick"].counts == (("rows of the table", 3), ("with a known label", 2))


def test_one_time_is_a_window_and_several_are_predictions(tmp_path: Path) -> None:
    one = tasks_of(tmp_path / "mine.csv", "sample_id,prediction_hours,x\n12,24,1\n3,24,0\n")["x"]
    assert (one.window_hours, one.long) == (24, False)
    np.testing.assert_array_equal(one.y[:, 0], [0, np.nan, 1])
    many = tasks_of(tmp_path / "mine.csv", "sample_id,prediction_hours,x\n12,12,1\n3,24,0\n12,6,0\n")["x"]
    assert many.sample is not None and many.time is not None
    assert (many.sample.tolist(), many.time.tolist(), many.y[:, 0].tolist()) == ([0, 2, 2], [24, 6, 12], [0, 0, 1])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stay_id,x\n3,1\n", "has no column sample_id"),
        ("sample_id,prediction_hours\n3,1\n", "has no label"),
        ("sample_id,x\n3,1\n99,0\n", r"row 3: sample_id is none of the samples \('99'\)"),
        ("sample_id,x\n3,1\n3,0\n", "row 3: the same sample has a label at this time"),
        ("sample_id,prediction_hours,x\n3,soon,1\n", r"row 2: prediction_hours is no number from 0 on \('soon'\)"),
        ("sample_id,prediction_hours,x\n3,-2,1\n", "is no number from 0 on"),
    ],
)
def test_what_cannot_be_is_refused(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said) as refused:
        tasks_of(tmp_path / "mine.csv", text)
    assert "mine.csv" in str(refused.value)


def test_physionet2012_takes_them_and_computes_nothing_anew_for_them(tmp_path: Path) -> None:
    raw, mine = tmp_path / "raw", tmp_path / "mine.csv"
    (raw / "set-a").mkdir(parents=True)
    for number in (3, 7):
        (raw / "set-a" / f"{number}.txt").write_text(PATIENT.format(number))

    def made(text: str) -> tuple[FeatureCache, dict[str, int]]:
        mine.write_text(text)
        dataset = open_dataset("physionet2012", raw, {"labels": (mine,)})
        extraction = extract(dataset, tmp_path / "cache", Encoders("random", "random"))
        assert any("come from outside" in note for note in extraction.notes)
        return FeatureCache.open(tmp_path / "cache"), dict(extraction.pending)

    assert made("sample_id,prediction_hours,sick\n3,24,1\n7,24,0\n")[0].task("sick").y[:, 0].tolist() == [1, 0]
    cache, pending = made("sample_id,prediction_hours,sick\n3,12,0\n7,12,1\n")
    assert cache.task("sick").window_hours == 12
    assert not any(pending.values())
    with pytest.raises(MissingInputError, match=r"nowhere\.csv"):
        open_dataset("physionet2012", raw, {"labels": (tmp_path / "nowhere.csv",)}).settings()
