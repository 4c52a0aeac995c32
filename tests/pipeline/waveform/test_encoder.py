"""The encoder of electrocardiograms keeps the contract of all frozen encoders."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import InputError, MissingInputError
from omnifuse.pipeline.frozen_encoders import frozen_encoder
from omnifuse.pipeline.synthetic.cohort import SynthSettings
from omnifuse.pipeline.synthetic.write import write_cohort
from omnifuse.pipeline.waveform.encoder import Electrocardiograms
from omnifuse.pipeline.waveform.model import ResNet1d
from omnifuse.testing import check_encoder
from safetensors.torch import load_file, save_file


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    raw = tmp_path_factory.mktemp("ecg") / "raw"
    write_cohort(raw, SynthSettings(10, 3, events_per_stay=20, images=0, ecg=True))
    return sorted(raw.rglob("*.hea"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "own.safetensors"
    save_file(ResNet1d().state_dict(), path)
    return path


def test_it_keeps_the_contract(records: list[Path], weights: Path) -> None:
    other = Electrocardiograms(str(weights))
    missing = Electrocardiograms(str(weights.with_name("none.safetensors")))
    check_encoder(other, records[:3], other_weights=Electrocardiograms("random"), without_weights=missing)


def test_a_record_is_one_row_of_256_values(records: list[Path]) -> None:
    encoder = frozen_encoder("ecg", "random")
    (rows,) = encoder.load()([encoder.read(records[0])])
    assert not isinstance(rows, Exception)
    assert (rows.shape, rows.dtype) == ((1, 256), np.float16)
    np.testing.assert_array_equal(rows, next(iter(encoder.load()([encoder.read(records[0].parent)]))))


def test_without_weights_it_says_what_to_give() -> None:
    with pytest.raises(MissingInputError, match=r"--encoder ecg=FILE\.safetensors .* or --encoder ecg=random"):
        frozen_encoder("ecg", "").recipe()


@pytest.mark.parametrize("change", ["absent", "shape", "nan"])
def test_weights_that_do_not_fit_are_refused_with_their_file(weights: Path, tmp_path: Path, change: str) -> None:
    tensors = load_file(weights)
    name = "stem.0.weight"
    if change == "absent":
        del tensors[name]
    else:
        tensors[name] = tensors[name][1:].clone() if change == "shape" else tensors[name] * float("nan")
    save_file(tensors, tmp_path / "bad.safetensors")
    with pytest.raises(InputError, match=r"bad\.safetensors"):
        replace(Electrocardiograms("random"), model=str(tmp_path / "bad.safetensors")).load()


def test_the_planted_cause_is_seen_in_the_t_wave(records: list[Path]) -> None:
    truth = pl.read_parquet(records[0].parents[5] / "synthetic" / "truth.parquet")
    read = {path.parents[1].name: frozen_encoder("ecg", "random").read(path) for path in records}
    known = truth.filter(pl.col("subject_id").is_in([int(name[1:]) for name in read])).unique("subject_id", keep="none")
    height = [np.quantile(read[f"p{subject}"][1], 0.85) for subject in known["subject_id"]]
    assert np.corrcoef(height, known["z0"])[0, 1] > 0.5
