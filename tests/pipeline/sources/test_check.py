"""``omnifuse check``: all that is wrong with a table at once, what its columns become, and a draft that works."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from omnifuse.cache_schema import FeatureCache
from omnifuse.cli import main
from PIL import Image

OWN = (
    "PatientNr,Fall,outcome,Alter,Geschlecht,Befund,Datei,Aufnahme,leer,Code\n"
    "7,1,0,60.5,M,Die Lunge ist frei.,a.png,01.02.2020,,J18.0\n"
    "7,2,1,61,W,Kleiner Erguss links.,a.png,02.02.2020,,J18.1\n"
    "8,3,1,<5,M,NA,,03.02.2020,,J18.2\n"
    "9,4,0,62,W,Kein Befund heute.,a.png,,,J18.3\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "samples.csv").write_text(OWN)
    return tmp_path


def call(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(map(str, arguments)))
    return result.exit_code, result.stderr if result.exit_code == 2 else result.stdout


def checked(*arguments: object) -> tuple[int, dict[str, object]]:
    code, text = call("check", *arguments, "--json")
    return code, json.loads(text)


def problems(found: dict[str, object]) -> list[tuple[str, str, str]]:
    return [(entry["where"], entry["value"], entry["problem"]) for entry in found["problems"]]  # type: ignore[attr-defined]


def test_of_a_plain_table_it_says_what_each_column_becomes_and_what_is_wrong(folder: Path) -> None:
    code, found = checked(folder / "samples.csv")
    assert (code, found["rows"]) == (1, 4)
    assert found["columns"] == {
        "PatientNr": "the patient",
        "Fall": "the id of the sample",
        "outcome": "the label outcome (binary)",
        "Alter": "numbers of the modality num",
        "Geschlecht": "categories of the modality cat: M, W",
        "Befund": "texts, the modality Befund",
        "Datei": "image files, the modality Datei",
        "Aufnahme": "not read: dates and times; one called t0 is the time from which events count",
        "leer": "not read: nothing in it",
        "Code": "not read: many short values, such as ids or codes",
    }
    assert problems(found) == [("row 4, Alter", "<5", "no finite number")]
    assert found["notes"] == []


def test_the_draft_is_a_description_with_which_the_table_is_extracted(folder: Path) -> None:
    assert call("check", folder / "samples.csv", "--out", folder / "columns.yaml")[0] == 1
    arguments = ("--samples", folder / "samples.csv", "--columns", folder / "columns.yaml", "--cache", folder / "cache")
    encoders = ("--text-encoder", "random", "--image-encoder", "random", "--workers", 0)
    assert call("extract", "--dataset", "files", *arguments, *encoders)[0] == 0
    cache = FeatureCache.open(folder / "cache")
    assert sorted(cache.modalities) == ["Befund", "Datei", "cat", "num"]
    assert cache.samples.rows() == [(1, 7), (2, 7), (3, 8), (4, 9)]
    assert cache.task("outcome").kind == "binary"
    assert (
        checked(folder / "samples.csv", "--columns", folder / "columns.yaml")[1]["yaml"]
        in (folder / "columns.yaml").read_text()
    )


def test_what_is_to_be_predicted_is_drafted_as_no_input_and_refused_as_one(tmp_path: Path) -> None:
    rows = "".join(f"s{n},{n}.5,{n + 1},{n % 2},{60 + n}\n" for n in range(12))
    (tmp_path / "stays.csv").write_text(f"sample_id,los,death_time,death_event,age\n{rows}")
    labels = ("--label", "los", "--label", "death")
    code, found = checked(tmp_path / "stays.csv", *labels, "--out", tmp_path / "draft.yaml")
    assert code == 0
    assert found["columns"] == {
        "sample_id": "the id of the sample",
        "los": "the label los (regression)",
        "death_time": "the label death (survival)",
        "death_event": "the label death (survival)",
        "age": "numbers of the modality num",
    }
    assert (tmp_path / "draft.yaml").read_text() == "sample_id: sample_id\nnum:age: age\n"
    (tmp_path / "draft.yaml").write_text("num:age: age\nnum:days: death_time\n")
    given = ("--samples", tmp_path / "stays.csv", "--columns", tmp_path / "draft.yaml", "--cache", tmp_path / "cache")
    code, said = call("extract", "--dataset", "files", *given, *labels)
    assert code == 2
    assert "the column 'death_time' is to be predicted, and would be an input of 'num'" in said


def test_a_time_to_an_event_is_drafted_as_no_input_even_where_no_label_is_named(tmp_path: Path) -> None:
    rows = "".join(f"s{n},{n + 1},{n % 2},{5 * n + 1},{60 + n}\n" for n in range(12))
    (tmp_path / "stays.csv").write_text(f"sample_id,death_time,death_event,lab_time,age\n{rows}")
    code, found = checked(tmp_path / "stays.csv")
    assert code == 0
    assert found["columns"] == {
        "sample_id": "the id of the sample",
        "death_time": "not read: a time to an event; --label death",
        "death_event": "not read: a time to an event; --label death",
        "lab_time": "numbers of the modality num",
        "age": "numbers of the modality num",
    }


def test_all_problems_are_listed_and_none_hides_another(folder: Path) -> None:
    (folder / "samples.csv").write_text(
        "sample_id,subject_id,label,part,txt:note,num:age,num:mass,cat:sex,image:cxr,Unnamed: 0\n"
        "1,,0,train,a,50,60.5,F,none.png,0\n"
        "1,1,1,train,b,51,33,M,,1\n"
        "2,1,maybe,dev,c,old,33,F,,2\n"
        ",1,1,test,d,52,33,F,,3\n"
        'x,1,1,test,e,,"33,9",F,a.png,4\n'
    )
    code, found = checked(folder / "samples.csv", "--split", "part", "--keep", "weight")
    assert code == 1
    refused = [problem for where, _, problem in problems(found) if not where]
    assert [problem.split(";")[0] for problem in refused] == [
        "unknown column 'txt:note'",
        f"{folder / 'samples.csv'} has no column 'weight'",
        "row 2: sample 1 has no subject_id",
        "row 4: label is 'maybe'",
        "row 4: part is 'dev'",
        "the column 'num:mass' has numbers with a comma (row 6: '33,9') and others with a point. "
        "Write all with a point.",
    ]
    assert [problem for problem in problems(found) if problem[0]] == [
        ("row 5", "", "sample_id is empty"),
        ("row 3", "1", "sample_id is repeated"),
        ("row 4, num:age", "", "no finite number"),
        ("row 2, image:cxr, image 1", "", "the file is missing"),
    ]
    assert found["columns"]["Unnamed: 0"] == "not read: row numbers or names"  # type: ignore[index]


def test_events_are_checked_beside_the_table(folder: Path) -> None:
    (folder / "samples.csv").write_text("sample_id,subject_id,label\na,1,0\nb,1,1\n")
    (folder / "events.csv").write_text("sample_id,time,variable,value\na,1,HR,80\na,2,HR,<5\n")
    code, found = checked(folder / "samples.csv", "--events", f"vitals={folder / 'events.csv'}")
    assert (code, problems(found)) == (1, [("events.csv, row 3, HR", "<5", "no finite number")])


def test_a_table_without_problems_exits_with_0_and_says_what_is_not_known_of_patients(folder: Path) -> None:
    (folder / "samples.csv").write_text("sample_id,label,num:age\na,1,5\nb,0,6\n")
    code, text = call("check", folder / "samples.csv")
    assert code == 0
    assert "No problems." in text
    assert "There is no subject_id: every sample is taken for a patient of its own." in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing.csv",), "There is no file nothing.csv"),
        (("samples.csv", "--columns", "no.yaml"), "There is no file no.yaml"),
        (("samples.csv", "--out", "samples.csv"), "samples.csv exists already"),
    ],
)
def test_what_cannot_be_read_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(folder)
    code, text = call("check", *arguments)
    assert (code, message in text) == (2, True), text
