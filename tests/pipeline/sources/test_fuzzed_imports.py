"""Files of others with random damages are read, or refused in one short message that names a file; never a traceback.

``OMNIFUSE_EXAMPLES`` sets the number of damages of each kind of file; see benchmarks/fuzz_imports.py.
"""

import os
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omnifuse.cache_schema import InputError
from omnifuse.pipeline.source import DataSet, Quarantine
from omnifuse.pipeline.sources.imported.data_set import ImportedDataSet
from omnifuse.pipeline.sources.meds.data_set import MedsDataSet
from omnifuse.pipeline.sources.physionet2012.data_set import Physionet2012DataSet
from scipy import sparse

EXAMPLES = int(os.environ.get("OMNIFUSE_EXAMPLES", "10"))
IDS = [f"s{place}" for place in range(8)]
VALUES = np.arange(24, dtype=np.float32).reshape(8, 3)

Damage = Callable[[bytes], bytes]
PLACES = st.floats(0, 1, exclude_max=True)
TOKENS = st.sampled_from(
    [b"\xff\xfe", b"\x00" * 8, b"\xff" * 8, b'"', b",,", b"\r", b"24:00:00", b"1e999", b"\xe9", b"9" * 30]
)


def flipped(place: float, bit: int) -> Damage:
    def damage(content: bytes) -> bytes:
        at = int(place * len(content))
        return content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :] if content else content

    return damage


def replaced(start: float, length: int, token: bytes) -> Damage:
    def damage(content: bytes) -> bytes:
        at = int(start * len(content))
        return content[:at] + token + content[at + length :]

    return damage


def cut(place: float) -> Damage:
    return lambda content: content[: int(place * len(content))]


DAMAGES = st.lists(
    st.one_of(
        st.builds(flipped, PLACES, st.integers(0, 7)),
        st.builds(replaced, PLACES, st.integers(0, 12), TOKENS | st.binary(max_size=9)),
        st.builds(cut, PLACES),
    ),
    min_size=1,
    max_size=4,
)


def write_npy(folder: Path) -> str:
    np.save(folder / "rna.npy", VALUES)
    (folder / "rna.ids.txt").write_text("\n".join(IDS))
    return "rna.npy"


def write_npz(folder: Path) -> str:
    np.savez_compressed(folder / "rna.npz", sample_id=np.array(IDS), values=VALUES)
    return "rna.npz"


def write_hdf5(folder: Path) -> str:
    with h5py.File(folder / "rna.h5", "w") as file:
        file["ids"], file["columns"] = IDS, ["a", "b", "c"]
        file.create_dataset("values", data=VALUES, chunks=(2, 3), compression="gzip")
    return "rna.h5"


def write_anndata(folder: Path) -> str:
    anndata, pandas = pytest.importorskip("anndata"), pytest.importorskip("pandas")
    values = sparse.csr_matrix(VALUES)
    table = anndata.AnnData(values, obs=pandas.DataFrame(index=IDS), var=pandas.DataFrame(index=["a", "b", "c"]))
    table.write_h5ad(folder / "rna.h5ad")
    return "rna.h5ad"


def write_parquet(folder: Path) -> str:
    pl.DataFrame({"sample_id": IDS, "age": range(8), "pca": VALUES.tolist()}).write_parquet(folder / "rna.parquet")
    return "rna.parquet"


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of samples, and a whole file of every kind of features."""
    folder = tmp_path_factory.mktemp("features")
    (folder / "samples.csv").write_text("sample_id,died\n" + "".join(f"{name},{name[1:] > '3':d}\n" for name in IDS))
    for write in (write_npy, write_npz, write_hdf5, write_anndata, write_parquet):
        write(folder)
    return folder


@pytest.mark.parametrize("name", ["rna.npy", "rna.ids.txt", "rna.npz", "rna.h5", "rna.h5ad", "rna.parquet"])
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(damages=DAMAGES)
def test_features(features: Path, name: str, damages: list[Damage]) -> None:
    given = "rna.npy" if name == "rna.ids.txt" else name
    with damaged(features, name, damages) as folder:
        read_or_refused(lambda: ImportedDataSet(folder / "samples.csv", {"rna": folder / given}, ("died",)))


RECORD = (
    "Time,Parameter,Value\n00:00,RecordID,{0}\n00:00,Age,54\n00:00,Gender,0\n00:00,Height,170\n00:00,ICUType,4\n"
    "00:00,Weight,-1\n00:30,HR,80\n05:00,pH,7.4\n47:59,HR,70\n"
)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two records of PhysioNet 2012 and their outcomes."""
    folder = tmp_path_factory.mktemp("records")
    (folder / "set-a").mkdir()
    for number in (132539, 132540):
        (folder / f"set-a/{number}.txt").write_text(RECORD.format(number))
    outcomes = "RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death\n132539,6,1,5,-1,0\n132540,16,8,8,-1,1\n"
    (folder / "Outcomes-a.txt").write_text(outcomes)
    return folder


@pytest.mark.parametrize("name", ["set-a/132539.txt", "Outcomes-a.txt"])
@settings(max_examples=5 * EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(damages=DAMAGES)
def test_physionet2012(records: Path, name: str, damages: list[Damage]) -> None:
    with damaged(records, name, damages) as folder:
        read_or_refused(lambda: Physionet2012DataSet(folder))


@pytest.fixture(scope="module")
def meds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Events, split and labels of eight subjects."""
    folder = tmp_path_factory.mktemp("meds")
    for name in ("data", "metadata"):
        (folder / name).mkdir()
    subjects, now = list(range(1, 9)), datetime(2020, 1, 3)
    for place, (code, time) in enumerate({"HR": now, "HEIGHT": None, "MEDS_BIRTH": datetime(1960, 1, 1)}.items()):
        number = pl.lit(None if code == "MEDS_BIRTH" else 70.0, pl.Float32)
        events = pl.DataFrame({"subject_id": subjects}).with_columns(
            time=pl.lit(time, pl.Datetime("us")), code=pl.lit(code), numeric_value=number
        )
        events.write_parquet(folder / f"data/{place}.parquet")
    split = pl.DataFrame({"subject_id": subjects, "split": ["train"] * 6 + ["held_out"] * 2})
    split.write_parquet(folder / "metadata/subject_splits.parquet")
    labels = pl.DataFrame(
        {"subject_id": subjects, "prediction_time": [str(now)] * 8, "boolean_value": [True, False] * 4}
    )
    labels.write_csv(folder / "died.csv")
    return folder


@pytest.mark.parametrize("name", ["data/0.parquet", "data/1.parquet", "metadata/subject_splits.parquet", "died.csv"])
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(damages=DAMAGES)
def test_meds(meds: Path, name: str, damages: list[Damage]) -> None:
    with damaged(meds, name, damages) as folder:
        read_or_refused(lambda: MedsDataSet(folder, folder / "died.csv"))


class damaged:  # noqa: N801  (it reads as a word)
    """A copy of a folder, in which one file is damaged."""

    def __init__(self, folder: Path, name: str, damages: list[Damage]) -> None:
        self._folder, self._name, self._damages = folder, name, damages
        self._copy = TemporaryDirectory()

    def __enter__(self) -> Path:
        copy = Path(self._copy.name)
        for path in filter(Path.is_file, self._folder.rglob("*")):
            target = copy / path.relative_to(self._folder)
            target.parent.mkdir(exist_ok=True)
            content = path.read_bytes()
            if target == copy / self._name:
                for damage in self._damages:
                    content = damage(content)
            target.write_bytes(content)
        return copy

    def __exit__(self, *_: object) -> None:
        self._copy.cleanup()


def read_or_refused(data_set: Callable[[], DataSet]) -> None:
    try:
        for _ in blocks(data_set()):
            pass
    except InputError as error:
        message = str(error)
        assert len(message) < 600, message
        assert "\n" not in message, message


def blocks(data_set: DataSet) -> Iterator[object]:
    data_set.inputs()
    quarantine = Quarantine()
    read = data_set.read(quarantine)
    for table in read.tables:
        yield from table.blocks(quarantine)
    yield read.tasks({})
