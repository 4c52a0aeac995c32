"""Published splits: lists of subjects become parts of samples, or an error that names the row."""

import gzip
from pathlib import Path

import polars as pl
import pytest
from omnifuse.cache_schema import InputError, MissingInputError
from omnifuse.pipeline.source import Quarantine
from omnifuse.pipeline.sources import open_dataset
from omnifuse.pipeline.tables.splits import read_split, split_name

SAMPLES = pl.DataFrame({"sample_id": [1, 2, 3, 4, 5], "subject_id": [10, 10, 20, 30, 40]})


@pytest.fixture
def listed(tmp_path: Path):
    def write(*rows: str, header: str = "subject_id,split") -> Path:
        path = tmp_path / "split.csv"
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    return write


def test_all_samples_of_a_subject_are_in_its_part(listed) -> None:
    parts = read_split(listed("20,val", "10,test", "30, train", "20,validation", "99,test", "40,train"), SAMPLES)
    assert parts.rows() == [(1, "test"), (2, "test"), (3, "validation"), (4, "train"), (5, "train")]


def test_subjects_that_a_list_of_test_and_validation_does_not_name_are_trained_on(listed) -> None:
    parts = read_split(listed("20,val", "10,test"), SAMPLES)
    assert parts.rows() == [(1, "test"), (2, "test"), (3, "validation"), (4, "train"), (5, "train")]


def test_subjects_that_a_list_with_training_subjects_does_not_name_are_in_no_part(listed) -> None:
    parts = read_split(listed("20,train", "10,test"), SAMPLES)
    assert parts.rows() == [(1, "test"), (2, "test"), (3, "train")]


def test_training_subjects_of_another_cohort_leave_the_unlisted_out_too(listed) -> None:
    assert read_split(listed("99,train", "10,test"), SAMPLES).rows() == [(1, "test"), (2, "test")]


def test_a_list_may_be_written_by_other_programs(listed) -> None:
    assert read_split(listed("10.0;test", "20.0;val", header="subject_id;split"), SAMPLES)["part"].to_list() == [
        "test", "test", "validation", "train", "train",
    ]  # fmt: skip


def test_samples_in_no_part_are_counted(mimic3, stay3, listed) -> None:
    stay3(mimic3, subject=2, hadm=20, stay=200)
    quarantine = Quarantine()
    splits = (listed("1,train"),)
    records = open_dataset("mimic", mimic3.write(), splits=splits).read(quarantine)
    assert records.splits["split"].rows() == [(100, "train")]
    counts = {reason: n for stage, source, reason, n in quarantine.counts().rows() if source == "split"}
    assert counts == {"the sample's subject is in no part of the split": 1}


MIMIC_CXR = "dicom_id,study_id,subject_id,split\na0,50,10,train\na1,51,10,train\nb0,52,20,validate\nc0,53,30,test\n"


@pytest.mark.parametrize("name", ["mimic-cxr-2.0.0-split.csv", "mimic-cxr-2.0.0-split.csv.gz"])
def test_the_split_of_mimic_cxr_is_read_as_it_is(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(MIMIC_CXR.encode()) if name.endswith(".gz") else MIMIC_CXR.encode())
    parts = read_split(path, SAMPLES)
    assert parts.rows() == [(1, "train"), (2, "train"), (3, "validation"), (4, "test")]
    assert split_name(path) == "mimic-cxr-2_0_0-split"


def test_a_name_with_brackets_is_no_pattern(tmp_path: Path) -> None:
    (tmp_path / "split1.csv").write_text("subject_id,split\n10,test\n")
    path = tmp_path / "split[12].csv"
    path.write_text("subject_id,split\n10,val\n")
    assert read_split(path, SAMPLES)["part"].to_list() == ["validation", "validation", "train", "train", "train"]


def test_subjects_may_be_named_by_text(listed) -> None:
    samples = pl.DataFrame({"sample_id": ["a", "b"], "subject_id": ["p1", "p2"]})
    assert read_split(listed("p2,test"), samples)["part"].to_list() == ["train", "test"]


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (
            ["10,train", "20,dev"],
            "subject_id,split",
            r"split.csv, row 3: split is 'dev'; expected a subject, and one of train, val",
        ),
        (["10,train", "10,test"], "subject_id,split", "puts subject 10 into train and test"),
        (
            ["77,train", "78,test"],
            "subject_id,split",
            "lists 2 subjects, none of which is in the cohort .subjects 10, 10, 20",
        ),
        (["10,train"], "subject,split", "no column subject_id; it has subject, split"),
        (
            ["20,0"],
            "10,1",
            "no column subject_id, split; it has 10, 1.*a folder with the benchmark's testset.csv and val",
        ),
        (["10"], "subject_id,split", "line 2 has 1 fields, the header 2"),
        (["10,"], "subject_id,split", "row 2: split is ''"),
        (["NA,test"], "subject_id,split", "row 2: no subject"),
    ],
    ids=["part", "twice", "other data set", "header", "one list of the benchmark", "short", "empty", "nobody"],
)
def test_a_wrong_list_is_named(listed, rows: list[str], header: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_split(listed(*rows, header=header), SAMPLES)


@pytest.fixture
def benchmark_lists(tmp_path: Path):
    """Write lists as the benchmark has them: without a header, 1 for a subject that is in the part."""

    def write(testset: str | None, valset: str | None = None) -> Path:
        for name, content in {"testset.csv": testset, "valset.csv": valset}.items():
            if content is not None:
                (tmp_path / name).write_text(content)
        return tmp_path

    return write


def test_the_benchmark_lists_the_subjects_of_test_and_validation_in_files_of_their_own(benchmark_lists) -> None:
    parts = read_split(benchmark_lists("10,1\n20,0\n30,0\n", "20,1\n30,0\n"), SAMPLES)
    assert parts.rows() == [(1, "test"), (2, "test"), (3, "validation"), (4, "train"), (5, "train")]


def test_without_a_list_for_validation_there_is_none(benchmark_lists) -> None:
    parts = read_split(benchmark_lists("10,1\n20,0\n"), SAMPLES)
    assert parts["part"].to_list() == ["test", "test", "train", "train", "train"]


@pytest.mark.parametrize(
    ("testset", "valset", "message"),
    [
        ("10,1\n20,0\n", "10,1\n", "puts subject 10 into test and validation"),
        (
            "subject_id,test\n10,1\n",
            "20,1\n",
            r"testset.csv, row 1: mark is 'test'; expected a subject, and one of 0, 1",
        ),
        ("10\n20\n", "20,1\n", r"testset.csv, line 1 has 1 fields, expected 2"),
        (None, "20,1\n", r"has no testset.csv; a folder given with --splits holds"),
    ],
    ids=["in both", "with a header", "one column", "no list for test"],
)
def test_a_wrong_list_of_the_benchmark_is_named(
    benchmark_lists, testset: str | None, valset: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_split(benchmark_lists(testset, valset), SAMPLES)


def test_the_lists_of_the_port_to_mimic4_have_names_of_their_own(benchmark_lists) -> None:
    folder = benchmark_lists("10,1\n", "20,1\n")
    for name in ("testset", "valset"):
        (folder / f"{name}.csv").rename(folder / f"{name}_iv.csv")
    assert read_split(folder, SAMPLES)["part"].to_list() == ["test", "test", "validation", "train", "train"]
    benchmark_lists("30,1\n")
    with pytest.raises(InputError, match=r"holds testset.csv and testset_iv.csv; keep the testset of this data set"):
        read_split(folder, SAMPLES)


def test_every_list_of_the_benchmark_decides_what_is_done_again(mimic3, benchmark_lists) -> None:
    folder = benchmark_lists("10,1\n")
    dataset = open_dataset("mimic", mimic3.write(), splits=(folder,))
    before = dataset.settings()["splits"]
    benchmark_lists("10,1\n", "20,1\n")
    assert set(before) == {folder.name} and dataset.settings()["splits"] != before


def test_files_give_names(tmp_path: Path) -> None:
    assert split_name(Path("a/split mimic3.v1.csv")) == "split_mimic3_v1"
    paths = (tmp_path / "one/split.csv", tmp_path / "two/split.csv")
    with pytest.raises(InputError, match="give a split of one name; rename one"):
        open_dataset("mimic", tmp_path, splits=paths)


def test_a_missing_file_is_named(mimic3, tmp_path: Path) -> None:
    dataset = open_dataset("mimic", mimic3.write(), splits=(tmp_path / "no.csv",))
    with pytest.raises(MissingInputError, match=r"no file .*no\.csv"):
        dataset.settings()


def test_the_published_list_of_mimic3(shared_data) -> None:
    """23,556 train, 5,172 validation and 5,070 test subjects."""
    path = shared_data("mimic-splits") / "split_mimic3.csv"
    subjects = pl.read_csv(path).select("subject_id", sample_id="subject_id")
    parts = read_split(path, subjects)["part"].value_counts()
    assert dict(parts.iter_rows()) == {"train": 23_556, "validation": 5_172, "test": 5_070}
