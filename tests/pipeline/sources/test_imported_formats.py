"""Features come in many formats: matrices with ids, one file a sample, and exports, which come back as they were."""

import resource
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from omnifuse.cache_schema import Column, FeatureCache, InputError, MissingInputError, ModalitySpec, StagedCache
from omnifuse.cache_schema.export import guarded
from omnifuse.cli import main
from omnifuse.pipeline.core.plan import Encoders
from omnifuse.pipeline.core.stages import extract
from omnifuse.pipeline.source import Quarantine, TableModality
from omnifuse.pipeline.sources.imported import items as imported_items
from omnifuse.pipeline.sources.imported.data_set import ImportedDataSet, with_every_modality
from scipy import sparse

IDS = ["c", "b", "a"]
VALUES = np.array([[3, np.nan], [np.nan, np.nan], [1, 2.5]], dtype=np.float32)
EXPECTED = {"a": [[1, 2.5]], "c": [[3, None]]}
EXPORTS = {"hdf5": "out.h5", "npz": "out.npz", "parquet": "out", "mudata": "out.h5mu"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "samples.csv").write_text("sample_id,died\na,0\nb,1\nc,1\n")
    return tmp_path


def modality(folder: Path, given: str, name: str = "rna") -> TableModality:
    dataset = ImportedDataSet(folder / "samples.csv", {name: folder / given}, labels=("died",))
    dataset.inputs()
    return dataset.read(Quarantine()).tables[0]


def rows(folder: Path, given: str, name: str = "rna") -> tuple[dict[str, list[list[float | None]]], Quarantine]:
    """Rows by sample, NaN as None."""
    quarantine = Quarantine()
    found = {}
    for block in modality(folder, given, name).blocks(quarantine):
        ends = np.cumsum(block.lengths)
        for sample, length, end in zip(block.sample_ids, block.lengths, ends, strict=True):
            cells = block.values[end - length : end].tolist()
            found[sample] = [[None if np.isnan(cell) else cell for cell in row] for row in cells]
    return found, quarantine


def reasons(quarantine: Quarantine) -> dict[str, int]:
    return {row["reason"]: row["count"] for row in quarantine.counts().iter_rows(named=True)}


def write_hdf5(path: Path, **datasets: Any) -> None:
    with h5py.File(path, "w") as file:
        for name, data in datasets.items():
            file[name] = data


def annotated(values: Any = VALUES, ids: list[str] = IDS, names: tuple[str, ...] = ("g1", "g2")) -> Any:
    anndata = pytest.importorskip("anndata")
    pandas = pytest.importorskip("pandas")
    return anndata.AnnData(values, obs=pandas.DataFrame(index=ids), var=pandas.DataFrame(index=list(names)))


def write_mudata(path: Path, modalities: Mapping[str, Any]) -> None:
    mudata = pytest.importorskip("mudata")
    with mudata.set_options(pull_on_update=False):
        mudata.MuData(dict(modalities)).write(path)


def write_npy(folder: Path) -> str:
    np.save(folder / "rna.npy", VALUES)
    (folder / "rna.ids.txt").write_text("\n".join(IDS) + "\n")
    return "rna.npy"


def write_matrix(folder: Path) -> str:
    write_hdf5(folder / "rna.h5", ids=IDS, features=VALUES.astype(np.float64))
    return "rna.h5"


def write_named_matrix(folder: Path) -> str:
    write_hdf5(folder / "rna.hdf5", **{"deep/sample_id": IDS, "deep/mine": VALUES, "deep/columns": ["g1", "g2"]})
    return "rna.hdf5#deep/mine"


def write_anndata(folder: Path) -> str:
    annotated().write_h5ad(folder / "rna.h5ad")
    return "rna.h5ad"


def write_embedding_of_anndata(folder: Path) -> str:
    data = annotated(np.zeros((3, 2), np.float32))
    data.obsm["X_pca"] = VALUES
    data.write_h5ad(folder / "rna.h5ad")
    return "rna.h5ad#obsm/X_pca"


def write_modality_of_mudata(folder: Path) -> str:
    other = annotated(np.ones((1, 1), np.float32), ["a"], ("p1",))
    write_mudata(folder / "all.h5mu", {"rna": annotated(), "protein": other})
    return "all.h5mu"


@pytest.mark.parametrize(
    ("write", "columns"),
    [
        (write_npy, ["0", "1"]),
        (write_matrix, ["0", "1"]),
        (write_named_matrix, ["g1", "g2"]),
        (write_anndata, ["g1", "g2"]),
        (write_embedding_of_anndata, ["0", "1"]),
        (write_modality_of_mudata, ["g1", "g2"]),
    ],
)
def test_a_matrix_is_joined_by_id_and_a_row_without_numbers_is_missing(
    folder: Path, write: Callable[[Path], str], columns: list[str]
) -> None:
    given = write(folder)
    found = modality(folder, given)
    assert (found.kind, [column.name for column in found.columns]) == ("features", columns)
    values, quarantine = rows(folder, given)
    assert values == EXPECTED
    assert quarantine.total == 0


@pytest.mark.parametrize("layout", [sparse.csr_matrix, sparse.csc_matrix])
def test_a_sparse_matrix_holds_zeros_and_not_unknowns(folder: Path, layout: Callable[[Any], Any]) -> None:
    annotated(layout(np.array([[0, 3], [0, 0], [1, 0]], np.float32))).write_h5ad(folder / "rna.h5ad")
    assert rows(folder, "rna.h5ad")[0] == {"a": [[1, 0]], "b": [[0, 0]], "c": [[0, 3]]}


def test_whole_numbers_are_ids(folder: Path) -> None:
    (folder / "samples.csv").write_text("sample_id,died\n9,0\n10,1\n")
    write_hdf5(folder / "rna.h5", sample_id=np.array([10, 9]), values=np.array([[1], [2]]))
    assert rows(folder, "rna.h5")[0] == {9: [[2]], 10: [[1]]}


def test_rows_and_cells_that_cannot_be_used_are_quarantined(folder: Path) -> None:
    values = np.array([[1, np.inf], [2, 2], [3, 3], [4, 4]], np.float32)
    write_hdf5(folder / "rna.h5", sample_id=["a", "a", "z", ""], values=values)
    found, quarantine = rows(folder, "rna.h5")
    assert found == {"a": [[1, None]]}
    assert reasons(quarantine) == {
        "no finite number": 1,
        "sample_id is empty": 1,
        "sample_id is repeated": 1,
        "the sample is not in the table of samples": 1,
    }


@pytest.mark.parametrize(
    ("datasets", "message"),
    [
        ({"values": VALUES}, "rna.h5 has no dataset sample_id or ids; it has values"),
        ({"ids": IDS, "x": VALUES}, "rna.h5 has no dataset values or features or feats; it has ids, x"),
        ({"ids": IDS, "values": VALUES[:2]}, r"the values have the shape \(2, 2\); expected a row for each of 3 ids"),
        ({"ids": IDS, "values": VALUES[:, 0]}, r"the values have the shape \(3,\)"),
        ({"ids": IDS, "values": np.array([[b"x"]] * 3)}, "the values are of type .*, not numbers"),
        ({"ids": VALUES[:, 0], "values": VALUES}, "/ids is float32, neither texts nor whole numbers"),
        ({"ids": IDS, "values": VALUES, "columns": ["g1"]}, "1 names do not go with 2 columns"),
        ({"ids": IDS, "values": VALUES, "columns": ["g", "g"]}, "has two columns 'g'; make their names unique"),
    ],
)
def test_an_hdf5_file_that_is_no_matrix_with_ids(folder: Path, datasets: dict[str, Any], message: str) -> None:
    write_hdf5(folder / "rna.h5", **datasets)
    with pytest.raises(InputError, match=message):
        modality(folder, "rna.h5")


def test_an_array_without_ids_is_refused_with_the_mend(folder: Path) -> None:
    np.save(folder / "rna.npy", VALUES)
    with pytest.raises(
        MissingInputError, match=r"does not say whose its rows are. Write their sample ids.*rna.ids.txt"
    ):
        modality(folder, "rna.npy")
    (folder / "rna.ids.txt").write_text("a\nb\n")
    with pytest.raises(InputError, match=r"shape \(3, 2\); expected a row for each of 2 ids"):
        modality(folder, "rna.npy")


@pytest.mark.parametrize("form", EXPORTS)
def test_half_an_export_is_named(folder: Path, form: str) -> None:
    path = folder / EXPORTS[form]
    ragged_cache(folder / "cache", [1, 2]).export(form, path)
    path = path / "modalities/rep.parquet" if path.is_dir() else path
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=f"{path.name} cannot be read|out cannot be read"):
        modality(folder, EXPORTS[form], name="rep")


def test_ids_may_be_written_as_windows_does(folder: Path) -> None:
    write_npy(folder)
    (folder / "rna.ids.txt").write_bytes(b"\xef\xbb\xbfc\r\nb\r\na\r\n")
    assert rows(folder, "rna.npy")[0] == EXPECTED


def test_a_change_of_the_ids_alone_is_noticed(folder: Path) -> None:
    write_npy(folder)
    dataset = ImportedDataSet(folder / "samples.csv", {"rna": folder / "rna.npy"})
    assert dataset.inputs() == [folder / "samples.csv", folder / "rna.npy", folder / "rna.ids.txt"]


@pytest.mark.parametrize("name", ["rna.npy", "rna.h5", "rna.h5ad", "rna.h5mu", "rna.npz", "rna.parquet"])
def test_a_damaged_file_is_named(folder: Path, name: str) -> None:
    (folder / "rna.ids.txt").write_text("a\n")
    (folder / name).write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    with pytest.raises(InputError, match=f"{name} cannot be read"):
        modality(folder, name)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("obsm/X_umap", r"rna.h5ad has no matrix 'obsm/X_umap'; it has X, obsm/X_pca"),
        ("obs", "has no matrix 'obs'"),
    ],
)
def test_a_matrix_that_is_not_there_is_named_with_those_that_are(folder: Path, part: str, message: str) -> None:
    write_embedding_of_anndata(folder)
    with pytest.raises(InputError, match=message):
        modality(folder, f"rna.h5ad#{part}")


def test_names_of_genes_must_be_unique(folder: Path) -> None:
    with pytest.warns(UserWarning, match="not unique"):
        annotated(names=("g", "g")).write_h5ad(folder / "rna.h5ad")
    with pytest.raises(InputError, match="has two columns 'g'; make their names unique"):
        modality(folder, "rna.h5ad")


def test_parts_of_files_without_parts_are_refused(folder: Path) -> None:
    (folder / "rna.csv").write_text("sample_id,g1\na,1\n")
    with pytest.raises(InputError, match=r"rna\.csv has no parts; 'x' cannot be one"):
        modality(folder, "rna.csv#x")
    with pytest.raises(MissingInputError, match=r"There is no file .*none.h5"):
        modality(folder, "none.h5#x")


@pytest.mark.parametrize("form", ["npy", "npz", "h5"])
@pytest.mark.parametrize(
    "change",
    [np.asfortranarray, lambda values: values.astype(">f4"), lambda values: values.astype(np.longdouble)],
    ids=["fortran", "big_endian", "long_double"],
)
def test_a_square_matrix_is_read_by_row_however_it_is_stored(
    folder: Path, form: str, change: Callable[[Any], Any]
) -> None:
    values = change(np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float32))
    if form == "npy":
        np.save(folder / "rna.npy", values)
        (folder / "rna.ids.txt").write_text("a\nb\nc\n")
    elif form == "npz":
        np.savez(folder / "rna.npz", sample_id=np.array(["a", "b", "c"]), values=values)
    else:
        write_hdf5(folder / "rna.h5", ids=["a", "b", "c"], values=values)
    assert rows(folder, f"rna.{form}")[0] == {"a": [[1, 2, 3]], "b": [[4, 5, 6]], "c": [[7, 8, 9]]}


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "__index_level_0__"])
def test_numbers_of_rows_are_no_features_of_a_matrix(folder: Path, name: str) -> None:
    annotated(names=("g", name)).write_h5ad(folder / "rna.h5ad")
    assert [column.name for column in modality(folder, "rna.h5ad").columns] == ["g"]
    assert reasons(rows(folder, "rna.h5ad")[1]) == {"a column of row numbers or names, no feature": 1}


class TestAnnDataBefore07:
    """Observations and variables were tables of compound values."""

    def write(self, path: Path, field: str) -> None:
        with h5py.File(path, "w") as file:
            file["X"] = np.array([[1, 2], [3, 4]], np.float32)
            file["obs"] = np.array([(b"a", 1.0), (b"c", 2.0)], [(field, "S1"), ("age", "f8")])
            file["var"] = np.array([(b"g1",), (b"g2",)], [(field, "S2")])

    def test_it_is_read(self, folder: Path) -> None:
        pytest.importorskip("anndata")
        self.write(folder / "rna.h5ad", "index")
        assert [column.name for column in modality(folder, "rna.h5ad").columns] == ["g1", "g2"]
        assert rows(folder, "rna.h5ad")[0] == {"a": [[1, 2]], "c": [[3, 4]]}

    def test_without_names_it_is_refused(self, folder: Path) -> None:
        pytest.importorskip("anndata")
        self.write(folder / "rna.h5ad", "cell")
        with pytest.raises(InputError, match=r"rna\.h5ad was written before AnnData 0\.7, and its obs has no names"):
            modality(folder, "rna.h5ad")


class TestFilesThatClaimTooMuch:
    """They are refused by what their headers say, before memory is taken."""

    @pytest.fixture(autouse=True)
    def _little_memory(self) -> Iterator[None]:
        """Let the test fail, and not the machine."""
        before = resource.getrlimit(resource.RLIMIT_AS)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (768 << 20), before[1]))
        yield
        resource.setrlimit(resource.RLIMIT_AS, before)

    def refused(self, folder: Path, name: str, message: str) -> None:
        started = time.monotonic()
        with pytest.raises(InputError, match=message) as refused:
            rows(folder, name)
        assert name.partition("#")[0] in str(refused.value) and len(str(refused.value)) < 400
        assert time.monotonic() - started < 5

    @pytest.mark.parametrize("shape", [(3, 10**11), (3, 2**62), (10**11, 3)])
    def test_a_dataset_that_was_never_written(self, folder: Path, shape: tuple[int, int]) -> None:
        with h5py.File(folder / "rna.h5", "w") as file:
            file["ids"] = IDS
            file.create_dataset("values", shape=shape, dtype="f4", chunks=(1, 1))
        self.refused(folder, "rna.h5", r"/values claims .* GiB, but the file has 0\.0 MiB")

    def test_a_compressed_dataset_of_zeros(self, folder: Path) -> None:
        with h5py.File(folder / "rna.h5", "w") as file:
            file["ids"] = IDS
            dataset = file.create_dataset("values", (3, 1 << 29), "u1", chunks=(1, 1 << 24), compression="gzip")
            dataset[0, : 1 << 24] = 0
        self.refused(folder, "rna.h5", r"/values claims 1\.5 GiB")

    def test_more_columns_than_a_table_can_have(self, folder: Path) -> None:
        with h5py.File(folder / "rna.h5", "w") as file:
            file["ids"] = IDS
            file.create_dataset("values", shape=(3, 10**8), dtype="u1", chunks=(1, 10**6))
        self.refused(folder, "rna.h5", "has 100,000,000 columns; at most 1,000,000 can be imported")

    def test_a_sparse_matrix_that_is_huge_when_dense(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        data = annotated(sparse.csr_matrix((3, 1000), dtype=np.float32), names=tuple(map(str, range(1000))))
        data.write_h5ad(folder / "rna.h5ad", compression="gzip")
        monkeypatch.setattr(guarded, "ALWAYS_READ", 4 * 3 * 1000 - 1)
        monkeypatch.setattr(guarded, "MOST_TIMES", 0)
        self.refused(folder, "rna.h5ad", "the matrix of 3 rows and 1,000 columns claims 0.0 MiB")

    def test_a_sparse_matrix_that_points_outside_itself(self, folder: Path) -> None:
        annotated(sparse.csr_matrix(np.ones((3, 2), np.float32))).write_h5ad(folder / "rna.h5ad")
        with h5py.File(folder / "rna.h5ad", "a") as file:
            file["X/indices"][0] = 10**6
        with pytest.raises(InputError, match=r"rna\.h5ad cannot be read: .*indices"):
            rows(folder, "rna.h5ad")

    def write_npz(self, path: Path, **headers: tuple[Any, ...]) -> None:
        """Write arrays as (shape, bytes of zeros that are there)."""
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, (shape, there) in headers.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
                    for start in range(0, there, 1 << 24):
                        file.write(bytes(min(1 << 24, there - start)))
            with archive.open("sample_id.npy", "w") as file:
                np.lib.format.write_array(file, np.array(IDS))

    def test_an_array_of_an_archive(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(guarded, "ALWAYS_READ", 1 << 20)
        self.write_npz(folder / "rna.npz", values=((3, 1 << 20), 3 << 20))
        self.refused(folder, "rna.npz", r"values claims 3\.0 MiB, but the file has 0\.0 MiB")

    def test_an_array_of_an_archive_that_nobody_asks_for_is_not_read(self, folder: Path) -> None:
        self.write_npz(folder / "rna.npz", values=((3, 2), 6), unused=((1 << 32,), 6))
        assert rows(folder, "rna.npz")[0] == {"a": [[0, 0]], "b": [[0, 0]], "c": [[0, 0]]}

    @pytest.mark.parametrize("shape", [(3, 10**11), (3, -2), (3, 3)])
    def test_a_header_of_an_archive(self, folder: Path, shape: tuple[int, int]) -> None:
        self.write_npz(folder / "rna.npz", values=(shape, 6))
        self.refused(folder, "rna.npz", r"values has the shape \(3, -?\d+\) of uint8, which its .* do not hold")

    @pytest.mark.parametrize("shape", [(3, 10**11), (3, 10**18), (3, -2), (3, 3)])
    def test_a_header_of_an_array(self, folder: Path, shape: tuple[int, int]) -> None:
        with (folder / "rna.npy").open("wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
            file.write(bytes(24))
        (folder / "rna.ids.txt").write_text("a\nb\nc\n")
        self.refused(folder, "rna.npy", r"rna\.npy cannot be read")

    def test_a_header_that_is_no_python(self, folder: Path) -> None:
        (folder / "rna.npy").write_bytes(b"\x93NUMPY\x01\x00\x10\x00{'descr': (((((\n")
        (folder / "rna.ids.txt").write_text("a\n")
        self.refused(folder, "rna.npy", r"rna\.npy cannot be read")

    def test_the_file_of_a_sample(self, folder: Path) -> None:
        (folder / "slides").mkdir()
        write_hdf5(folder / "slides/a.h5", features=[[1.0]])
        with h5py.File(folder / "slides/b.h5", "w") as file:
            file.create_dataset("features", shape=(10**7, 1000), dtype="f4", chunks=(1, 1000))
        found, quarantine = rows(folder, "slides")
        assert found == {"a": [[1]]}
        (reason,) = reasons(quarantine)
        assert reason.startswith("/features claims 37.3 GiB, but the file has 0.0 MiB")


class TestFilesThatReachIntoOthers:
    @pytest.fixture
    def secret(self, folder: Path) -> Path:
        write_hdf5(folder / "secret.h5", values=np.full((3, 2), 7.0))
        (folder / "secret.bin").write_bytes(np.full((3, 2), 7.0).tobytes())
        return folder

    def external_link(self, file: Any, folder: Path) -> None:
        file["values"] = h5py.ExternalLink(str(folder / "secret.h5"), "/values")

    def soft_link_to_an_external_one(self, file: Any, folder: Path) -> None:
        file["deep/link"] = h5py.ExternalLink(str(folder / "secret.h5"), "/values")
        file["values"] = h5py.SoftLink("/deep/link")

    def external_storage(self, file: Any, folder: Path) -> None:
        where = [(str(folder / "secret.bin"), 0, h5py.h5f.UNLIMITED)]
        file.create_dataset("values", shape=(3, 2), dtype="f8", external=where)

    def virtual_dataset(self, file: Any, folder: Path) -> None:
        layout = h5py.VirtualLayout((3, 2), "f8")
        layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "values", (3, 2))
        file.create_virtual_dataset("values", layout)

    @pytest.mark.parametrize("write", [external_link, soft_link_to_an_external_one, external_storage, virtual_dataset])
    @pytest.mark.parametrize("name", ["rna.h5", "slides"])
    def test_they_are_refused(self, secret: Path, write: Callable[[Any, Any, Path], None], name: str) -> None:
        (secret / "slides").mkdir()
        with h5py.File(secret / ("slides/a.h5" if name == "slides" else name), "w") as file:
            file["ids"] = IDS
            write(self, file, secret)
        with pytest.raises(InputError, match="lies in another file, which is not followed"):
            rows(secret, f"{name}#values" if name == "slides" else name)

    def test_links_within_the_file_are_followed(self, folder: Path) -> None:
        with h5py.File(folder / "rna.h5", "w") as file:
            file["ids"], file["deep/mine"] = IDS, VALUES
            file["values"] = h5py.SoftLink("/deep/mine")
        assert rows(folder, "rna.h5")[0] == EXPECTED


class TestParquet:
    def write(self, folder: Path, **columns: Any) -> str:
        pl.DataFrame({"sample_id": IDS, **columns}).write_parquet(folder / "rna.parquet")
        return "rna.parquet"

    @pytest.mark.parametrize("kind", [pl.List(pl.Float32), pl.Array(pl.Float64, 2), pl.List(pl.Int8)])
    def test_lists_of_numbers_are_columns(self, folder: Path, kind: pl.DataType) -> None:
        given = self.write(folder, age=[1, 2, 3], pca=pl.Series([[1, 2], None, [3, 4]], dtype=kind))
        assert [column.name for column in modality(folder, given).columns] == ["age", "pca_0", "pca_1"]
        assert rows(folder, given)[0] == {"c": [[1, 1, 2]], "b": [[2, None, None]], "a": [[3, 3, 4]]}

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ({"pca": [[1], [2], [3, 4]]}, r"row 4: the list in 'pca' has 2 numbers, that of row 2 has 1"),
            ({"pca": [["x"], ["y"], ["z"]]}, "the column 'pca' holds lists that are not of numbers"),
            ({"pca": [{"x": 1}] * 3}, "the column 'pca' holds values of type Struct"),
            ({"pca": [b"x"] * 3}, "the column 'pca' holds values of type Binary"),
            ({"pca": [[[1]]] * 3}, "the column 'pca' holds lists that are not of numbers"),
            ({"pca": [[1]] * 3, "pca_0": [1] * 3}, "has two columns 'pca_0', one of them from a list"),
        ],
    )
    def test_other_cells_are_refused_by_their_column(
        self, folder: Path, columns: dict[str, list[Any]], message: str
    ) -> None:
        with pytest.raises(InputError, match=message):
            modality(folder, self.write(folder, **columns))

    def test_brackets_in_a_name_are_no_pattern(self, folder: Path) -> None:
        self.write(folder, x=[1, 1, 1])
        (folder / "rna.parquet").rename(folder / "rna1.parquet")
        self.write(folder, y=[2, 2, 2])
        (folder / "rna.parquet").rename(folder / "rna[12].parquet")
        assert [column.name for column in modality(folder, "rna[12].parquet").columns] == ["y"]

    def test_a_table_of_endless_empty_rows_is_refused(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(guarded, "ALWAYS_READ", 1 << 20)
        pl.select(sample_id=pl.repeat(None, 10**6, dtype=pl.Boolean)).write_parquet(folder / "rna.parquet")
        with pytest.raises(
            InputError, match=r"rna\.parquet: the table of 1,000,000 rows and 1 columns claims 3\.8 MiB"
        ):
            modality(folder, "rna.parquet")


class TestOneFileForEachSample:
    def folder_of(self, folder: Path, **files: Any) -> str:
        (folder / "slides").mkdir()
        for name, features in files.items():
            coordinates = np.zeros((len(features), 2), np.int64)
            write_hdf5(folder / "slides" / f"{name}.h5", features=np.asarray(features, np.float32), coords=coordinates)
        return "slides"

    def test_its_rows_are_those_of_the_sample(self, folder: Path) -> None:
        given = self.folder_of(folder, c=[[1, 2], [3, 4]], a=[5, 6])
        found = modality(folder, given)
        assert (found.kind, found.columns) == ("embedding", ())
        assert rows(folder, given)[0] == {"a": [[5, 6]], "c": [[1, 2], [3, 4]]}

    def test_its_dataset_may_have_another_name(self, folder: Path) -> None:
        (folder / "slides").mkdir()
        write_hdf5(folder / "slides/a.h5", feats=[[1.0]], other=[[2.0]])
        assert rows(folder, "slides")[0] == {"a": [[1]]}
        assert rows(folder, "slides#other")[0] == {"a": [[2]]}

    def test_blocks_are_small_however_many_files_there_are(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        given = self.folder_of(folder, a=[[1, 2]], b=[[3, 4]], c=[[5, 6]])
        monkeypatch.setattr(imported_items, "BLOCK_BYTES", 16)
        lengths = [block.lengths.tolist() for block in modality(folder, given).blocks(Quarantine())]
        assert lengths == [[1, 1], [1]]

    def test_what_cannot_be_used_is_quarantined(self, folder: Path) -> None:
        given = self.folder_of(folder, a=[[1, 2]], b=[[np.nan, 1]], c=np.zeros((0, 2)), stranger=[[1, 2]])
        (folder / "samples.csv").write_text("sample_id,died\na,0\nb,1\nc,1\nd,1\ne,1\nf,1\n")
        (folder / "slides/d.h5").write_bytes(b"torn")
        write_hdf5(folder / "slides/a.hdf5", features=[[7, 8]])
        write_hdf5(folder / "slides/e.h5", coords=[1])
        write_hdf5(folder / "slides/f.h5", features=[[1e5, 1]])
        found, quarantine = rows(folder, given)
        assert found == {"a": [[1, 2]]}
        assert reasons(quarantine) == {
            "cannot be read": 1,
            "has no dataset features or feats; it has coords": 1,
            "holds a value that is not finite in float16": 2,
            "holds no rows": 1,
            "the sample has two files": 1,
            "the sample is not in the table of samples": 1,
        }

    def test_files_of_two_encoders_are_refused(self, folder: Path) -> None:
        given = self.folder_of(folder, a=[[1, 2]], b=[[1, 2, 3]])
        with pytest.raises(InputError, match=r"b.h5 has 3 columns, a.h5 has 2. .* a folder of their own"):
            rows(folder, given)

    def test_a_folder_without_a_single_good_file_is_refused(self, folder: Path) -> None:
        given = self.folder_of(folder, x=[[1]], y=[[1]])
        with pytest.raises(
            InputError, match=r"none of the 2 files can be used, such as y.h5: it is not named by a sample"
        ):
            rows(folder, given)
        with pytest.raises(InputError, match=r"holds no files SAMPLE_ID\.h5"):
            modality(folder, ".")

    def test_it_becomes_a_cache(self, folder: Path) -> None:
        given = self.folder_of(folder, c=[[1, 2], [3, 4]], a=[[5, 6]])
        dataset = ImportedDataSet(folder / "samples.csv", {"slide": folder / given}, labels=("died",))
        extract(dataset, folder / "cache", Encoders())
        slide = FeatureCache.open(folder / "cache").modality("slide")
        assert (slide.kind, slide.values.dtype, slide.dim) == ("embedding", np.float16, 2)
        assert slide.offsets.tolist() == [0, 1, 1, 3]
        assert slide.values.tolist() == [[5, 6], [1, 2], [3, 4]]


def ragged_cache(path: Path, lengths: list[int]) -> FeatureCache:
    """A cache of two modalities: reports without, vital signs with times and named columns."""
    count, total, rows_of = len(lengths), sum(lengths), np.array(lengths)
    samples = pl.DataFrame(
        {"sample_id": [f"s{i}" for i in range(count)], "subject_id": [f"p{i}" for i in range(count)]}
    )
    empty = pl.DataFrame({"reason": pl.Series([], dtype=pl.String)})
    columns = (Column("HR", "beats/min", "HR"), Column("mask", "", "HR", "mask"))
    reports = np.arange(total * 3, dtype=np.float16).reshape(total, 3) / 7
    vitals = np.arange(total * 2, dtype=np.float32).reshape(total, 2) / 3
    vitals[::2, 0] = np.nan
    times = np.arange(total, dtype=np.float32) * 2
    unknown = np.full(total, np.nan, np.float32)
    staged = StagedCache(path, "toy", {}).add_samples(samples).add_quarantine(empty, empty)
    staged.add_modality(ModalitySpec("rep", "embedding", "token", {"encoder": "toy"}), rows_of, 3, [reports], unknown)
    series = ModalitySpec("ehr", "timeseries", "2-hour bin", {"bin_hours": 2.0}, columns)
    staged.add_modality(series, rows_of[::-1], 2, [vitals], times).commit({})
    cache = FeatureCache.open(path)
    cache.samples.write_csv(path.with_name("samples.csv"))
    return cache


def assert_same(back: FeatureCache, cache: FeatureCache, name: str) -> None:
    found, expected = back.modality(name), cache.modality(name)
    assert found.values.dtype == expected.values.dtype
    np.testing.assert_array_equal(found.values, expected.values)
    np.testing.assert_array_equal(found.offsets, expected.offsets)
    np.testing.assert_array_equal(found.time, expected.time)
    assert (found.columns, found.kind, found.spec.row_meaning) == (
        expected.columns,
        expected.kind,
        expected.spec.row_meaning,
    )
    assert found.recipe["exported"] == expected.recipe


def import_back(folder: Path, *features: str) -> FeatureCache:
    paths = [part for given in features for part in ("--features", given)]
    arguments = ["--samples", str(folder / "samples.csv"), *paths, "--cache", str(folder / "back")]
    result = CliRunner().invoke(main, ["cache", "import", *arguments])
    assert result.exit_code == 0, result.output
    return FeatureCache.open(folder / "back")


class TestExports:
    @pytest.mark.parametrize("form", EXPORTS)
    def test_every_modality_comes_back_as_it_was(self, tmp_path: Path, form: str) -> None:
        cache = ragged_cache(tmp_path / "cache", [2, 0, 3, 1])
        cache.export(form, tmp_path / EXPORTS[form])
        back = import_back(tmp_path, str(tmp_path / EXPORTS[form]))
        assert back.modalities == ("ehr", "rep")
        for name in back.modalities:
            assert_same(back, cache, name)
        assert back.quarantine.is_empty()

    @pytest.mark.parametrize("form", EXPORTS)
    def test_one_modality_may_get_another_name(self, tmp_path: Path, form: str) -> None:
        cache = ragged_cache(tmp_path / "cache", [1, 2])
        cache.export(form, tmp_path / EXPORTS[form])
        back = import_back(tmp_path, f"notes={tmp_path / EXPORTS[form]}#rep", f"ehr={tmp_path / EXPORTS[form]}")
        np.testing.assert_array_equal(back.modality("notes").values, cache.modality("rep").values)
        assert_same(back, cache, "ehr")

    @pytest.mark.parametrize("form", EXPORTS)
    def test_a_modality_that_nobody_has_keeps_its_width(self, tmp_path: Path, form: str) -> None:
        cache = ragged_cache(tmp_path / "cache", [0, 0])
        cache.export(form, tmp_path / EXPORTS[form])
        back = import_back(tmp_path, str(tmp_path / EXPORTS[form]))
        assert (back.dim("rep"), back.dim("ehr")) == (3, 2)
        assert back.offsets("rep").tolist() == [0, 0, 0]

    @pytest.mark.parametrize("form", EXPORTS)
    def test_samples_that_are_no_more_are_counted(self, tmp_path: Path, form: str) -> None:
        ragged_cache(tmp_path / "cache", [2, 1]).export(form, tmp_path / EXPORTS[form])
        (tmp_path / "samples.csv").write_text("sample_id\ns1\nnew\n")
        back = import_back(tmp_path, f"rep={tmp_path / EXPORTS[form]}")
        assert back.modality("rep").lengths.tolist() == [0, 1]
        (count,) = back.quarantine_counts.to_dicts()
        assert (count["reason"], count["count"]) == ("the sample is not in the table of samples", 1)

    def test_one_table_of_a_parquet_export_is_enough(self, tmp_path: Path) -> None:
        cache = ragged_cache(tmp_path / "cache", [2, 0, 1])
        cache.export("parquet", tmp_path / "out")
        assert_same(import_back(tmp_path, f"rep={tmp_path / 'out/modalities/rep.parquet'}"), cache, "rep")

    def test_rows_may_be_taken_out_and_moved_in_mudata(self, tmp_path: Path) -> None:
        mudata = pytest.importorskip("mudata")
        cache = ragged_cache(tmp_path / "cache", [2, 0, 3])
        cache.export("mudata", tmp_path / "out.h5mu")
        with mudata.set_options(pull_on_update=False):
            data = mudata.read(tmp_path / "out.h5mu")
            mudata.MuData({"rep": data["rep"][[4, 0, 2]].copy()}).write(tmp_path / "some.h5mu")
        rep = import_back(tmp_path, f"rep={tmp_path / 'some.h5mu'}").modality("rep")
        assert rep.lengths.tolist() == [1, 0, 2]
        np.testing.assert_array_equal(rep.values, cache.modality("rep").values[[0, 4, 2]])

    def test_a_modality_may_be_added_in_mudata(self, tmp_path: Path) -> None:
        mudata = pytest.importorskip("mudata")
        cache = ragged_cache(tmp_path / "cache", [2, 0])
        cache.export("mudata", tmp_path / "out.h5mu")
        added = annotated(np.ones((1, 1), np.float32), ["s1"], ("g1",))
        with mudata.set_options(pull_on_update=False):
            data = mudata.read(tmp_path / "out.h5mu")
            mudata.MuData({"rep": data["rep"], "rna": added}).write(tmp_path / "more.h5mu")
        back = import_back(tmp_path, str(tmp_path / "more.h5mu"))
        assert_same(back, cache, "rep")
        assert (back.modality("rna").kind, back.modality("rna")[1].tolist()) == ("features", [[1]])

    def test_infinite_values_are_quarantined(self, tmp_path: Path) -> None:
        ragged_cache(tmp_path / "cache", [1, 2]).export("hdf5", tmp_path / "out.h5")
        with h5py.File(tmp_path / "out.h5", "r+") as file:
            file["modalities/rep/values"][0, 0] = np.inf
            file["modalities/ehr/values"][1, 0] = np.inf
        back = import_back(tmp_path, str(tmp_path / "out.h5"))
        assert back.modality("rep").lengths.tolist() == [0, 2]
        assert np.isnan(back.modality("ehr").values[1, 0])
        assert dict(back.quarantine.select("where", "reason").rows()) == {
            "sample s0": "holds a value that is not finite in float16",
            "sample s0, HR": "no finite number",
        }

    def test_a_modality_that_is_not_there_is_named_with_those_that_are(self, folder: Path) -> None:
        ragged_cache(folder / "cache", [1]).export("npz", folder / "out.npz")
        with pytest.raises(InputError, match=r"out.npz has no modality 'ct'; it has ehr, rep. Write ct=.*out.npz#ehr"):
            modality(folder, "out.npz", name="ct")

    @settings(max_examples=4, deadline=None)
    @given(st.lists(st.integers(0, 3), min_size=1, max_size=4))
    def test_any_lengths_come_back(self, tmp_path_factory: pytest.TempPathFactory, lengths: list[int]) -> None:
        folder = tmp_path_factory.mktemp("any")
        cache = ragged_cache(folder / "cache", lengths)
        for form in ("hdf5", "npz", "parquet"):
            cache.export(form, folder / EXPORTS[form])
            for name in ("rep", "ehr"):
                dataset = ImportedDataSet(folder / "samples.csv", {name: folder / EXPORTS[form]})
                extract(dataset, folder / form, Encoders())
                assert_same(FeatureCache.open(folder / form), cache, name)


def test_a_file_of_several_modalities_needs_no_names(folder: Path) -> None:
    write_modality_of_mudata(folder)
    path = folder / "all.h5mu"
    assert with_every_modality([str(path), "a=b.csv"]) == (f"protein={path}#protein", f"rna={path}#rna", "a=b.csv")
    (folder / "rna.csv").write_text("sample_id,g1\na,1\n")
    assert with_every_modality([str(folder / "rna.csv")]) == (str(folder / "rna.csv"),)
    with pytest.raises(InputError, match=r"all\.h5mu has no modality 'ct'; it has protein, rna"):
        modality(folder, "all.h5mu", name="ct")


def test_another_part_of_the_same_file_is_computed_anew(folder: Path) -> None:
    write_embedding_of_anndata(folder)
    for part, expected in (("X", [[0, 0]]), ("obsm/X_pca", [[1, 2.5]])):
        dataset = ImportedDataSet(folder / "samples.csv", {"rna": folder / f"rna.h5ad#{part}"})
        extract(dataset, folder / "cache", Encoders())
        assert FeatureCache.open(folder / "cache").modality("rna")[0].tolist() == expected


def test_a_missing_package_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_anndata(folder)
    monkeypatch.setitem(sys.modules, "anndata", None)  # as if it were not installed
    with pytest.raises(
        InputError, match=r"Reading rna.h5ad needs the package anndata: pip install 'omnifuse\[anndata\]'"
    ):
        modality(folder, "rna.h5ad")
