"""The page on adding a frozen encoder shows one that works: a kind of content of which nothing else knows."""

import importlib
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from omnifuse.cache_schema import FeatureCache, InputError, MissingInputError, Task, read_manifest, verify_cache
from omnifuse.cli import main
from omnifuse.pipeline.core.encode import Machines
from omnifuse.pipeline.core.encoders import Encoders
from omnifuse.pipeline.core.stages import extract
from omnifuse.pipeline.frozen_encoders import FROZEN_ENCODERS, FrozenEncoder, frozen_encoder
from omnifuse.pipeline.source import ItemModality, Quarantine, Records
from omnifuse.testing import check_encoder

PAGE = (Path(__file__).parents[1] / "docs" / "add-an-encoder.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
OTHERS = """
import numpy as np
from omnifuse.pipeline.frozen_encoders import FrozenEncoder
from omnifuse.pipeline.image.decode import decode_image

class Grey(FrozenEncoder):
    content = "image"
    default = "mean"

    def recipe(self):
        if self.model not in ("mean", "flat"):
            raise ValueError(f"no model {self.model}")
        return {"of": self.model, "sha256": "0" * 64}

    def read(self, path):
        return decode_image(path)

    def load(self):
        if self.model == "flat":
            return lambda images: [image.astype(np.float32).ravel() for image in images]
        return lambda images: [image.mean(axis=0, keepdims=True) / 255 for image in images]

class Letters(FrozenEncoder):
    content = "text"

    def recipe(self):
        return {"sha256": "1" * 64}

    def read(self, path):
        return path.read_text()

    def load(self):
        return lambda texts: [np.array([[len(text), text.count(" ")]], np.float32) for text in texts]

class Half(FrozenEncoder):
    content = "waveform"
"""
ENTRIES = """[omnifuse.frozen_encoders]
waveform = acme_waves:Filters
grey = acme_others:Grey
letters = acme_others:Letters
half = acme_others:Half
broken = acme_nowhere:Broken
timm = acme_others:Grey
"""


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package with the encoder of the page and others; its version can be changed in its METADATA."""
    place = tmp_path / "site"
    information = place / "acme_waves-1.2.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-waves\nVersion: 1.2\n")
    (information / "entry_points.txt").write_text(ENTRIES)
    (place / "acme_waves.py").write_text(CODE)
    (place / "acme_others.py").write_text(OTHERS)
    for seed, (name, width) in enumerate({"small": 4, "wide": 6}.items()):
        np.save(place / f"{name}.npy", np.random.default_rng(seed).normal(0, 0.1, (100, width)).astype(np.float32))
    monkeypatch.syspath_prepend(str(place))
    look_again()
    yield place
    look_again()
    for module in ("acme_waves", "acme_others"):
        sys.modules.pop(module, None)


def look_again() -> None:
    """Look for installed packages as a new process does."""
    importlib.invalidate_caches()
    vars(FROZEN_ENCODERS).pop("offered", None)


class Monitor:
    """A data set of somebody's: a waveform of 40 patients each, which lies higher in those who died; one is damaged."""

    name = "monitor"
    resources: tuple[Path, ...] = ()

    def __init__(self, raw: Path) -> None:
        self.raw = raw

    def write(self) -> "Monitor":
        self.raw.mkdir()
        self.labels().write_csv(self.raw / "labels.csv")
        generator = np.random.default_rng(0)
        for number, died in self.labels().iter_rows():
            wave = generator.normal(2 * died, 1, 100 * (1 + number % 4) + 7)
            np.save(self.raw / f"{number}.npy", wave.astype(np.float32))
        (self.raw / "7.npy").write_bytes(b"no array")
        return self

    def labels(self) -> pl.DataFrame:
        return pl.DataFrame({"sample_id": range(40), "died": [number % 2 for number in range(40)]})

    def inputs(self) -> list[Path]:
        return [self.raw / "labels.csv"]

    def settings(self) -> dict[str, Any]:
        return {"version": 1}

    def read(self, quarantine: Quarantine) -> Records:
        ids = range(40)
        y = self.labels()["died"].to_numpy()[:, None].astype(np.float32)
        task = Task("death", "binary", ("died",), y, 48.0, {}, (("all", 40),))
        items = pl.DataFrame(
            {
                "sample_id": ids,
                "item_id": [f"wave{number}" for number in ids],
                "path": [str(self.raw / f"{number}.npy") for number in ids],
                "time": pl.Series([None] * 40, dtype=pl.Float32),
            }
        )
        samples = pl.DataFrame({"sample_id": ids, "subject_id": ids})
        return Records(samples, lambda _: (task,), items=(ItemModality("ecg", "waveform", "one second", items, {}),))


@pytest.fixture
def monitor(acme: Path, tmp_path: Path) -> Monitor:
    return Monitor(tmp_path / "raw").write()


def omnifuse(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_encoder_of_the_page_keeps_the_contract(monitor: Monitor) -> None:
    small, wide, absent = (frozen_encoder("waveform", name) for name in ("", "wide", "absent"))
    items = [monitor.raw / f"{number}.npy" for number in range(5)]
    check_encoder(small, items, other_weights=wide, without_weights=absent, tolerance=1e-5)


def test_a_third_kind_of_content_goes_from_files_to_a_trained_model(monitor: Monitor, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert extract(monitor, cache, Encoders()).pending == {"ecg": 40}
    assert verify_cache(cache).passed
    held = FeatureCache.open(cache)
    lengths = [0 if number == 7 else 1 + number % 4 for number in range(40)]
    assert held.modality("ecg").lengths.tolist() == lengths
    wave = np.load(monitor.raw / "3.npy")[:400].reshape(4, 100)
    rows = np.tanh(wave @ np.load(tmp_path / "site/small.npy"))
    np.testing.assert_array_equal(held.modality("ecg")[3], rows.astype(np.float16))
    assert "not a waveform" in omnifuse("cache", "info", "--cache", str(cache))
    assert "waveform encoder: small, acme-waves 1.2" in omnifuse("cache", "info", "--cache", str(cache))
    assert not extract(monitor, cache, Encoders()).done

    run = tmp_path / "run"
    quick = ("--method", "concat", "--folds", "2", "--set", "fit.epochs=20", "--workers", "1")
    trained = json.loads(omnifuse("train", "--cache", str(cache), "--run", str(run), *quick, "--json"))
    assert trained["auroc"]["mean"] > 0.7


def test_worker_processes_and_a_resumed_run_give_the_same_bytes(
    monitor: Monitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract(monitor, tmp_path / "cache", Encoders(), Machines(workers=2))
    monkeypatch.setattr("omnifuse.pipeline.core.encode.PART_ITEMS", 16)
    extract(monitor, tmp_path / "other", Encoders())
    parts = sorted((tmp_path / "other.items").glob("*/*.safetensors"))
    assert len(parts) == 3
    parts[1].unlink()
    shutil.rmtree(tmp_path / "other")
    assert 0 < extract(monitor, tmp_path / "other", Encoders()).pending["ecg"] <= 16
    manifests = [FeatureCache.open(tmp_path / name).manifest for name in ("cache", "other")]
    assert manifests[0] == manifests[1]


def test_a_second_encoder_stands_beside_and_an_older_cache_is_reused(monitor: Monitor, tmp_path: Path) -> None:
    both = Encoders.parse((), (), others=("waveform.wide=waveform:wide",))
    extract(monitor, tmp_path / "cache", Encoders())
    assert extract(monitor, tmp_path / "cache", both).pending == {"ecg": 0, "ecg.wide": 40}
    cache = FeatureCache.open(tmp_path / "cache")
    assert (cache.rows("ecg").shape[1], cache.rows("ecg.wide").shape[1]) == (4, 6)
    reused = extract(monitor, tmp_path / "new", both, reuse=tmp_path / "cache").reused
    assert reused == {"ecg": 39, "ecg.wide": 39}  # what could not be read is tried again
    assert FeatureCache.open(tmp_path / "new").manifest == cache.manifest


def test_a_dry_run_estimates_it(monitor: Monitor, tmp_path: Path) -> None:
    outcome = extract(monitor, tmp_path / "cache", Encoders(), dry_run=True)
    assert outcome.pending == {"ecg": 40}
    assert outcome.estimated is not None and outcome.estimated.bytes > 0


def test_another_version_of_the_package_encodes_again(acme: Path, monitor: Monitor, tmp_path: Path) -> None:
    extract(monitor, tmp_path / "cache", Encoders())
    metadata = acme / "acme_waves-1.2.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("1.2", "1.3"))
    look_again()
    outcome = extract(monitor, tmp_path / "cache", Encoders(), dry_run=True)
    assert outcome.reasons == ("encoders.waveform.package: acme-waves 1.2 -> acme-waves 1.3",)
    assert outcome.pending == {"ecg": 40}


def test_without_the_package_it_is_said_what_is_needed(monitor: Monitor, acme: Path, tmp_path: Path) -> None:
    extract(monitor, tmp_path / "cache", Encoders())
    shutil.rmtree(acme / "acme_waves-1.2.dist-info")
    look_again()
    with pytest.raises(
        InputError, match=r"No frozen encoder is called 'waveform'.*--encoder waveform=NAME.*timm, hf, onnx, xrv"
    ):
        extract(monitor, tmp_path / "new", Encoders())
    assert verify_cache(tmp_path / "cache").passed


def test_missing_weights_are_said_before_anything_is_encoded(monitor: Monitor, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"no filters .*absent\.npy\. Give a file with --encoder"):
        extract(monitor, tmp_path / "cache", Encoders.parse((), (), others=("waveform=absent",)))


@pytest.fixture
def pictures(acme: Path, tmp_path: Path) -> Callable[..., FeatureCache]:
    """Extract the toy data set of notes and pictures with encoders of the package."""
    from tests.pipeline.core.toy import ToyDataSet, write_raw

    dataset = ToyDataSet(write_raw(tmp_path / "toy"), modalities=("note", "picture"))

    def made(text: str, image: str) -> FeatureCache:
        extract(dataset, tmp_path / "cache", Encoders(text, image))
        return FeatureCache.open(tmp_path / "cache")

    return made


def test_texts_and_images_go_through_encoders_of_a_package(pictures: Callable[..., FeatureCache]) -> None:
    cache = pictures("letters:", "grey")
    assert cache.modality("note")[1].tolist() == [[20.0, 2.0]]  # Large left effusion.
    assert cache.modality("picture")[0].shape == (1, 224)
    assert cache.modality_spec("picture").recipe["encoder"] == {
        "of": "mean",
        "sha256": "0" * 64,
        "package": "acme-waves 1.2",
    }
    assert read_manifest(cache.path).keys["encoders"].keys() == {"image", "text"}


REFUSED = {
    ("random", "grey:flat"): r"'flat' of image cannot be used: it gives something else than rows \[rows, D\]",
    ("random", "grey:none"): r"^The frozen encoder acme_others\.Grey failed: ValueError: no model none$",
    ("random", "letters:"): r"^The frozen encoder 'letters:' reads text, not image\.$",
    ("random", "greyy:mean"): r"^Unknown frozen encoder 'greyy'\. Did you mean 'grey'\? Known are: text, image,",
    ("random", "greyy"): r"^Did you mean the frozen encoder 'grey'\? The image encoder 'greyy' cannot be loaded",
    ("half:", "random"): r"'half' of the package acme-waves 1\.2 cannot be used: it lacks load, read, recipe\.$",
    ("broken:", "random"): r"'broken' of the package acme-waves 1\.2 .* No module named 'acme_nowhere'",
}


@pytest.mark.parametrize("encoders", REFUSED, ids=" ".join)
def test_what_cannot_be_used_is_said_in_one_line(
    encoders: tuple[str, str], pictures: Callable[..., FeatureCache]
) -> None:
    with pytest.raises(InputError, match=REFUSED[encoders]) as refusal:
        pictures(*encoders)
    assert len(str(refusal.value).splitlines()) == 1


def test_a_name_of_ours_stays_ours_whatever_a_package_offers(acme: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert type(frozen_encoder("image", "timm:test_vit=random")).__module__ == "omnifuse.pipeline.image.timm_models"
    assert FROZEN_ENCODERS.names().count("timm") == 1
    assert "acme-waves 1.2 offers the frozen encoder 'timm', which is that of OmniFuse" in caplog.text


def test_windows_are_refused_where_an_encoder_has_none(acme: Path) -> None:
    with pytest.raises(InputError, match=r"'letters:' cannot encode in windows, as windowed text needs"):
        frozen_encoder("windowed text", "letters:")


def test_doctor_lists_what_packages_bring_and_what_of_it_is_broken(acme: Path) -> None:
    given = ("--text-encoder", "random", "--image-encoder", "random", "--encoder", "waveform=wide")
    result = CliRunner().invoke(main, ("doctor", "--json", *given))
    checks = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    assert checks["waveform encoder wide"]["state"] == "ok"
    assert checks["frozen encoder grey"]["finding"] == "reads image; of acme-waves 1.2"
    assert "No module named 'acme_nowhere'" in checks["frozen encoder broken"]["finding"]
    assert result.exit_code == 1


@pytest.mark.parametrize("value", ["waveform", "waveform=", "wave form=x", "waveform.=x"])
def test_an_option_that_names_no_encoder_is_refused(value: str) -> None:
    with pytest.raises(InputError, match=r"give each once, as CONTENT=ID or as CONTENT\.NAME=ID"):
        Encoders.parse((), (), others=(value,))


def test_a_family_can_be_registered_for_this_process() -> None:
    class Nothing(FrozenEncoder):
        content = "odour"

        def recipe(self) -> dict[str, Any]:
            return {}

        def read(self, path: Path) -> Any: ...

        def load(self) -> Any: ...

    FROZEN_ENCODERS.register("odour", Nothing)
    try:
        assert frozen_encoder("odour", "rose") == Nothing("rose")
    finally:
        FROZEN_ENCODERS.forget("odour")
