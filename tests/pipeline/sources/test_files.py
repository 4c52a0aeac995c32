"""A user's own table of texts, image files and numbers."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from omnifuse.cache_schema import FeatureCache, InputError, MissingInputError
from omnifuse.cli import main
from omnifuse.pipeline.core.plan import Encoders
from omnifuse.pipeline.core.stages import Extraction, extract
from omnifuse.pipeline.source import Quarantine, Records
from omnifuse.pipeline.sources.files.data_set import FilesDataSet
from omnifuse.pipeline.tables.sample_table import SampleColumns
from PIL import Image

HEADER = "sample_id,subject_id,label,text:note,image:cxr,num:age,num.labs:Na\n"
TABLE = HEADER + (
    "c,2,0,Clear lungs.,images/c.png,50,140\n"
    "a,1,1,Large effusion.,images/a1.png; images/a2.png,70,\n"
    "b,1,,Clear lungs.,,,\n"
    "d,3,1,,images/none.png,old,135\n"
)
RENAMED = "PatientNr,outcome,Befund,file,Age,a: b\n1,0,Clear lungs.,images/c.png,50,x\n2,1,,,70,y\n"
MAPPING = "sample_id: PatientNr\nlabel: outcome\ntext:note: Befund\nimage:cxr: file\nnum:age: Age\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for number, name in enumerate(("a1", "a2", "c")):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 32), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{name}.png")
    (tmp_path / "samples.csv").write_text(TABLE)
    return tmp_path


def read(folder: Path, *, mapping: Path | None = None, **columns: object) -> tuple[Records, Quarantine]:
    dataset = FilesDataSet(folder / "samples.csv", mapping, SampleColumns(**columns))  # type: ignore[arg-type]
    dataset.inputs()
    quarantine = Quarantine()
    return dataset.read(quarantine), quarantine


def run(folder: Path) -> Extraction:
    return extract(FilesDataSet(folder / "samples.csv"), folder / "cache", Encoders("random", "random"))


def call(*arguments: object) -> tuple[int, str]:
    encoders = ("--text-encoder", "random", "--image-encoder", "random", "--workers", 0)
    result = CliRunner().invoke(main, ["extract", *map(str, (*arguments, *encoders))])
    return result.exit_code, result.stderr if result.exit_code else result.stdout


def test_every_kind_of_column_becomes_a_modality(folder: Path) -> None:
    assert run(folder).pending == {"num": 4, "labs": 4, "note": 2, "cxr": 3}
    cache = FeatureCache.open(folder / "cache")
    assert cache.samples["sample_id"].to_list() == ["a", "b", "c", "d"]
    assert cache.samples["subject_id"].to_list() == [1, 1, 2, 3]
    assert cache.modality("cxr").lengths.tolist() == [2, 0, 1, 0]
    assert cache.modality("note").present.tolist() == [True, True, True, False]
    assert cache.modality("num").present.tolist() == [True, False, True, False]
    assert cache.modality("num").values[:].tolist() == [[70.0], [50.0]]
    assert cache.modality("labs").present.tolist() == [False, False, True, True]
    assert cache.verify().passed


def test_equal_texts_are_one_and_images_keep_their_order(folder: Path) -> None:
    run(folder)
    note, cxr = (FeatureCache.open(folder / "cache").modality(name) for name in ("note", "cxr"))
    np.testing.assert_array_equal(note[1], note[2])
    assert note.items is not None and note.items["digest"].n_unique() == 2
    assert cxr.items is not None and cxr.items["item_id"].to_list() == ["a-01", "a-02", "c-01"]


def test_what_is_wrong_is_quarantined_with_row_and_column(folder: Path) -> None:
    run(folder)
    rows = FeatureCache.open(folder / "cache").quarantine.select("source", "where", "value", "reason").rows()
    assert sorted(rows) == [
        ("cxr", "row 5, image:cxr, image 1", "", "the file is missing"),
        ("samples.csv", "row 5, num:age", "", "no finite number"),
    ]


def test_no_text_is_stored_anywhere(folder: Path) -> None:
    run(folder)
    stored = [path for tree in ("cache", "cache.items") for path in (folder / tree).rglob("*") if path.is_file()]
    assert stored and not [path for path in stored if b"effusion" in path.read_bytes()]


def test_a_second_run_does_nothing_and_a_changed_text_is_encoded_alone(folder: Path) -> None:
    run(folder)
    assert not run(folder).done
    before = FeatureCache.open(folder / "cache").modality("note")[2].tolist()
    (folder / "samples.csv").write_text(TABLE.replace("Large effusion.", "Small effusion."))
    again = run(folder)
    assert (again.pending["note"], again.pending["cxr"]) == (1, 0)
    assert FeatureCache.open(folder / "cache").modality("note")[2].tolist() == before


def test_an_image_that_comes_later_is_noticed(folder: Path) -> None:
    run(folder)
    (folder / "images" / "c.png").rename(folder / "images" / "none.png")
    assert run(folder).done
    assert FeatureCache.open(folder / "cache").modality("cxr").lengths.tolist() == [2, 0, 0, 1]


def test_a_column_without_any_content_is_a_modality_that_nobody_has(folder: Path) -> None:
    (folder / "samples.csv").write_text("sample_id,text:note,image:cxr\na,Clear.,\nb,,\n")
    run(folder)
    cache = FeatureCache.open(folder / "cache")
    assert cache.modality("cxr").lengths.tolist() == [0, 0]
    assert cache.modality("note").present.tolist() == [True, False]


def test_absolute_paths_are_taken_and_impossible_ones_quarantined(folder: Path) -> None:
    image = folder / "images" / "c.png"
    (folder / "samples.csv").write_text(f"sample_id,image:cxr\na,{image}\nb,{'x' * 5000}\nc,images\n")
    records, quarantine = read(folder)
    assert records.items[0].items["path"].to_list() == [str(image), str(folder / "images")]
    assert quarantine.frame().select("where", "reason").rows() == [
        ("row 3, image:cxr, image 1", "cannot be the name of a file")
    ]
    run(folder)
    assert FeatureCache.open(folder / "cache").modality("cxr").lengths.tolist() == [1, 0, 0]


def test_the_column_label_is_predicted_unless_others_are_named(folder: Path) -> None:
    (task,) = read(folder)[0].tasks({})
    assert (task.name, task.kind) == ("label", "binary")
    np.testing.assert_array_equal(task.y[:, 0], [1, np.nan, 0, 1])
    (task,) = read(folder, labels=("risk=label",))[0].tasks({})
    assert (task.name, task.kind) == ("risk", "multilabel")


def test_rows_with_the_id_of_another_are_quarantined_and_lines_stay_those_of_the_file(folder: Path) -> None:
    (folder / "samples.csv").write_text("sample_id,label,num:age\nb,1,5\nb,0,6\n,0,7\na,2,8\n")
    with pytest.raises(InputError, match="has the values 1, 2"):
        read(folder)
    with pytest.raises(InputError, match=r"samples.csv, row 5: label is '2'; expected 0, 1 or nothing"):
        read(folder, labels=("risk=label",))
    (folder / "samples.csv").write_text("sample_id,num:age\nb,5\nb,6\n,7\na,8\n")
    records, quarantine = read(folder)
    assert records.samples["sample_id"].to_list() == ["a", "b"]
    (block,) = records.tables[0].blocks(quarantine)
    assert block.values.tolist() == [[8.0], [5.0]]
    assert quarantine.frame().select("where", "reason").rows() == [
        ("row 3", "sample_id is repeated"),
        ("row 4", "sample_id is empty"),
    ]


def test_a_mapping_says_the_same_of_a_table_that_cannot_be_renamed(folder: Path) -> None:
    (folder / "samples.csv").write_text(RENAMED)
    (folder / "columns.yaml").write_text(MAPPING)
    records, quarantine = read(folder, mapping=folder / "columns.yaml")
    assert records.samples.rows() == [(1, 1), (2, 2)]
    assert [item.name for item in records.items] == ["note", "cxr"]
    assert list((records.items[0].texts or {}).values()) == ["Clear lungs."]
    (block,) = records.tables[0].blocks(quarantine)
    assert block.values.tolist() == [[50.0], [70.0]]
    assert records.tasks({})[0].name == "outcome"


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ("txt:note: Befund", r"columns.yaml: unknown column 'txt:note'; known are text:NAME"),
        ("patient: PatientNr", r"columns.yaml: unknown column 'patient'"),
        ("text:note: Nothing", r"samples.csv has no column 'Nothing'; it has PatientNr"),
        ("num:age: 1", r"'num:age': 1 is not the name of a column; write numbers in quotes"),
        ("- a", "names no columns"),
        ("a: [", "is no YAML"),
        ("sample_id: PatientNr", "has no column of contents"),
    ],
)
def test_mappings_that_cannot_be_meant(folder: Path, mapping: str, message: str) -> None:
    (folder / "samples.csv").write_text(RENAMED)
    (folder / "columns.yaml").write_text(mapping if mapping[0] in "-as" else f"sample_id: PatientNr\n{mapping}\n")
    with pytest.raises(InputError, match=message):
        read(folder, mapping=folder / "columns.yaml")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("sample_id,txt:note", "unknown column 'txt:note'; known are text:NAME, image:NAME, num:COLUMN"),
        ("sample_id,text.a:note", "unknown column 'text.a:note'"),
        ("sample_id,text:x,image:x", "the modality 'x' is both text and image"),
        ("sample_id,num:x,num.num:x", "'num' has two columns 'x'"),
        ("sample_id,text:../x", r"the modality of 'text:../x', '../x': use letters"),
        ("sample_id,age", "has no column of contents"),
        ("id,text:x", "has no column 'sample_id'"),
    ],
)
def test_headers_that_cannot_be_meant(folder: Path, header: str, message: str) -> None:
    (folder / "samples.csv").write_text(header + "\n")
    with pytest.raises(InputError, match=message):
        read(folder)


def test_files_that_are_not_there_are_named(folder: Path) -> None:
    with pytest.raises(MissingInputError, match=r"There is no file .*no\.yaml"):
        FilesDataSet(folder / "samples.csv", folder / "no.yaml")


class TestCommand:
    def test_options_reach_the_data_set(self, folder: Path) -> None:
        text = "sample_id,died,part,age,text:note,num:x\nb,1,test,60,Clear.,1\na,0,train,50,Full.,2\nc,0,,40,,3\n"
        (folder / "samples.csv").write_text(text)
        options = ("--label", "died", "--split", "part", "--keep", "age", "--modalities", "note", "--limit", 2)
        cache = folder / "cache"
        arguments = ("--dataset", "files", "--samples", folder / "samples.csv", *options, "--cache", cache, "--json")
        code, output = call(*arguments)
        assert code == 0
        assert json.loads(output)["pending"] == {"note": 2}
        assert FeatureCache.open(cache).samples["age"].to_list() == [50, 60]
        assert json.loads(call(*arguments)[1])["done"] is False

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--dataset", "files"), "--dataset files needs --samples: Your own table"),
            (("--dataset", "files", "--samples", "x.csv", "--raw", "."), "leave --raw out"),
            (
                ("--dataset", "mimic", "--raw", ".", "--label", "died"),
                "mimic has no option --label, which is for: files, imported",
            ),
            (("--dataset", "files", "--samples", "x.csv"), "There is no file x.csv"),
            (("--dataset", "none"), "Known are: mimic, physionet2012, "),
        ],
    )
    def test_options_that_do_not_fit_are_explained(
        self, folder: Path, arguments: tuple[str, ...], message: str
    ) -> None:
        code, text = call(*arguments, "--cache", folder / "cache")
        assert (code, message in text) == (2, True), text
