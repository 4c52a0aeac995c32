"""Clinical notes of MIMIC: which belong to a stay, since when they could be read, and what nobody may see."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omnifuse.cache_schema import FeatureCache, InputError, MissingInputError
from omnifuse.cache_schema.selection import in_window
from omnifuse.pipeline.core.encoders import Encoders
from omnifuse.pipeline.core.stages import extract
from omnifuse.pipeline.source import ItemModality, Quarantine
from omnifuse.pipeline.sources import open_dataset
from omnifuse.pipeline.sources.mimic import Options, notes
from omnifuse.pipeline.sources.mimic.data_set import MimicDataSet
from omnifuse.pipeline.sources.mimic.recognise import recognise
from omnifuse.testing import check_dataset

from .conftest import RawFolder, add_images
from .label import tasks_of
from .test_mimic_cxr import chosen

NOTEEVENTS = [
    *("ROW_ID", "SUBJECT_ID", "HADM_ID", "CHARTDATE", "CHARTTIME", "STORETIME"),
    *("CATEGORY", "DESCRIPTION", "CGID", "ISERROR", "TEXT"),
]
NOTE_MODULE = ["note_id", "subject_id", "hadm_id", "note_type", "note_seq", "charttime", "storetime", "text"]
TELLING = "The patient will die."


def write_notes(raw: RawFolder, path: str, columns: list[str], rows: list[dict[str, Any]]) -> Path:
    """Write a table of notes beside the others, quoted as MIMIC is."""
    file = raw.write() / path
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as stream:
        table = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    return raw.path


def write3(raw: RawFolder, *rows: dict[str, Any]) -> Path:
    """Write NOTEEVENTS of subject 1, whose stay of admission 10 lasts from 2150-01-01 00:00 for 50 hours."""
    usual = {"SUBJECT_ID": 1, "HADM_ID": 10, "CATEGORY": "Nursing", "TEXT": "Resting."}
    numbered = [{"ROW_ID": number, **usual, **row} for number, row in enumerate(rows, 1)]
    return write_notes(raw, "NOTEEVENTS.csv", NOTEEVENTS, numbered)


def write4(raw: RawFolder, *rows: dict[str, Any], table: str = "radiology") -> Path:
    """Write a table of subject 10000032, whose stay of admission 20 lasts from 2180-01-01 00:00 for 50 hours."""
    code = "RR" if table == "radiology" else "DS"
    usual = {"subject_id": 10000032, "hadm_id": 20, "note_type": code, "text": "FINDINGS: Clear."}
    numbered = [{"note_id": f"10000032-{code}-{n}", "note_seq": n, **usual, **row} for n, row in enumerate(rows, 1)]
    return write_notes(raw, f"note/{table}.csv", NOTE_MODULE, numbered)


def read(raw: Path, quarantine: Quarantine | None = None, **settings: Any) -> ItemModality:
    dataset = MimicDataSet(raw, Options(modalities=("notes",), **settings))
    return dataset.read(Quarantine() if quarantine is None else quarantine).items[0]


def texts_of(items: ItemModality) -> list[str]:
    assert items.texts is not None
    return [items.texts[digest] for digest in items.items["digest"]]


def hours_of(items: ItemModality) -> list[tuple[float, float]]:
    """Return the hours of the event and those from which it was known."""
    return items.items.select("event_time", "time").rows()


@pytest.mark.parametrize(
    ("note", "event", "known"),
    [
        ({"CHARTTIME": "2150-01-01 02:00:00", "STORETIME": "2150-01-01 05:30:00"}, 2, 5.5),
        ({"CHARTTIME": "2150-01-01 02:00:00", "STORETIME": "2150-01-01 01:00:00"}, 2, 2),  # stored before: later counts
        ({"CHARTTIME": "2150-01-01 02:00:00"}, 2, 26),
        ({"CHARTDATE": "2150-01-02"}, 24, 48),
        ({"CHARTDATE": "2150-01-02", "STORETIME": "2150-01-02 06:00:00"}, 24, 30),
        ({"CATEGORY": "Radiology", "CHARTTIME": "2150-01-01 02:00:00"}, 2, 6),
        ({"CATEGORY": "Radiology", "CHARTDATE": "2150-01-01"}, 0, 28),
        ({"CATEGORY": "Echo", "CHARTDATE": "2150-01-01"}, 0, 24),
        ({"CATEGORY": "ECG", "CHARTDATE": "2150-01-02 00:00:00"}, 24, 48),
    ],
)
def test_both_times_of_a_note_of_mimic3(mimic3: RawFolder, note: dict[str, Any], event: float, known: float) -> None:
    items = read(write3(mimic3, note), note_categories=("Nursing", "Radiology", "ECG", "Echo"))
    assert hours_of(items) == [(event, known)]


@pytest.mark.parametrize(
    ("note", "event", "known"),
    [
        ({"charttime": "2180-01-01 02:00:00", "storetime": "2180-01-01 03:15:00"}, 2, 3.25),
        ({"charttime": "2180-01-01 02:00:00", "storetime": "2180-01-01 01:00:00"}, 2, 2),
        ({"charttime": "2180-01-01 02:00:00"}, 2, 26),
        ({"charttime": "2179-12-31 23:00:00", "storetime": "2180-01-01 01:00:00"}, -1, 1),  # seen before, read inside
        ({"charttime": "2180-01-01 02:00:00", "storetime": "2180-01-01 03:00:00", "hadm_id": ""}, 2, 3),
    ],
)
def test_both_times_of_a_note_of_mimic4(mimic4: RawFolder, note: dict[str, Any], event: float, known: float) -> None:
    assert hours_of(read(write4(mimic4, note))) == [(event, known)]


def test_only_what_became_known_within_the_stay(mimic3: RawFolder) -> None:
    stored = ("2149-12-31 23:59:59", "2150-01-01 00:00:00", "2150-01-03 02:00:00", "2150-01-03 02:00:01")
    raw = write3(mimic3, *({"CHARTTIME": "2149-12-31 20:00:00", "STORETIME": time} for time in stored))
    quarantine = Quarantine()
    assert read(raw, quarantine).items["time"].to_list() == [0, 50]
    assert quarantine.counts().select("reason", "count").rows() == [(notes.OUTSIDE, 2)]
    earlier = read(raw, note_history_hours=1).items["time"].to_list()
    assert earlier == [pytest.approx(-1 / 3600), 0, 50]


def test_notes_in_error_and_without_a_time_are_listed_by_their_line_alone(mimic3: RawFolder) -> None:
    time = {"CHARTTIME": "2150-01-01 02:00:00", "STORETIME": "2150-01-01 02:00:00"}
    raw = write3(
        mimic3, {**time, "ISERROR": "1", "TEXT": TELLING}, {"TEXT": "Mr Smith", "CHARTTIME": "Mr Smith at noon"},
        {**time, "TEXT": " [**Name**] "}, time,
    )  # fmt: skip
    quarantine = Quarantine()
    items = read(raw, quarantine)
    assert (texts_of(items), items.items["item_id"].to_list()) == (["Resting."], ["4"])
    left_out = dict(quarantine.frame().select("where", "reason").iter_rows())
    assert left_out == {
        "row 2": "note_error: marked as written in error",
        "row 3": "note_without_time: neither CHARTTIME nor CHARTDATE can be read",
        "row 4": "empty note",
    }
    assert "Smith" not in quarantine.frame().write_csv()


def test_blanks_behind_a_category_and_spans_without_names(mimic3: RawFolder) -> None:
    time = {"CHARTTIME": "2150-01-01 02:00:00", "STORETIME": "2150-01-01 02:00:00"}
    text = "Seen by [**First Name8 (NamePattern2)\n **] at  noon.\n\nStable."
    items = read(write3(mimic3, {**time, "CATEGORY": "Physician ", "TEXT": text}))
    assert texts_of(items) == ["Seen by at noon. Stable."]
    assert items.items["category"].to_list() == ["Physician"]


def test_of_radiology_the_findings_are_read(mimic3: RawFolder) -> None:
    report = (
        "FINAL REPORT\n INDICATION: [**Age over 90**] with fever\n\n FINDINGS:\n Clear.\n\n IMPRESSION:\n Normal.\n"
    )
    texts = (report, "Portable film shows an effusion.")
    raw = write3(
        mimic3, *({"CATEGORY": "Radiology", "CHARTTIME": "2150-01-01 02:00:00", "TEXT": text} for text in texts)
    )
    assert texts_of(read(raw)) == ["Clear.", "Portable film shows an effusion."]


def test_equal_texts_are_stored_once_and_repeated_ids_named_once(mimic3: RawFolder) -> None:
    time = {"CHARTTIME": "2150-01-01 02:00:00", "STORETIME": "2150-01-01 02:00:00"}
    quarantine = Quarantine()
    items = read(write3(mimic3, time, time, {**time, "ROW_ID": 2}), quarantine)
    assert items.items["item_id"].to_list() == ["1", "2"]
    assert len(items.texts or {}) == 1
    assert quarantine.frame()["where"].to_list() == ["NOTEEVENTS.csv row 4"]


def test_line_breaks_and_quotes_in_a_text_lose_no_row(mimic3: RawFolder) -> None:
    time = {"CHARTTIME": "2150-01-01 02:00:00", "STORETIME": "2150-01-01 02:00:00"}
    texts = ['says "no\npain"', '"', 'a,b\n"c",d\n\n', 'ends with "']
    items = read(write3(mimic3, *({**time, "TEXT": text} for text in texts)))
    assert texts_of(items) == [" ".join(text.split()) for text in texts]


def test_a_quotation_mark_without_its_pair_is_refused_with_its_line(mimic3: RawFolder) -> None:
    time = {"CHARTTIME": "2150-01-01 02:00:00", "STORETIME": "2150-01-01 02:00:00"}
    raw = write3(mimic3, time, {**time, "TEXT": 'says "no pain", Mr Smith'}, time)
    table = raw / "NOTEEVENTS.csv"
    table.write_text(table.read_text().replace('no pain""', 'no pain"'))
    with pytest.raises(InputError, match=r"NOTEEVENTS\.csv, .*line 3") as refused:
        read(raw)
    assert "Smith" not in str(refused.value)


def test_a_table_cut_inside_a_text_is_refused(mimic3: RawFolder) -> None:
    raw = write3(mimic3, {"CHARTTIME": "2150-01-01 02:00:00", "TEXT": "first\nsecond, of Mr Smith"})
    table = raw / "NOTEEVENTS.csv"
    table.write_bytes(table.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"NOTEEVENTS\.csv.* 2") as refused:
        read(raw)
    assert "Smith" not in str(refused.value)


def test_times_of_another_format_are_refused_without_showing_a_cell(mimic3: RawFolder) -> None:
    raw = write3(mimic3, *({"CHARTTIME": "1.1.2150 2 o'clock", "CHARTDATE": "Mr Smith"} for _ in range(2)))
    with pytest.raises(InputError, match=r"NOTEEVENTS\.csv: the time of the note in row 2") as refused:
        read(raw)
    assert "Smith" not in str(refused.value) and "clock" not in str(refused.value)


# Leaks: what tells the outcome is planted where a rule keeps it out, and seen where the rule just lets it in.


def seen_at_48_hours(raw: Path, **settings: Any) -> list[str]:
    """Return the texts that a prediction at hour 48 may see."""
    items = read(raw, **settings)
    visible = in_window(items.items["time"].to_numpy(), 48)
    return [text for text, is_visible in zip(texts_of(items), visible, strict=True) if is_visible]


def late(mimic3: RawFolder, _: RawFolder, *, seen: bool) -> Path:
    """A nurse's note about hour 47, stored at hour 48 or a second later."""
    stored = "2150-01-03 00:00:00" if seen else "2150-01-03 00:00:01"
    return write3(mimic3, {"CHARTTIME": "2150-01-02 23:00:00", "STORETIME": stored, "TEXT": TELLING})


def late_report(_: RawFolder, mimic4: RawFolder, *, seen: bool) -> Path:
    """A report of an examination at hour 47, signed at hour 48 or a second later."""
    signed = "2180-01-03 00:00:00" if seen else "2180-01-03 00:00:01"
    return write4(mimic4, {"charttime": "2180-01-02 23:00:00", "storetime": signed, "text": TELLING})


def undated_report(mimic3: RawFolder, _: RawFolder, *, seen: bool) -> Path:
    """A report of an examination four hours before hour 48, or a second less."""
    examined = "2150-01-02 20:00:00" if seen else "2150-01-02 20:00:01"
    return write3(mimic3, {"CATEGORY": "Radiology", "CHARTTIME": examined, "TEXT": TELLING})


def error(mimic3: RawFolder, _: RawFolder, *, seen: bool) -> Path:
    """A note that is marked as an error, or is not."""
    times = {"CHARTTIME": "2150-01-01 02:00:00", "STORETIME": "2150-01-01 02:00:00"}
    return write3(mimic3, {**times, "ISERROR": "" if seen else "1", "TEXT": TELLING})


def summary(mimic4: RawFolder, hadm: object) -> Path:
    """A summary of a discharge within the stay, as after a death in the unit; admission 19 ended in it, too."""
    mimic4.tables["hosp/admissions"][0]["dischtime"] = "2180-01-01 02:00:00"
    before = {"admittime": "2179-12-01 00:00:00", "dischtime": "2179-12-20 00:00:00"}
    mimic4.add("hosp/admissions", subject_id=10000032, hadm_id=19, **before)
    times = {"charttime": "2180-01-01 00:00:00", "storetime": "2180-01-01 01:00:00"}
    return write4(mimic4, {**times, "hadm_id": hadm, "text": TELLING}, table="discharge")


def own_summary(_: RawFolder, mimic4: RawFolder, *, seen: bool) -> Path:
    """One from an earlier admission, or from the running one."""
    return summary(mimic4, 19 if seen else 20)


def nameless_summary(_: RawFolder, mimic4: RawFolder, *, seen: bool) -> Path:
    """One from an earlier admission, or from none."""
    return summary(mimic4, 19 if seen else "")


def later_summary(mimic3: RawFolder, _: RawFolder, *, seen: bool) -> Path:
    """A summary of another admission, dated a day of the stay, when that had ended or before."""
    first, last = ("2149-12-01", "2149-12-20") if seen else ("2150-02-01", "2150-02-02")
    mimic3.add(
        "ADMISSIONS", SUBJECT_ID=1, HADM_ID=11, ADMITTIME=f"{first} 00:00:00", DISCHTIME=f"{last} 00:00:00"
    )  # fmt: skip
    return write3(mimic3, {"CATEGORY": "Discharge summary", "HADM_ID": 11, "CHARTDATE": "2150-01-01", "TEXT": TELLING})


SUMMARY = ("Discharge summary",)


@pytest.mark.parametrize("seen", [False, True], ids=["kept out", "let in"])
@pytest.mark.parametrize(
    ("plant", "settings"),
    [
        *((plant, {}) for plant in (late, late_report, undated_report, error)),
        *((plant, {"note_categories": SUMMARY}) for plant in (own_summary, nameless_summary, later_summary)),
    ],
)
def test_a_telling_text_reaches_an_input_only_where_its_rule_lets_it_in(
    mimic3: RawFolder, mimic4: RawFolder, plant: Callable[..., Path], settings: dict[str, Any], seen: bool
) -> None:
    assert seen_at_48_hours(plant(mimic3, mimic4, seen=seen), **settings) == ([TELLING] if seen else [])


def test_rows_of_a_cache_begin_when_the_note_was_known(mimic3: RawFolder, tmp_path: Path) -> None:
    times = {"CHARTTIME": "2150-01-02 23:00:00"}
    stored = ("2150-01-03 00:00:00", "2150-01-03 00:00:01")
    raw = write3(mimic3, *({**times, "STORETIME": time, "TEXT": f"Stored {time}"} for time in stored))
    extract(MimicDataSet(raw, Options(modalities=("notes",))), tmp_path / "cache", Encoders("random", "random"))
    cache = FeatureCache.open(tmp_path / "cache")
    everything, inputs = cache.modality("notes"), cache.task_inputs("mortality")["notes"]
    assert everything.items["time"].to_list() == [48, pytest.approx(48 + 1 / 3600)]
    assert everything.items["rows"].to_list() == [9, 9]  # Stored 2150 01 03 00 00 00 and two special tokens
    assert (inputs.time == 48).all() and len(inputs.time) == 9
    assert TELLING not in cache.quarantine.write_csv()


def test_the_summary_of_an_earlier_admission_is_history(mimic3: RawFolder) -> None:
    mimic3.add("ADMISSIONS", SUBJECT_ID=1, HADM_ID=9, ADMITTIME="2149-12-01 00:00:00", DISCHTIME="2149-12-30 12:00:00")
    raw = write3(mimic3, {"CATEGORY": "Discharge summary", "HADM_ID": 9, "CHARTDATE": "2149-12-30", "TEXT": "Home."})
    assert texts_of(read(raw, note_categories=SUMMARY)) == []
    items = read(raw, note_categories=SUMMARY, note_history_hours=48)
    assert (texts_of(items), hours_of(items)) == (["Home."], [(-48, -24)])


def test_notes_are_the_texts_of_a_folder_that_has_them(mimic3: RawFolder) -> None:
    assert MimicDataSet(mimic3.write()).modalities == ("ehr",)
    assert MimicDataSet(write3(mimic3)).modalities == ("ehr", "notes")


def test_of_notes_and_reports_with_the_same_texts_one_is_taken(mimic4: RawFolder) -> None:
    raw = write4(mimic4, {"charttime": "2180-01-01 02:00:00"})
    assert MimicDataSet(raw).modalities == ("ehr", "notes")
    add_images(mimic4)
    assert MimicDataSet(mimic4.write()).modalities == ("ehr", "cxr", "rep")
    assert MimicDataSet(raw, Options(modalities=("rep", "notes"))).modalities == ("rep", "notes")


def test_notes_that_are_not_there_are_named(mimic3: RawFolder, mimic4: RawFolder) -> None:
    with pytest.raises(MissingInputError, match=r"has no NOTEEVENTS\.csv"):
        MimicDataSet(mimic3.write(), Options(modalities=("notes",))).inputs()
    raw = write4(mimic4, {"charttime": "2180-01-01 02:00:00"})
    with pytest.raises(MissingInputError, match=r"has no note/discharge\.csv"):
        MimicDataSet(raw, Options(modalities=("notes",), note_categories=SUMMARY)).inputs()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"note_categories": ("Nurses",)}, r"'Nurses': there is no such category; known are Radiology,.* 'Nursing'\?"),
        ({"note_history_hours": -1.0}, "--note-history-hours -1"),
        ({"select": ("notes=newest",)}, "--select 'notes=newest': write MODALITY=ROWS"),
        ({"select": ("notes=last:0",)}, "--select 'notes=last:0': write"),
        ({"select": ("notes=last:5", "notes=all")}, "notes has a rule already"),
        ({"select": ("cxr=all:8",)}, "Unknown modality of items 'cxr'"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused(mimic3: RawFolder, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_dataset("mimic", write3(mimic3), options).inputs()


def test_tasks_see_the_last_notes_unless_told_otherwise(mimic3: RawFolder, mimic4: RawFolder) -> None:
    three = open_dataset("mimic", write3(mimic3), {"modalities": ("notes",)})
    assert {task.name: task.select for task in tasks_of(three.read(Quarantine()))} == {
        name: {"notes": {"rows": "last", "max": 5}}
        for name in ("mortality", "phenotyping", "decompensation", "length_of_stay")
    }
    add_images(mimic4)
    four = open_dataset("mimic", mimic4.write(), {"modalities": ("cxr", "rep"), "select": ("cxr=all:8",)})
    assert tasks_of(four.read(Quarantine()))[0].select == {"cxr": {"rows": "all", "max": 8}, "rep": {"rows": "last"}}


@pytest.mark.parametrize(
    ("asked", "window", "images"),
    [
        ("cxr=all:8", 48, ["b", "e"]),
        ("cxr=all:8", None, ["b", "e", "c"]),
        ("cxr=all:2", None, ["e", "c"]),
        ("cxr=first", None, ["b"]),
        ("cxr=last:2", 48, ["b", "e"]),
    ],
)
def test_images_of_the_window_as_many_as_asked_for(
    mimic4: RawFolder, asked: str, window: float | None, images: list[str]
) -> None:
    add_images(mimic4)
    dataset = open_dataset("mimic", mimic4.write(), {"modalities": ("cxr",), "select": (asked,)})
    records = dataset.read(Quarantine())
    rule = tasks_of(records)[0].select["cxr"]
    assert chosen(records, window, rule) == images  # b is of hour 1, e of 24, c of 50


def test_a_dry_run_counts_the_notes_and_a_look_names_their_table(mimic3: RawFolder, tmp_path: Path) -> None:
    raw = write3(mimic3, {"CHARTTIME": "2150-01-01 02:00:00"}, {"CHARTTIME": "2150-01-01 03:00:00", "TEXT": "Awake."})
    found = extract(MimicDataSet(raw), tmp_path / "cache", Encoders("random", "random"), dry_run=True)
    assert found.pending == {"ehr": 1, "notes": 2}
    checks = {check.name: (check.state, check.finding) for check in recognise(raw)}
    assert checks["notes"] == ("ok", "NOTEEVENTS.csv")
    (raw / "NOTEEVENTS.csv").unlink()
    state, finding = {check.name: (check.state, check.finding) for check in recognise(raw)}["notes"]
    assert (state, "has no NOTEEVENTS.csv" in finding) == ("note", True)


def test_notes_keep_the_contract_of_a_data_set(mimic3: RawFolder) -> None:
    raw = write3(mimic3, {"CHARTTIME": "2150-01-01 02:00:00"}, {"CATEGORY": "Radiology", "CHARTDATE": "2150-01-01"})
    check_dataset(lambda raw: open_dataset("mimic", raw), raw)
