"""Own tasks in a cache: whose samples there are, what is computed anew, what each step left, and where they train."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from omnifuse.cache_schema import FeatureCache, InputError, MissingInputError
from omnifuse.pipeline.core.plan import Encoders
from omnifuse.pipeline.core.stages import Extraction, extract
from omnifuse.pipeline.source import Quarantine
from omnifuse.pipeline.sources import open_dataset
from omnifuse.progress import telling

TASK = """
name: high
predicates: {{high: {{concept: creatinine, value_min: {low}}}}}
trigger: {{at: icu_in + 24h}}
windows: {{target: {{start: trigger, end: trigger + 24h, label: high}}}}
published: {{n: 3, positive: 1, source: somebody}}
"""


@pytest.fixture
def raw(mimic3, stay3: Callable[..., None], charted3: Callable[..., None]) -> Path:
    """Three patients, the third with two stays in an admission; a creatinine of 2.0 at hour 30 of the second."""
    stay3(mimic3, subject=2, hadm=20, stay=200)
    stay3(mimic3, subject=3, hadm=30, stay=300)
    later = {"INTIME": "2150-01-04 00:00:00", "OUTTIME": "2150-01-05 06:00:00", "LOS": "1.25"}
    stay3(mimic3, subject=3, hadm=30, stay=301, **later)
    for subject, hadm, stay, time in ((2, 20, 200, "01 02"), (3, 30, 300, "01 02"), (3, 30, 301, "04 02")):
        charted3(mimic3, subject, hadm, stay, f"2150-01-{time}:00:00", 211, str(70 + subject))
    lab = {"ITEMID": 50912, "VALUEUOM": "mg/dL"}
    for subject, hadm, value, time in ((2, 20, "2.0", "02 06"), (1, 10, "0.8", "02 06"), (3, "", "1.5", "04 09")):
        mimic3.add(
            "LABEVENTS", SUBJECT_ID=subject, HADM_ID=hadm, CHARTTIME=f"2150-01-{time}:00:00", VALUE=value,
            VALUENUM=value, **lab,
        )  # fmt: skip
    return mimic3.write()


def run(raw: Path, cache: Path, splits: tuple[Path, ...] = (), **options: object) -> Extraction:
    return extract(open_dataset("mimic", raw, options, splits=splits), cache, Encoders("random", "random"))


@pytest.fixture
def task(tmp_path: Path) -> Path:
    (tmp_path / "high.yaml").write_text(TASK.format(low=1.8))
    return tmp_path / "high.yaml"


def test_every_stay_that_a_task_is_about_is_a_sample(raw: Path, task: Path, tmp_path: Path) -> None:
    run(raw, tmp_path / "plain")
    run(raw, tmp_path / "own", task=(str(task),))
    plain, own = FeatureCache.open(tmp_path / "plain"), FeatureCache.open(tmp_path / "own")
    assert plain.samples["sample_id"].to_list() == [100, 200]
    assert own.samples["sample_id"].to_list() == [100, 200, 300, 301]
    high = own.task("high")
    assert (high.kind, high.window_hours, high.y[:, 0].tolist()) == ("binary", 24.0, [0, 1, 0, 0])
    before, after = plain.modality("ehr"), own.modality("ehr")
    assert [before[n].tobytes() for n in (0, 1)] == [after[n].tobytes() for n in (0, 1)]
    heart_rate = [column.name for column in after.spec.columns].index("Heart Rate")
    assert [after[n][0, heart_rate] for n in (2, 3)] == [73, 73]  # each stay its own, though one admission
    for name in plain.tasks:
        assert plain.task(name).counts == own.task(name).counts
    assert np.isnan(own.task("mortality").y[2:]).all()


def test_another_file_labels_anew_and_computes_nothing(raw: Path, task: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    run(raw, cache, task=(str(task),))
    task.write_text(TASK.format(low=1.4))
    again = run(raw, cache, task=(str(task),))
    assert (again.done, again.pending) == (True, {"ehr": 0})
    assert any("tasks" in reason for reason in again.reasons)
    assert FeatureCache.open(cache).task("high").y[:, 0].tolist() == [0, 1, 0, 0]  # 1.5 comes at hour 9 of its stay
    assert not run(raw, cache, task=(str(task),)).done


def test_one_pass_gives_variables_and_labels_their_events(raw: Path, task: Path, tmp_path: Path) -> None:
    told: list[str] = []
    with telling(lambda name, *_: told.append(name)):
        run(raw, tmp_path / "both", task=(str(task),), variables=("labs",), modalities=("labs",))
    assert told.count("LABEVENTS.csv") == 1
    run(raw, tmp_path / "alone", task=(str(task),))
    both, alone = (FeatureCache.open(tmp_path / name).task("high").y for name in ("both", "alone"))
    np.testing.assert_array_equal(both, alone)


def test_steps_are_counted_in_all_and_by_part_beside_what_was_published(raw: Path, task: Path, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("subject_id,split\n1,train\n2,test\n3,train\n")
    run(raw, tmp_path / "cache", (tmp_path / "own.csv",), task=(str(task),))
    counts = FeatureCache.open(tmp_path / "cache").counts.filter(scope="high")
    last = counts.filter(step="target: a label")
    assert dict(last.select("unit", "count").iter_rows()) == {
        "samples": 4, "admissions": 3, "patients": 3, "positive samples": 1,
        "samples, train": 3, "admissions, train": 2, "patients, train": 2, "positive samples, train": 0,
        "samples, validation": 0, "admissions, validation": 0, "patients, validation": 0,
        "positive samples, validation": 0,
        "samples, test": 1, "admissions, test": 1, "patients, test": 1, "positive samples, test": 1,
    }  # fmt: skip
    assert last.drop_nulls("published").select("unit", "published", "source").rows() == [
        ("samples", 3, "somebody"), ("positive samples", 1, "somebody"),
    ]  # fmt: skip
    until = counts.filter(step="time to the label event")
    assert dict(until.select("unit", "count").iter_rows())["median, minutes"] == 360
    assert counts["step"][0] == "all ICU stays"


def test_pseudonyms_change_no_label_and_no_count(raw: Path, task: Path, tmp_path: Path) -> None:
    from omnifuse.pipeline.sources.pseudonyms import PseudonymousDataSet

    run(raw, tmp_path / "plain", task=(str(task),))
    hidden = PseudonymousDataSet(open_dataset("mimic", raw, {"task": (str(task),)}), b"k" * 32)
    extract(hidden, tmp_path / "hidden", Encoders("random", "random"))
    plain, named = FeatureCache.open(tmp_path / "plain"), FeatureCache.open(tmp_path / "hidden")
    assert sorted(plain.task("high").y[:, 0]) == sorted(named.task("high").y[:, 0])
    assert plain.counts.equals(named.counts)
    assert plain.quarantine_counts.equals(named.quarantine_counts)


def test_labelling_twice_is_labelling_once(raw: Path, tmp_path: Path) -> None:
    text = TASK.format(low=1.8).replace("label: high}", "label: {count: high}}")
    (tmp_path / "count.yaml").write_text(text)
    records = open_dataset("mimic", raw, {"task": (str(tmp_path / "count.yaml"),)}).read(Quarantine())
    labels = [records.tasks({})[-1].y[:, 0].tolist() for _ in range(2)]
    assert labels == [[0, 1, 0, 0]] * 2
    assert any("charted" in note for note in records.notes)


def test_what_this_release_does_not_have_is_refused(raw: Path, mimic4, task: Path) -> None:
    for name, said in (
        ("mortality_365d", "knows deaths for 90 days"),
        ("aki", "Did you mean 'aki_48h'"),
    ):
        with pytest.raises(InputError, match=said):
            open_dataset("mimic", raw, {"task": (name,)}).settings()
    with pytest.raises(MissingInputError, match="no table inputevents_cv or inputevents_mv"):
        open_dataset("mimic", raw, {"task": ("vasopressor_12h",)}).inputs()
    text = task.read_text()
    task.write_text(f"history: hospital\n{text}")
    with pytest.raises(InputError, match=r"history is 'hospital', and --history all reaches further"):
        open_dataset("mimic", raw, {"task": (str(task),), "variables": ("labs",), "history": "all"}).settings()
    (mimic4.path / "core").mkdir(parents=True)
    mimic4.headers |= {
        name.replace("hosp", "core"): mimic4.headers.pop(name) for name in ("hosp/admissions", "hosp/patients")
    }
    mimic4.tables |= {
        name.replace("hosp", "core"): mimic4.tables.pop(name) for name in ("hosp/admissions", "hosp/patients")
    }
    with pytest.raises(InputError, match=r"before version 2\.0 knows deaths in hospital alone"):
        open_dataset("mimic", mimic4.write(), {"task": ("mortality_28d",)}).settings()


def test_quantities_and_times_to_an_event_are_stored(raw: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    run(raw, cache, task=("remaining_los", "time_to_death", "los_3d"))
    stored = FeatureCache.open(cache)
    los = stored.task("remaining_los")
    assert (los.kind, los.unit, los.long) == ("regression", "h", True)
    assert los.y[los.sample == 0][:3, 0].tolist() == [50, 49, 48]
    assert (stored.task("time_to_death").kind, stored.task("time_to_death").labels) == ("survival", ("time", "event"))


def test_what_predictions_see_and_when_their_events_come_is_counted(raw: Path, task: Path, tmp_path: Path) -> None:
    """All four stays have a heart rate by hour 2; of the creatinines that of hour 9 of stay 301 comes by hour 24."""
    (tmp_path / "own.csv").write_text("subject_id,split\n1,train\n2,test\n3,train\n")
    run(raw, tmp_path / "cache", (tmp_path / "own.csv",), task=(str(task),), variables=("labs",))
    counts = FeatureCache.open(tmp_path / "cache").counts.filter(scope="high")
    seen = dict(counts.filter(step="seen by the prediction").select("unit", "count").iter_rows())
    assert {unit: count for unit, count in seen.items() if "validation" not in unit} == {
        "samples with ehr": 4, "samples with labs": 1, "samples without any input": 0,
        "samples with ehr, train": 3, "samples with labs, train": 1, "samples without any input, train": 0,
        "samples with ehr, test": 1, "samples with labs, test": 0, "samples without any input, test": 0,
    }  # fmt: skip
    until = dict(counts.filter(step="time to the label event").select("unit", "count").iter_rows())
    assert until["median, minutes, test"] == until["median, minutes"] == 360
    assert until["samples within 1 h"] == 0
    assert not any("train" in unit for unit in until)  # nothing happens there


def test_labels_are_counted_by_release(raw: Path, mimic3, mimic4, task: Path, tmp_path: Path) -> None:
    mimic3.headers["ICUSTAYS"] += ",DBSOURCE"
    for row, source in zip(mimic3.tables["ICUSTAYS"], ("carevue", "metavision", "carevue", ""), strict=True):
        row["DBSOURCE"] = source
    run(mimic3.write(), tmp_path / "three", task=(str(task),))
    by_release = FeatureCache.open(tmp_path / "three").counts.filter(scope="high", step="by release")
    assert dict(by_release.select("unit", "count").iter_rows()) == {
        "samples, carevue": 2, "positive samples, carevue": 0, "samples, metavision": 1,
        "positive samples, metavision": 1,
    }  # fmt: skip
    mimic4.headers["hosp/patients"] += ",anchor_year_group"
    mimic4.tables["hosp/patients"][0]["anchor_year_group"] = "2008 - 2010"
    run(mimic4.write(), tmp_path / "four", task=(str(task),))
    by_release = FeatureCache.open(tmp_path / "four").counts.filter(scope="high", step="by release")
    assert by_release["unit"].to_list() == ["samples, 2008 - 2010", "positive samples, 2008 - 2010"]


def test_events_soon_after_the_prediction_are_counted_and_conditions_on_the_future_printed(
    raw: Path, tmp_path: Path
) -> None:
    """The creatinine of hour 30 of stay 200 comes half an hour after hour 29.5."""
    text = TASK.format(low=1.8).replace("icu_in + 24h", "icu_in + 29h 30min")
    later = "gap: {start: trigger, end: icu_in + 48h, has: {icu_out: [null, 0]}}, target"
    (tmp_path / "plain.yaml").write_text(text)
    (tmp_path / "gap.yaml").write_text(text.replace("name: high", "name: gap").replace("target", later))
    notes = {}
    for name in ("plain", "gap"):
        notes[name] = run(raw, tmp_path / name, task=(str(tmp_path / f"{name}.yaml"),)).notes
    counts = FeatureCache.open(tmp_path / "plain").counts.filter(scope="high", step="time to the label event")
    assert dict(counts.select("unit", "count").iter_rows())["samples within 1 h"] == 1
    future = "Task gap conditions on the future: gap.icu_out."
    assert future in notes["gap"] and not any("future" in note for note in notes["plain"])
