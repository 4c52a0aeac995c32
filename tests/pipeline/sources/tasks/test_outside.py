"""Labels made elsewhere: tables by stay, admission or patient, of every kind, and what of them is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from omnifuse.cache_schema import FeatureCache, InputError, MissingInputError
from omnifuse.pipeline.core.plan import Encoders
from omnifuse.pipeline.core.stages import extract
from omnifuse.pipeline.sources import open_dataset


@pytest.fixture
def raw(mimic3, stay3: Callable[..., None]) -> Path:
    """Two patients; the second has two stays in one admission, one day and four days after it began."""
    stay3(mimic3, subject=2, hadm=20, stay=200)
    stay3(mimic3, subject=2, hadm=20, stay=201, INTIME="2150-01-04 00:00:00", OUTTIME="2150-01-05 06:00:00", LOS="1.25")
    return mimic3.write()


@pytest.fixture
def labelled(raw: Path, tmp_path: Path) -> Callable[..., FeatureCache]:
    """Return a function that makes a cache with a table of labels."""

    def make(text: str, **options: object) -> FeatureCache:
        (tmp_path / "mine.csv").write_text(text)
        dataset = open_dataset("mimic", raw, {"labels": (tmp_path / "mine.csv",), **options})
        extraction = extract(dataset, tmp_path / "cache", Encoders("random", "random"))
        assert any("come from outside" in note for note in extraction.notes)
        return FeatureCache.open(tmp_path / "cache")

    return make


def test_kinds_are_what_the_values_are(labelled: Callable[..., FeatureCache]) -> None:
    cache = labelled(
        "icustay_id,prediction_hours,dead,grade,score,gone_time,gone_event\n"
        "100,24,1,low,1.5,3,1\n200,24,0,mid,2,4.5,0\n201,24,,high,0.25,,\n"
    )
    assert cache.samples["sample_id"].to_list() == [100, 200, 201]
    found = {name: cache.task(name) for name in ("dead", "grade", "score", "gone")}
    assert {name: task.kind for name, task in found.items()} == {
        "dead": "binary", "grade": "multiclass", "score": "regression", "gone": "survival",
    }  # fmt: skip
    assert {task.window_hours for task in found.values()} == {24.0}
    np.testing.assert_array_equal(found["dead"].y[:, 0], [1, 0, np.nan])
    assert found["score"].y[:, 0].tolist() == [1.5, 2, 0.25]
    np.testing.assert_array_equal(found["gone"].y, [[3, 1], [4.5, 0], [np.nan, np.nan]])
    assert found["dead"].counts == (("rows of the table", 3), ("of stays of this cache", 3), ("with a known label", 2))


def test_a_stay_without_a_time_is_seen_whole_and_kinds_can_be_said(labelled: Callable[..., FeatureCache]) -> None:
    cache = labelled("stay_id,a,b,n\n100,0,1,3\n200,1,0,7\n201,1,1,5\n", label_kind="multilabel")
    both = cache.task("mine")
    assert (both.kind, both.labels, both.window_hours, both.long) == ("multilabel", ("a", "b"), None, False)


def test_times_of_admissions_fall_to_the_stay_that_had_begun(labelled: Callable[..., FeatureCache]) -> None:
    cache = labelled(
        "hadm_id,prediction_time,x,split\n20,2150-01-02 00:00:00,1,test\n20,2150-01-04 12:00:00,0,test\n"
        "10,2150-01-01 06:00:00,0,train\n"
    )
    task = cache.task("x")
    assert (task.sample.tolist(), task.time.tolist(), task.y[:, 0].tolist()) == ([0, 1, 2], [6, 24, 12], [0, 1, 0])
    assert dict(cache.splits["mine"].iter_rows()) == {100: "train", 200: "test", 201: "test"}


def test_labels_of_meds_are_taken_as_they_are(labelled: Callable[..., FeatureCache]) -> None:
    cache = labelled("subject_id,prediction_time,boolean_value,float_value\n1,2150-01-02 00:00:00,true,\n")
    assert cache.task("mine").y[0, 0] == 1


def test_inputs_begin_where_the_table_says(labelled: Callable[..., FeatureCache]) -> None:
    header = "stay_id,window_start,prediction_hours,x\n"
    late = labelled(header + "100,2150-01-01 06:00:00,24,1\n201,2150-01-04 06:00:00,24,0\n").task("x")
    assert (late.window_hours, late.history_hours) == (24, -6)
    early = labelled(header + "100,2149-12-31 20:00:00,24,1\n201,2150-01-03 20:00:00,24,0\n").task("x")
    assert early.history_hours == 4
    assert labelled(header + "100,,24,1\n").task("x").history_hours == 0


def test_rows_before_the_window_are_no_inputs(raw: Path, mimic3, charted3: Callable[..., None], labelled) -> None:
    for hour in (1, 5, 9, 30):
        charted3(mimic3, 1, 10, 100, f"2150-01-0{1 + hour // 24} {hour % 24:02d}:30:00", 211, str(hour))
    mimic3.write()
    cache = labelled("stay_id,window_start,prediction_hours,x\n100,2150-01-01 07:00:00,24,1\n")
    seen = cache.task_inputs(cache.task("x"))["ehr"]
    assert seen.time[seen.offsets[0] : seen.offsets[1]].tolist() == list(range(8, 25, 2))


HEADER = "stay_id,prediction_time,x\n"
REFUSED = {
    "no id": ("name,x\na,1\n", {}, "has no column stay_id, icustay_id"),
    "an id of another release": ("stay_id,x\n100,1\n999,0\n", {}, r"1 rows name a stay_id without a stay: 999"),
    "an id that is none": ("stay_id,x\nabc,1\n", {}, r"mine\.csv, row 2: stay_id is no whole number \('abc'\)"),
    "an admission without a time": ("hadm_id,x\n10,1\n", {}, "need the column prediction_time"),
    "a time that is none": (f"{HEADER}100,soon,1\n", {}, r"row 2: prediction_time is no date.*'soon'"),
    "a time far outside": (
        f"{HEADER}100,2150-01-09 00:00:00,1\n", {}, r"row 2: the time lies more than 24h outside.*2150-01-09",
    ),
    "a time twice": (HEADER + "100,2150-01-01 05:00:00,1\n" * 2, {}, "row 3: the same id has a label at this time"),
    "a window beyond it": (
        "stay_id,prediction_time,window_end,x\n100,2150-01-01 05:00:00,2150-01-01 06:00:00,1\n", {}, "reach beyond",
    ),
    "a window that begins when nobody says it ends": (
        "stay_id,window_start,x\n100,2150-01-01 05:00:00,1\n", {}, "window_start needs prediction_time",
    ),
    "a window that begins at its end": (
        "stay_id,window_start,prediction_hours,x\n100,2150-01-01 05:00:00,4,1\n", {},
        r"row 2: window_start is after the end of the inputs \('2150-01-01 05:00:00'\)",
    ),
    "windows that begin at several hours": (
        "stay_id,window_start,prediction_hours,x\n100,2150-01-01 05:00:00,9,1\n201,2150-01-04 06:00:00,9,1\n", {},
        "row 3: window_start is at another hour of the stay",
    ),
    "a label that most lack": ("stay_id,x\n100,1\n200,\n201,\n", {}, "x is missing in 2 of 3 rows; --allow-missing"),
    "a name that a task has": ("stay_id,mortality\n100,1\n", {}, "another task 'mortality'"),
    "no label": ("stay_id,prediction_hours\n100,5\n", {}, "has no label"),
    "a patient in two parts": ("stay_id,x,split\n200,1,train\n201,1,test\n", {}, "puts subject 2 into two parts"),
    "a slack that is none": ("stay_id,x\n100,1\n", {"slack": "much"}, "--slack is 'much'"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused(case: str, labelled: Callable[..., FeatureCache]) -> None:
    text, options, said = REFUSED[case]
    with pytest.raises(InputError, match=said):
        labelled(text, **options)


def test_refusals_that_can_be_waived(labelled: Callable[..., FeatureCache]) -> None:
    text = "stay_id,prediction_time,x\n100,2150-01-04 12:00:00,1\n999,2150-01-01 00:00:00,\n998,2150-01-01 00:00:00,\n"
    cache = labelled(text, slack="3d", ignore_unknown=True, allow_missing_labels=True)
    assert cache.task("x").counts[:2] == (("rows of the table", 3), ("of stays of this cache", 1))


def test_a_table_that_is_not_there(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"nowhere\.csv"):
        open_dataset("mimic", raw, {"labels": (tmp_path / "nowhere.csv",)}).settings()
