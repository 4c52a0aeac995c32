"""Patients with CT, PET and Chinese clinical text: the table, the folders, and the cache of a synthetic folder."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from omnifuse.cache_schema import FeatureCache, InputError, MissingInputError
from omnifuse.cli import main
from omnifuse.pipeline.core.plan import Encoders
from omnifuse.pipeline.core.stages import Extraction, extract
from omnifuse.pipeline.source import Quarantine, Records
from omnifuse.pipeline.sources import DATASETS, language_encoder
from omnifuse.pipeline.sources.lung.data_set import LungDataSet
from omnifuse.pipeline.synthetic.lung import write_lung

HEADER = "patient_id,label,text:既往史,text:手术指征\n"
TABLE = HEADER + "b,AIS,体健。,\na,IA grade 2,高血压,手术\nc,,,\n"
IMAGES = np.full((4, 8, 8), 500, np.int16)


def write_raw(folder: Path, write_dicom: Callable[..., Path]) -> Path:
    """Write three patients: a with CT and PET, b with CT, c with an empty folder; a series has 4 slices."""
    for place, modality in (("a/1/CT", "CT"), ("a/1/PET", "PT"), ("b", "CT")):
        for z, plane in enumerate(IMAGES):
            write_dicom(
                folder / place / f"{z}.dcm",
                plane + z + len(place),
                Modality=modality,
                SeriesInstanceUID=f"1.{len(place)}",
                ImagePositionPatient=[0, 0, z],
                ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
                RescaleSlope=1,
                RescaleIntercept=-1024 if modality == "CT" else 0,
                Units="GML",
            )
    (folder / "patients.csv").write_text(TABLE, encoding="utf-8")
    (folder / "c").mkdir()
    return folder


@pytest.fixture
def raw(tmp_path: Path, write_dicom: Callable[..., Path]) -> Path:
    """Return the folder of three patients."""
    return write_raw(tmp_path / "raw", write_dicom)


@pytest.fixture(scope="module")
def messy(tmp_path_factory: pytest.TempPathFactory, write_dicom: Callable[..., Path]) -> Path:
    """Return the folder of a cache whose series of b lacks a slice, with rows and folders that do not match."""
    raw = write_raw(tmp_path_factory.mktemp("lung") / "raw", write_dicom)
    (raw / "b/1.dcm").unlink()
    (raw / "nobody").mkdir()
    (raw / "patients.csv").write_text(TABLE + "d,MIA,x,\n../a,MIA,x,\n", encoding="utf-8")
    assert run(raw).pending == {"ct": 2, "pet": 1, "rep": 3}  # two texts are the same
    return raw.parent


def read(raw: Path, *modalities: str) -> tuple[Records, Quarantine]:
    dataset = LungDataSet(raw, modalities or None)
    dataset.inputs()
    quarantine = Quarantine()
    return dataset.read(quarantine), quarantine


def problems(quarantine: Quarantine) -> list[tuple[str, ...]]:
    return quarantine.frame().select("where", "value", "reason").rows()


def run(raw: Path) -> Extraction:
    return extract(LungDataSet(raw), raw.parent / "cache", Encoders("random", "random"))


class TestTable:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
    def test_texts_are_the_same_in_every_encoding(self, raw: Path, encoding: str) -> None:
        (raw / "patients.csv").write_text(TABLE, encoding=encoding)
        records, quarantine = read(raw, "rep")
        (rep,) = records.items
        assert rep.windowed
        assert list((rep.texts or {}).values()) == ["既往史：高血压\n手术指征：手术", "既往史：体健。"]
        assert rep.items.select("sample_id", "place").rows() == [("a", "row 3"), ("b", "row 2")]
        assert quarantine.total == 0

    @pytest.mark.parametrize(
        ("content", "byte"),
        [
            (TABLE.encode().replace("压".encode(), b"\xff"), r"byte 87 \(0xff\)"),  # all of it UTF-8 but this
            (TABLE.encode("gb18030").replace("压".encode("gb18030"), b"\xff"), r"byte 75 \(0xff\)"),
            (TABLE.encode("utf-16"), r"byte 1 \(0xff\)"),
        ],
        ids=["damaged UTF-8", "damaged GB18030", "UTF-16"],
    )
    def test_another_encoding_is_refused_with_the_byte(self, raw: Path, content: bytes, byte: str) -> None:
        (raw / "patients.csv").write_bytes(content)
        with pytest.raises(InputError, match=rf"patients.csv: {byte} is neither UTF-8 nor GB18030. Save the table"):
            read(raw)

    def test_pathology_and_level_are_one_label(self, raw: Path) -> None:
        labels = [
            "AAH",
            "ais",
            "MIA",
            "IA1",
            "IA Grade 1",
            "IA-2",
            "IA2",
            "ia3",
            "IA grade 3",
            "low",
            "Moderate",
            "high",
        ]
        rows = "".join(f"{number:02},{label},x,\n" for number, label in enumerate(labels))
        (raw / "patients.csv").write_text(HEADER + rows, encoding="utf-8")
        (task,) = read(raw, "rep")[0].tasks({})
        assert (task.name, task.kind, task.labels) == ("invasiveness", "multiclass", ("low", "moderate", "high"))
        assert task.y[:, 0].tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 2, 0, 1, 2]

    def test_other_labels_are_listed_and_left_unknown(self, raw: Path) -> None:
        long = "胸部CT示肺内实性结节，可见分叶征及毛刺征，邻近胸膜牵拉"
        (raw / "patients.csv").write_text(f"{HEADER}a,IA4,x,\nb,{long},x,\nc,,x,\nd,MIA,x,\n", encoding="utf-8")
        records, quarantine = read(raw, "rep")
        (task,) = records.tasks({})
        np.testing.assert_array_equal(task.y[:, 0], [np.nan, np.nan, np.nan, 1])
        assert task.counts == (("patients of the table", 4), ("with a known label", 1))
        allowed = "none of AAH, AIS, MIA, IA1, IA2, IA3 (or IA grade 1, 2, 3), low, moderate, high: left unknown"
        assert problems(quarantine) == [("row 2, label", "IA4", allowed), ("row 3, label", "", allowed)]

    def test_a_text_is_cut_at_1748_characters_and_that_is_counted(self, raw: Path) -> None:
        (raw / "patients.csv").write_text(f"{HEADER}a,MIA,{'字' * 2000},\nb,MIA,{'文' * 1744},\n", encoding="utf-8")
        records, quarantine = read(raw, "rep")
        assert [len(text) for text in (records.items[0].texts or {}).values()] == [1748, 1748]
        assert problems(quarantine) == [("row 2", "", "text longer than 1,748 characters, cut there")]

    def test_rows_without_an_id_or_with_one_that_was_there_already(self, raw: Path) -> None:
        (raw / "patients.csv").write_text(f"{HEADER}b,MIA,x,\n,MIA,x,\nb,AIS,y,\na,,x,\n", encoding="utf-8")
        records, quarantine = read(raw, "rep")
        assert records.samples.rows() == [("a", "a"), ("b", "b")]
        assert problems(quarantine) == [("row 3", "", "patient_id is empty"), ("row 4", "b", "patient_id is repeated")]

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            ("id,label,text:x\n", "patients.csv has no column 'patient_id'"),
            ("patient_id,text:x\n", "patients.csv has no column 'label'"),
            ("patient_id,label,text:\n", "column 'text:' without a heading"),
            ("patient_id,label,既往史\na,MIA,x\n", "has no clinical text: its columns are called text: and a heading"),
        ],
    )
    def test_tables_that_cannot_be_meant(self, raw: Path, table: str, message: str) -> None:
        (raw / "patients.csv").write_text(table, encoding="utf-8")
        with pytest.raises(InputError, match=message):
            read(raw)

    def test_no_table(self, raw: Path) -> None:
        (raw / "patients.csv").unlink()
        with pytest.raises(MissingInputError, match=r"There is no file .*patients.csv: a table with patient_id, label"):
            read(raw)


class TestFolders:
    def test_series_are_found_at_any_depth_and_told_by_their_tag(self, raw: Path) -> None:
        records, quarantine = read(raw)
        ct, pet, rep = records.items
        assert (ct.name, pet.name, rep.name) == ("ct", "pet", "rep")
        found = ct.items.drop_nulls("sample_id").select("sample_id", "item_id", "place").rows()
        assert found == [("a", "a-ct-01", "a/1/CT"), ("b", "b-ct-01", "b")]
        assert pet.items.select("item_id", "path").rows() == [("a-pet-01", str(raw / "a/1/PET"))]
        assert problems(quarantine) == [("row 4", "", "no DICOM or NIfTI file in the folder of this patient")]

    def test_nifti_files_are_told_by_their_name_or_folder(self, raw: Path) -> None:
        for name in ("ct_thorax.nii.gz", "PET-AC.nii", "CT/1.nii", "petct.nii"):
            (raw / "c" / name).parent.mkdir(exist_ok=True)
            (raw / "c" / name).write_bytes(b"not read here")
        records, quarantine = read(raw, "ct", "pet")
        places = [[place for place in item.items["place"] if place.startswith("c/")] for item in records.items]
        assert places[1] == ["c/PET-AC.nii"]
        assert [place for place in places[0] if ".nii" in place] == ["c/ct_thorax.nii.gz", "c/CT/1.nii", "c/petct.nii"]
        assert records.items[0].items.filter(place="c/petct.nii")["sample_id"].to_list() == [None]
        reason = "neither CT nor PET by the name of the NIfTI file or its folders"
        assert problems(quarantine) == [("c/petct.nii", "", reason)]

    def test_nifti_needs_its_package(self, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (raw / "c" / "ct.nii").write_bytes(b"")
        monkeypatch.setitem(sys.modules, "nibabel", None)  # as if it were not installed
        with pytest.raises(InputError, match=r"Reading NIfTI files needs the package nibabel: pip install 'omnifuse"):
            read(raw)

    def test_other_modalities_are_named(self, raw: Path, write_dicom: Callable[..., Path]) -> None:
        write_dicom(raw / "c" / "mr" / "1.dcm", IMAGES[0], Modality="MR")
        assert problems(read(raw)[1]) == [("c/mr", "", "Modality MR, where CT or PT is expected")]

    def test_what_nobody_has_is_refused(self, raw: Path) -> None:
        shutil.rmtree(raw / "a")
        with pytest.raises(InputError, match=r"No patient in .* has a series of the modality 'pet'"):
            read(raw, "pet")
        shutil.rmtree(raw / "b")
        with pytest.raises(InputError, match=r"No patient in .* has a CT or PET series; for texts alone"):
            read(raw)
        with pytest.raises(InputError, match="lung has no modality 'cxr'; it has ct, pet, rep"):
            read(raw, "cxr")


class TestExtraction:
    def test_a_slice_is_a_row(self, messy: Path) -> None:
        cache = FeatureCache.open(messy / "cache")
        assert cache.samples["sample_id"].to_list() == ["../a", "a", "b", "c", "d"]
        assert cache.modality("ct").lengths.tolist() == [0, 4, 0, 0, 0]
        assert cache.modality("pet").lengths.tolist() == [0, 4, 0, 0, 0]
        assert cache.modality("rep").present.tolist() == [True, True, True, False, True]
        assert cache.modality("ct").values.shape == (4, 512)
        assert cache.verify().passed

    def test_what_was_left_out_is_listed(self, messy: Path) -> None:
        rows = FeatureCache.open(messy / "cache").quarantine.select("source", "where", "reason").rows()
        assert sorted(rows) == [
            ("ct", "b", "slices at unequal distances, 1 to 2 mm"),
            ("ct", "row 5", "the folder is missing"),
            ("patients.csv", "nobody", "a folder of no patient in patients.csv"),
            ("patients.csv", "row 6", "patient_id cannot be the name of a folder"),
            ("series", "row 4", "no DICOM or NIfTI file in the folder of this patient"),
        ]

    def test_no_text_is_stored_anywhere(self, messy: Path) -> None:
        stored = [path for tree in ("cache", "cache.items") for path in (messy / tree).rglob("*") if path.is_file()]
        assert stored and not [path for path in stored if "高血压".encode() in path.read_bytes()]

    def test_what_changes_or_comes_later_is_encoded_alone(self, raw: Path) -> None:
        (raw / "b").rename(raw.parent / "b")
        run(raw)
        assert not run(raw).done
        (raw.parent / "b").rename(raw / "b")
        assert run(raw).pending == {"ct": 1, "pet": 0, "rep": 0}
        (raw / "b/3.dcm").unlink()
        assert run(raw).pending == {"ct": 1, "pet": 0, "rep": 0}
        assert FeatureCache.open(raw.parent / "cache").modality("ct").lengths.tolist() == [4, 3, 0]
        shutil.copytree(raw / "a/1/PET", raw / "c/PET")
        again = run(raw)
        assert (again.done, again.pending["pet"]) == (True, 0)  # its content is known
        assert FeatureCache.open(raw.parent / "cache").modality("pet").lengths.tolist() == [4, 0, 4]


class TestSynthetic:
    def test_the_command_writes_what_the_data_set_reads(self, tmp_path: Path) -> None:
        arguments = ("synth", "--layout", "lung", "--stays", 12, "--out", tmp_path / "raw", "--json")
        result = CliRunner().invoke(main, list(map(str, arguments)))
        assert result.exit_code == 0, result.stderr
        records, quarantine = read(tmp_path / "raw")
        assert np.bincount(records.tasks({})[0].y[:, 0].astype(int)).tolist() == [4, 4, 4]
        present = [item.items["sample_id"].n_unique() for item in records.items]
        assert [item.name for item in records.items] == ["ct", "pet", "rep"]
        assert all(3 < number <= 12 for number in present) and min(present) < 12
        for item in records.items[:2]:
            assert item.read is not None
            assert 8 <= len(item.read(Path(item.items["path"][0]))) <= 12
        assert quarantine.total == 0

    def test_the_same_seed_gives_the_same_bytes(self, tmp_path: Path) -> None:
        for name in ("one", "two"):
            write_lung(tmp_path / name, patients=6, seed=1)
        one, two = (
            {file.relative_to(tmp_path / name): file.read_bytes() for file in (tmp_path / name).rglob("*.*")}
            for name in ("one", "two")
        )
        assert one == two

    @pytest.mark.parametrize(
        ("option", "message"),
        [(("--stays", "5"), "5 patients are too few"), (("--without", "void"), "are for the MIMIC-shaped cohorts")],
    )
    def test_what_it_cannot_write(self, tmp_path: Path, option: tuple[str, ...], message: str) -> None:
        result = CliRunner().invoke(main, ["synth", "--layout", "lung", "--out", str(tmp_path / "raw"), *option])
        assert (result.exit_code, message in result.stderr) == (2, True), result.stderr


def test_its_texts_are_read_by_a_chinese_encoder_unless_told_otherwise() -> None:
    assert language_encoder(DATASETS.get("lung"), "bert-base-uncased") == "bert-base-chinese"
