"""Real chest images, notes and numbers of the covid-chestxray-dataset (Cohen et al. 2020) as a table of one's own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from click.testing import CliRunner
from omnifuse.cache_schema import FeatureCache
from omnifuse.cli import main

SAMPLES = 40


def samples_table(folder: Path, out: Path) -> Path:
    """Write the table: is the finding COVID-19? What became of the patient (survival, ICU) is left out."""
    raw = pl.read_csv(folder / "metadata.csv", infer_schema=False).with_row_index("row")
    table = raw.select(
        sample_id=pl.col("row"),
        subject_id="patientid",
        label=pl.col("finding").str.contains("COVID-19").cast(pl.Int8),
        **{
            "image:cxr": pl.lit(f"{folder}/images/") + pl.col("file"),
            "text:note": "clinical_notes",
            "num:age": "age",
            "num:male": (pl.col("sex") == "M").cast(pl.Int8),
            "num:temperature": "temperature",
            "num:saturation": "pO2_saturation",
        },
    )
    table.write_csv(out)
    return out


def omnifuse(*arguments: object) -> None:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.stderr


def test_real_images_notes_and_numbers_become_a_cache_and_a_model(
    shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    samples, cache_path = samples_table(shared_data("covid-cxr"), tmp_path / "samples.csv"), tmp_path / "cache"
    encoders = ("--text-encoder", "random", "--image-encoder", "random", "--workers", 0)
    omnifuse(
        "extract", "--dataset", "files", "--samples", samples, "--cache", cache_path, "--limit", SAMPLES, *encoders
    )
    cache, raw = FeatureCache.open(cache_path), pl.read_csv(samples, infer_schema=False).head(SAMPLES)
    assert cache.samples["sample_id"].to_list() == list(range(SAMPLES))
    assert cache.quarantine.is_empty()
    assert cache.modality("cxr").lengths.tolist() == [1] * SAMPLES
    assert cache.modality("note").present.tolist() == raw["text:note"].is_not_null().to_list()
    numbers = raw.select(pl.col("^num:.*$").cast(pl.Float32)).to_numpy()
    num = cache.modality("num")
    assert [column.name for column in num.columns] == ["age", "male", "temperature", "saturation"]
    np.testing.assert_array_equal(num.values, numbers[num.present])
    omnifuse(
        "train", "--cache", cache_path, "--run", tmp_path / "run", "--method", "concat", "--folds", 2, "--workers", 1,
        "--set", "fit.epochs=1",
    )  # fmt: skip
    predictions = pl.read_parquet(tmp_path / "run/predictions.parquet")
    assert predictions["sample_id"].sort().to_list() == list(range(SAMPLES))
