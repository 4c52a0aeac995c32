"""The written notes read back: the law in the last note of radiology, the outcome in what nobody may read."""

from pathlib import Path

import polars as pl
from omnifuse.pipeline.source import ItemModality, Quarantine
from omnifuse.pipeline.sources.mimic import Options
from omnifuse.pipeline.sources.mimic.data_set import MimicDataSet
from omnifuse.pipeline.synthetic.notes import MOST_ROUTINE, OUTCOMES
from omnifuse.pipeline.synthetic.reports import WORSE

from .test_raw_folder import correlation, count


def notes_of(raw: Path, *categories: str) -> pl.DataFrame:
    """Return the notes of the stays as they would be encoded: sample_id, time, category, text."""
    items: ItemModality = (
        MimicDataSet(raw, Options(modalities=("notes",), note_categories=categories or None))
        .read(Quarantine())
        .items[0]
    )
    assert items.texts is not None
    texts = [items.texts[digest] for digest in items.items["digest"]]
    return items.items.select("sample_id", "time", "category").with_columns(text=pl.Series(texts, dtype=pl.String))


def telling(notes: pl.DataFrame) -> list[bool]:
    return [any(outcome in text for outcome in OUTCOMES.values()) for text in notes["text"]]


def test_the_last_note_of_radiology_in_the_window_shows_the_statistic(mimic3: Path) -> None:
    truth = pl.read_parquet(mimic3 / "synthetic" / "truth.parquet")
    told = notes_of(mimic3).filter(pl.col("time") <= 48)
    last = told.filter(category="Radiology").unique("sample_id", keep="last", maintain_order=True)
    assert set(last["sample_id"]) == set(truth.filter("rep_available")["stay_id"]) & set(last["sample_id"])
    assert len(last) == truth["rep_available"].sum()
    words = [[count(text.lower(), kind) for text in last["text"]] for kind in WORSE]
    seen = last.with_columns(air=pl.Series(words[0]), fluid=pl.Series(words[1]))
    seen = seen.join(truth, left_on="sample_id", right_on="stay_id")
    assert correlation(seen, "air", "rep_shared") > 0.9
    assert correlation(seen, "fluid", "rep_own") > 0.9


def test_the_planted_note_is_among_the_last_five(mimic3: Path) -> None:
    told = notes_of(mimic3).filter(pl.col("time") <= 48)
    last = told.group_by("sample_id", maintain_order=True).tail(MOST_ROUTINE + 1)
    with_radiology = told.filter(category="Radiology")["sample_id"].unique()
    assert set(last.filter(category="Radiology")["sample_id"]) == set(with_radiology)


def test_what_tells_the_outcome_is_written_and_not_read(mimic3: Path, mimic4: Path) -> None:
    table = pl.read_csv(mimic3 / "NOTEEVENTS.csv.gz", infer_schema=False)
    written = table.filter(pl.Series(telling(table.rename({"TEXT": "text"}))))
    assert {"Discharge summary", "Physician "} <= set(written["CATEGORY"])
    assert set(written.filter(pl.col("CATEGORY") != "Discharge summary")["ISERROR"]) == {"1"}
    categories = ("Radiology", "Nursing", "Nursing/other", "Physician", "Respiratory", "Discharge summary")
    read = notes_of(mimic3, *categories)
    assert set(read["category"]) == set(categories) - {"Discharge summary"}
    assert not any(telling(read))
    assert notes_of(mimic4, "Discharge summary").is_empty()


def test_notes_of_mimic4_are_the_reports_of_the_studies(mimic4: Path) -> None:
    table = pl.read_csv(mimic4 / "note" / "radiology.csv.gz", try_parse_dates=True)
    files = {path.read_text(encoding="utf-8") for path in (mimic4 / "mimic-cxr").rglob("*.txt")}
    assert set(table["text"]) == files
    assert table["note_id"].is_unique().all()
    assert table["note_id"].str.contains(r"^\d+-RR-\d+$").all()
    assert 0.03 < table["hadm_id"].is_null().mean() < 0.5
    delay = (table["storetime"] - table["charttime"]).dt.total_minutes()
    assert delay.is_between(10, 60).all()
