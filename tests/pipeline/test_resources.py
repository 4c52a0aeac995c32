"""Our own files are part of the key of what they decide: a changed one makes it anew, and says so."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from omnifuse import pipeline
from omnifuse.cache_schema import Column, FeatureCache, digest_file
from omnifuse.pipeline.core.plan import Encoders
from omnifuse.pipeline.core.stages import extract
from omnifuse.pipeline.resources import resource_digests, resource_files
from omnifuse.pipeline.source import Block, DataSet, Quarantine, Records, TableModality
from omnifuse.pipeline.sources import open_dataset
from omnifuse.pipeline.sources.files.data_set import FilesDataSet
from omnifuse.pipeline.sources.imported.data_set import ImportedDataSet
from omnifuse.pipeline.sources.lung.data_set import LungDataSet
from omnifuse.pipeline.sources.meds.data_set import MedsDataSet
from omnifuse.pipeline.sources.mimic import Options
from omnifuse.pipeline.sources.mimic.concepts.definitions import starter_set
from omnifuse.pipeline.sources.mimic.data_set import MimicDataSet
from omnifuse.pipeline.sources.physionet2012 import variables
from omnifuse.pipeline.sources.physionet2012.data_set import Physionet2012DataSet
from omnifuse.pipeline.sources.pseudonyms import PseudonymousDataSet

from .core.toy import ToyDataSet, write_raw

PIPELINE = Path(pipeline.__file__).parent
DATA_SETS: tuple[type[DataSet], ...] = (
    FilesDataSet, ImportedDataSet, LungDataSet, MedsDataSet, MimicDataSet, Physionet2012DataSet,
)  # fmt: skip
RANDOM = Encoders("random", "random")
RESOLVED = (PIPELINE / "sources/mimic/concepts/resources", PIPELINE / "sources/mimic/tasks/resources")
"""Definitions of variables and tasks, of which a cache is made of those that were named: these stand in its key."""


def test_every_file_of_the_package_that_is_no_code_is_in_the_key_of_a_data_set() -> None:
    keyed = {file for kind in DATA_SETS for folder in kind.resources for file in resource_files(folder)}  # type: ignore[attr-defined]
    writes_raw_folders = PIPELINE / "synthetic"
    folders = [path for path in (PIPELINE, *PIPELINE.rglob("*")) if path.is_dir()]
    everything = {file for folder in folders if folder not in RESOLVED for file in resource_files(folder)}
    everything -= {file for file in everything if file.is_relative_to(writes_raw_folders)}
    assert everything == keyed
    assert {"items.csv", "phenotype_codes.csv", "published_counts.csv"} <= {file.name for file in keyed}


def test_what_is_taken_of_definitions_is_in_the_key_and_nothing_else_of_them(synthetic_raw: Path) -> None:
    dataset = MimicDataSet(synthetic_raw, Options(modalities=("labs",), variables=("labs",), task=("los_3d",)))
    key = json.dumps(dataset.settings())
    assert "icu_in + 3d" in key and "sepsis" not in key
    (modality,) = [table for table in dataset.read(Quarantine()).tables if table.name == "labs"]
    assert modality.recipe["units"] == digest_file(RESOLVED[0] / "units.csv")
    assert [concept["name"] for concept in modality.recipe["concepts"]] == [c.name for c in starter_set("labs", 4)]
    assert "norepinephrine" not in json.dumps(modality.recipe)


def test_a_key_names_every_resource_once_by_folder_and_file() -> None:
    """As in the caches that there are: under another name all would be made anew."""
    assert list(resource_digests(MimicDataSet.resources)) == [
        *(f"resources/{name}.csv" for name in ("categories", "items", "phenotype_codes", "phenotypes", "variables")),
        "mimic/published_counts.csv",
    ]
    assert list(resource_digests(Physionet2012DataSet.resources)) == ["physionet2012/variables.csv"]


def test_a_digest_goes_with_the_content_and_not_with_place_or_code(tmp_path: Path) -> None:
    for name in ("a", "b"):
        folder = tmp_path / name / "resources"
        folder.mkdir(parents=True)
        (folder / "items.csv").write_text("itemid\n1\n")
        (folder / "code.py").write_text(name)
    before = resource_digests([tmp_path / "a/resources"])
    assert list(before) == ["resources/items.csv"]
    assert before == resource_digests([tmp_path / "b/resources"])
    (tmp_path / "b/resources/items.csv").write_text("itemid\n2\n")
    assert before != resource_digests([tmp_path / "b/resources"])


@pytest.fixture
def physionet(tmp_path: Path) -> Path:
    """One record with two measurements."""
    folder = tmp_path / "raw/set-a"
    folder.mkdir(parents=True)
    rows = ["Time,Parameter,Value", "00:00,RecordID,7", "00:00,Age,50", "01:00,HR,80", "01:00,Temp,37"]
    (folder / "7.txt").write_text("\n".join(rows) + "\n")
    return tmp_path / "raw"


@pytest.fixture
def own_resources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the tables of PhysioNet 2012, which its data set reads instead of its own."""
    folder = tmp_path / "physionet2012"
    folder.mkdir()
    for file in resource_files(Physionet2012DataSet.resources[0]):
        shutil.copy(file, folder)
    monkeypatch.setattr(Physionet2012DataSet, "resources", (folder,))
    monkeypatch.setattr(variables, "files", lambda _: folder)
    variables.variables.cache_clear()
    yield folder
    variables.variables.cache_clear()


def test_a_changed_table_of_variables_computes_the_rows_anew_and_is_named(physionet: Path, own_resources: Path) -> None:
    def again(**options: object) -> tuple[str, ...]:
        variables.variables.cache_clear()
        dataset = open_dataset("physionet2012", physionet, {"modalities": ("vitals",), **options})
        return extract(dataset, physionet.parent / "cache", RANDOM).reasons

    again()
    assert again() == ()
    names = [column.name for column in FeatureCache.open(physionet.parent / "cache").modality("vitals").columns]
    table = own_resources / "variables.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(line for line in lines if not line.startswith("HR,")))
    (reason,) = again()
    assert reason.startswith("cohort.resources.physionet2012/variables.csv: ")
    vitals = FeatureCache.open(physionet.parent / "cache").modality("vitals")
    assert [column.name for column in vitals.columns] == [name for name in names if name not in ("HR", "mask->HR")]
    assert vitals.values.shape[1] == len(names) - 2


def test_data_sets_around_another_pass_its_resources_on(physionet: Path) -> None:
    split = physionet.parent / "mine.csv"
    split.write_text("subject_id,split\n7,train\n")
    dataset = open_dataset("physionet2012", physionet, splits=(split,))
    assert dataset.resources == Physionet2012DataSet.resources
    assert PseudonymousDataSet(dataset, bytes(32)).resources == Physionet2012DataSet.resources


class OtherColumns(ToyDataSet):
    """The toy whose code says that a rate comes with the number of its measurement."""

    def read(self, quarantine: Quarantine) -> Records:
        records = super().read(quarantine)
        (rates,) = records.tables
        return dataclasses.replace(records, tables=(self._two(rates),))

    def _two(self, rates: TableModality) -> TableModality:
        def blocks(quarantine: Quarantine) -> Iterator[Block]:
            for block in rates.blocks(quarantine):
                yield dataclasses.replace(block, values=np.repeat(block.values, 2, axis=1))

        return dataclasses.replace(rates, columns=(*rates.columns, Column("number")), blocks=blocks)


def test_other_columns_are_other_rows(tmp_path: Path) -> None:
    raw, cache = write_raw(tmp_path / "raw"), tmp_path / "cache"
    extract(ToyDataSet(raw, modalities=("rate",)), cache, RANDOM)
    (cache / "manifest.json").unlink()
    assert extract(OtherColumns(raw, modalities=("rate",)), cache, RANDOM).pending == {"rate": 4}
    assert FeatureCache.open(cache).modality("rate").values.tolist() == [[80, 80], [90, 90], [70, 70]]
