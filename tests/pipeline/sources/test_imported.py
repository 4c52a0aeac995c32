"""Features that a user brings along: joined by id, labelled, split, and imported into a cache."""

import gzip
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omnifuse.cache_schema import FeatureCache, InputError, MissingInputError
from omnifuse.cli import main
from omnifuse.pipeline.source import Quarantine, Records
from omnifuse.pipeline.sources.imported.data_set import ImportedDataSet

SAMPLES = "sample_id,subject_id,died,age,part\nb,1,1,70,test\na,2,0,60,train\nc,2,,50,train\n"
RNA = "sample_id,g1,g2\na,1,2.5\nb,,\nc,3,\n"


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    (tmp_path / "samples.csv").write_text(SAMPLES)
    (tmp_path / "rna.csv").write_text(RNA)
    return tmp_path


def imported(folder: Path, labels: tuple[str, ...] = ("died",), **how: object) -> ImportedDataSet:
    how.setdefault("features", {"rna": folder / "rna.csv"})
    return ImportedDataSet(folder / "samples.csv", labels=labels, **how)


def read(dataset: ImportedDataSet) -> tuple[Records, Quarantine]:
    quarantine = Quarantine()
    return dataset.read(quarantine), quarantine


def rows(folder: Path, **how: object) -> tuple[dict[object, list[float]], Quarantine]:
    """Rows of the first modality by sample, NaN as None."""
    records, quarantine = read(imported(folder, **how))
    (block,) = records.tables[0].blocks(quarantine)
    values = [[None if np.isnan(x) else x for x in row] for row in block.values.tolist()]
    assert block.lengths.tolist() == [1] * len(values)
    return dict(zip(block.sample_ids.tolist(), values, strict=True)), quarantine


def reasons(quarantine: Quarantine) -> dict[str, int]:
    return {row["reason"]: row["count"] for row in quarantine.counts().iter_rows(named=True)}


def call(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["cache", "import", *map(str, arguments)])
    return result.exit_code, result.stderr if result.exit_code else result.stdout


def test_features_may_lie_in_another_folder_than_the_samples(tables: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "omics"
    elsewhere.mkdir()
    (tables / "rna.csv").rename(elsewhere / "rna.csv")
    (tmp_path / "cohort").mkdir()
    (tables / "samples.csv").rename(tmp_path / "cohort" / "samples.csv")
    arguments = ("--samples", tmp_path / "cohort" / "samples.csv", "--features", f"rna={elsewhere / 'rna.csv'}")
    code, text = call(*arguments, "--label", "died", "--cache", tmp_path / "cache")
    assert code == 0, text
    assert call(*arguments, "--label", "died", "--cache", tmp_path / "cache")[1].startswith("Nothing to do")


def test_rows_are_joined_by_id_and_a_row_without_numbers_is_missing(tables: Path) -> None:
    found, quarantine = rows(tables)
    assert found == {"a": [1.0, 2.5], "c": [3.0, None]}
    assert quarantine.total == 0


def test_samples_are_sorted_and_columns_are_stored_only_if_wanted(tables: Path) -> None:
    assert read(imported(tables))[0].samples.columns == ["sample_id", "subject_id"]
    samples = read(imported(tables, keep=("age",)))[0].samples
    assert samples.to_dict(as_series=False) == {
        "sample_id": ["a", "b", "c"],
        "subject_id": [2, 1, 2],
        "age": [60, 70, 50],
    }


def test_ids_are_numbers_only_if_all_are_written_as_such(tables: Path) -> None:
    (tables / "samples.csv").write_text("sample_id\n10\n9\n")
    samples = read(imported(tables, labels=()))[0].samples
    assert samples["sample_id"].to_list() == samples["subject_id"].to_list() == [9, 10]
    (tables / "samples.csv").write_text("sample_id\n010\n9\n")
    assert read(imported(tables, labels=()))[0].samples["sample_id"].to_list() == ["010", "9"]


def test_labels_follow_their_samples_and_empty_is_unknown(tables: Path) -> None:
    (task,) = read(imported(tables))[0].tasks({})
    assert (task.name, task.kind, task.labels) == ("died", "binary", ("died",))
    np.testing.assert_array_equal(task.y[:, 0], [0, 1, np.nan])
    assert task.counts == (("samples of the table", 3), ("with a known label", 2))


def test_three_or_more_values_are_classes_in_order(tables: Path) -> None:
    (tables / "samples.csv").write_text("sample_id,grade\na,10\nb,9\nc,1\nd,9\n")
    (task,) = read(imported(tables, labels=("grade",)))[0].tasks({})
    assert (task.kind, task.labels, task.y[:, 0].tolist()) == ("multiclass", ("1", "9", "10"), [2, 1, 0, 1])
    (tables / "samples.csv").write_text("sample_id,grade\na,low\nb,high\nc,mid\nd,\n")
    (task,) = read(imported(tables, labels=("grade",)))[0].tasks({})
    assert task.labels == ("high", "low", "mid")
    np.testing.assert_array_equal(task.y[:, 0], [1, 0, 2, np.nan])


def test_several_columns_make_one_task_of_several_labels(tables: Path) -> None:
    (tables / "samples.csv").write_text("sample_id,sepsis,shock\na,1,0\nb,,true\nc,0,1\n")
    (task,) = read(imported(tables, labels=("outcomes=sepsis,shock",)))[0].tasks({})
    assert (task.name, task.kind, task.labels) == ("outcomes", "multilabel", ("sepsis", "shock"))
    np.testing.assert_array_equal(task.y, [[1, 0], [np.nan, 1], [0, 1]])


def test_a_column_of_parts_makes_a_split(tables: Path) -> None:
    splits = read(imported(tables, split="part"))[0].splits
    assert splits["part"].rows() == [("a", "train"), ("b", "test"), ("c", "train")]


@pytest.mark.parametrize(
    ("samples", "how", "message"),
    [
        ("sample_id,died\na,yes\nb,no\n", {}, "died has the values no, yes. Write 0 and 1"),
        ("sample_id,a,b\nx,1,2\n", {"labels": ("t=a,b",)}, "row 2: b is '2'; expected 0, 1 or nothing"),
        ("sample_id,died\n" + "".join(f"{i},c{i}\n" for i in range(101)), {}, "101 different values"),
        (
            "sample_id,died\n" + "".join(f"{i},{i}\n" for i in range(11)),
            {},
            "11 different numbers. If it is a quantity.*--label died:regression",
        ),
        (
            "sample_id,died,part\na,1,dev\n",
            {"split": "part"},
            "row 2: part is 'dev'; expected train, val, validate, validation, test",
        ),
        ("sample_id,subject_id,died\na,,1\n", {}, "sample a has no subject_id; splits are by patient"),
        ("sample_id,dead or not\na,1\n", {"labels": ("dead or not",)}, "use letters, digits.*such as 'dead_or_not'"),
        ("sample_id,age\na,1\n", {}, r"samples.csv has no column 'died'; it has sample_id, age"),
    ],
)
def test_samples_that_cannot_be_meant(tables: Path, samples: str, how: dict[str, object], message: str) -> None:
    (tables / "samples.csv").write_text(samples)
    with pytest.raises(InputError, match=message):
        read(imported(tables, **how))[0].tasks({})


def test_rows_that_cannot_be_joined_are_quarantined(tables: Path) -> None:
    (tables / "rna.csv").write_text("sample_id,g1\na,1\na,2\nz,3\n,4\n")
    found, quarantine = rows(tables)
    assert found == {"a": [1.0]}
    assert reasons(quarantine) == {
        "sample_id is empty": 1,
        "sample_id is repeated": 1,
        "the sample is not in the table of samples": 1,
    }


def test_cells_that_are_no_numbers_are_quarantined_and_unknown(tables: Path) -> None:
    (tables / "rna.csv").write_text("sample_id,g1,g2\na,high,1\nb,inf,2\nc, 3 ,NaN\n")
    found, quarantine = rows(tables)
    assert found == {"a": [None, 1.0], "b": [None, 2.0], "c": [3.0, None]}
    assert quarantine.frame().select("where", "value").rows() == [("sample a, g1", ""), ("sample b, g1", "")]


def test_a_column_of_text_is_an_error(tables: Path) -> None:
    (tables / "rna.csv").write_text("sample_id,g1,batch\na,1,first\nb,2,second\n")
    with pytest.raises(InputError, match=r"the column 'batch' holds no number \(sample a: 'first'\)"):
        rows(tables)


def test_every_kind_of_file_gives_the_same(tables: Path) -> None:
    values = np.array([[1, 2.5], [np.nan, np.nan], [3, np.nan]])
    frame = pl.DataFrame({"sample_id": ["a", "b", "c"], "g1": values[:, 0], "g2": values[:, 1]})
    frame.write_parquet(tables / "rna.parquet")
    np.savez(tables / "rna.npz", sample_id=np.array(["a", "b", "c"]), values=values, columns=np.array(["g1", "g2"]))
    (tables / "rna.csv.gz").write_bytes(gzip.compress(RNA.encode()))
    (tables / "rna.tsv").write_text(RNA.replace(",", "\t"))
    expected = rows(tables)[0]
    for ending in ("parquet", "npz", "csv.gz", "tsv"):
        dataset = {"rna": tables / f"rna.{ending}"}
        assert rows(tables, features=dataset)[0] == expected
        columns = read(imported(tables, features=dataset))[0].tables[0].columns
        assert [column.name for column in columns] == ["g1", "g2"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rna.csv", b"id,g1\na,1\n", "has no column 'sample_id'; it has id, g1"),
        ("rna.csv", b"", "rna.csv is empty"),
        ("rna.csv", b"sample_id,g1\na,1,2,3\n", "line 2 has 4 fields, the header 2"),
        ("rna.parquet", b"no parquet", "cannot be read"),
        ("rna.npz", b"no archive", "cannot be read"),
        ("rna.xls", b"", r"rna.xls cannot be imported; known are .csv"),
    ],
)
def test_files_that_are_no_tables(tables: Path, name: str, content: bytes, message: str) -> None:
    (tables / name).write_bytes(content)
    dataset = imported(tables, features={"rna": tables / name})
    with pytest.raises(InputError, match=message):
        [list(table.blocks(Quarantine())) for _ in dataset.inputs() for table in read(dataset)[0].tables]


def test_objects_are_never_loaded_from_npz(tables: Path) -> None:
    np.savez(tables / "rna.npz", sample_id=np.array(["a"], dtype=object), values=np.ones((1, 1)))
    with pytest.raises(InputError, match="sample_id holds objects of Python, which are never loaded"):
        imported(tables, features={"rna": tables / "rna.npz"}).inputs()


def test_what_is_not_there_is_named(tables: Path) -> None:
    with pytest.raises(MissingInputError, match=r"There is no file .*cxr.csv"):
        imported(tables, features={"cxr": tables / "cxr.csv"}).inputs()
    with pytest.raises(InputError, match=r"The modality '\.\./x': use letters"):
        imported(tables, features={"../x": tables / "rna.csv"})


class TestCommand:
    def arguments(self, tables: Path, *more: object) -> tuple[object, ...]:
        samples, rna = tables / "samples.csv", tables / "rna.csv"
        return ("--samples", samples, "--features", f"rna={rna}", "--label", "died", "--cache", tables / "cache", *more)

    def test_a_cache_is_made_and_made_again_only_if_something_changed(self, tables: Path) -> None:
        code, text = call(*self.arguments(tables, "--split", "part", "--keep", "age", "--json"))
        assert code == 0
        assert json.loads(text)["pending"] == {"rna": 3}
        cache = FeatureCache.open(tables / "cache")
        assert cache.modality("rna")[0].tolist() == [[1.0, 2.5]]
        assert cache.modality("rna").present.tolist() == [True, False, True]
        assert cache.samples["age"].to_list() == [60, 70, 50]
        assert cache.verify().passed
        again = self.arguments(tables, "--split", "part", "--keep", "age")
        assert "Nothing to do" in call(*again)[1]
        (tables / "rna.csv").write_text(RNA.replace("2.5", "2.75"))
        assert call(*again)[0] == 0
        assert FeatureCache.open(tables / "cache").modality("rna")[0].tolist() == [[1.0, 2.75]]

    def test_the_cache_of_another_data_set_is_left_alone(self, tables: Path, synthetic_cache: Path) -> None:
        before = FeatureCache.open(synthetic_cache).digest
        code, message = call(*self.arguments(tables, "--cache", synthetic_cache))
        assert code == 2
        assert "holds the data set synthetic, not imported. Name another place with --cache, or remove it." in message
        assert FeatureCache.open(synthetic_cache).digest == before

    def test_wrong_arguments_are_explained(self, tables: Path) -> None:
        code, message = call("--samples", tables / "samples.csv", "--features", "rna.csv")
        assert (code, "write NAME=FILE, each name once, such as rna=rna.csv" in message) == (2, True)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(list("abcdef")), st.lists(st.floats(-1024, 1024, width=32), min_size=6, max_size=6))
def test_the_order_of_rows_in_a_file_changes_nothing(tables: Path, order: list[str], numbers: list[float]) -> None:
    (tables / "samples.csv").write_text("sample_id,died\n" + "".join(f"{name},0\n" for name in reversed(order)))
    value = dict(zip("abcdef", numbers, strict=True))
    (tables / "rna.csv").write_text("sample_id,g1\n" + "".join(f"{name},{value[name]!r}\n" for name in order))
    assert rows(tables)[0] == {name: [pytest.approx(value[name], rel=1e-6)] for name in "abcdef"}
