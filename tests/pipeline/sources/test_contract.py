"""Every data set of ours passes the suite that strangers' data sets are held to."""

from dataclasses import fields
from pathlib import Path

import polars as pl
import pytest
from omnifuse.pipeline.sources import DATASETS, flaw, open_dataset
from omnifuse.pipeline.synthetic.lung import write_lung
from omnifuse.testing import check_dataset

from .conftest import RawFolder, add_images


def test_the_modules_are_what_the_registry_asks_of_a_plug_in() -> None:
    for name in DATASETS.names():
        module = DATASETS.get(name)
        assert flaw(module) is None and "\n" not in module.title
        assert all(field.metadata["help"] for field in fields(module.Options)), name


def test_mimic3(mimic3: RawFolder) -> None:
    check_dataset(lambda raw: open_dataset("mimic", raw), mimic3.write())


def test_mimic4_with_images_and_reports(mimic4: RawFolder) -> None:
    add_images(mimic4)
    check_dataset(lambda raw: open_dataset("mimic", raw), mimic4.write(".csv.gz"))


def test_physionet2012(tmp_path: Path) -> None:
    (tmp_path / "raw/set-a").mkdir(parents=True)
    for record in (7, 8):
        rows = ["Time,Parameter,Value", f"00:00,RecordID,{record}", "00:00,Age,50", "01:00,HR,80", "03:00,pH,7.4"]
        (tmp_path / f"raw/set-a/{record}.txt").write_text("\n".join(rows) + "\n")
    header = "RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death"
    (tmp_path / "raw/Outcomes-a.txt").write_text(f"{header}\n7,1,1,5,-1,0\n8,1,1,5,2,1\n")
    check_dataset(lambda raw: open_dataset("physionet2012", raw), tmp_path / "raw")


def test_lung(tmp_path: Path) -> None:
    write_lung(tmp_path / "raw", 6, 0)
    check_dataset(lambda raw: open_dataset("lung", raw), tmp_path / "raw")


def test_meds(tmp_path: Path) -> None:
    (tmp_path / "raw/data").mkdir(parents=True)
    hours = ["2020-01-01 01:00", "2020-01-01 02:00", "2020-01-01 03:00"]
    events = pl.DataFrame({"subject_id": [1, 1, 2], "time": hours, "code": ["HR", "SEEN", "HR"]})
    events = events.with_columns(
        pl.col("time").str.to_datetime("%Y-%m-%d %H:%M", time_unit="us"),
        numeric_value=pl.Series([80.0, None, 90.0], dtype=pl.Float32),
    )
    events.write_parquet(tmp_path / "raw/data/0.parquet")
    labels = pl.DataFrame({"subject_id": [1, 2], "prediction_time": ["2020-01-02 00:00"] * 2})
    labels = labels.with_columns(
        pl.col("prediction_time").str.to_datetime("%Y-%m-%d %H:%M", time_unit="us"),
        boolean_value=pl.Series([True, False]),
    )
    labels.write_parquet(tmp_path / "raw/died.parquet")
    check_dataset(lambda raw: open_dataset("meds", raw, {"samples": raw / "died.parquet"}), tmp_path / "raw")


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "samples.csv").write_text("sample_id,subject_id,label,text:note,num:age\na,1,0,Clear.,50\nb,2,1,,60\n")
    (folder / "vitals.csv").write_text("sample_id,time,variable,value\na,1,HR,80\nb,3,HR,90\n")
    (folder / "rna.csv").write_text("sample_id,g1,g2\na,1,2\n")
    return folder


def test_a_table_of_ones_own(tables: Path) -> None:
    check_dataset(
        lambda raw: open_dataset(
            "files", options={"samples": raw / "samples.csv", "events": {"vitals": raw / "vitals.csv"}}
        ),
        tables,
    )


def test_features_of_ones_own(tables: Path) -> None:
    check_dataset(
        lambda raw: open_dataset(
            "imported",
            options={"samples": raw / "samples.csv", "features": (f"rna={raw / 'rna.csv'}",), "label": ("label",)},
        ),
        tables,
    )
