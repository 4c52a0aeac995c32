"""Several encoders side by side: each makes a modality of its own, and what others made stays as it is."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from omnifuse.cache_schema import FeatureCache, InputError, MissingInputError, digest, read_manifest, verify_cache
from omnifuse.cache_schema.selection import input_rows
from omnifuse.cli import main
from omnifuse.pipeline.core.encoders import Encoders
from omnifuse.pipeline.core.stages import Extraction, extract
from omnifuse.pipeline.frozen_encoders import frozen_encoder
from omnifuse.pipeline.source import Quarantine, Records
from omnifuse.pipeline.sources import open_dataset

from .toy import ToyDataSet, write_raw

XRV = "densenet121-res224-all"
VIT = "timm:test_vit=random"
RANDOM = Encoders("random", "random")
WITH_VIT = Encoders("random", {"": "random", "vit": VIT})


@dataclass
class Windowed(ToyDataSet):
    """The toy data set, whose notes are encoded in windows, beside a modality with a point in its name."""

    def read(self, quarantine: Quarantine) -> Records:
        records = super().read(quarantine)
        note, picture = records.items
        return replace(records, items=(replace(note, windowed=True), replace(picture, name="note.vit")))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with raw files and the cache of one encoder for each content."""
    folder = tmp_path_factory.mktemp("encoders")
    extract(ToyDataSet(write_raw(folder / "raw")), folder / "cache", RANDOM)
    return folder


@pytest.fixture
def toy(finished: Path, tmp_path: Path) -> Path:
    """A copy of that folder."""
    return shutil.copytree(finished, tmp_path / "toy")


def run(folder: Path, encoders: Encoders, **options: Any) -> Extraction:
    return extract(ToyDataSet(folder / "raw"), folder / "cache", encoders, **options)


def test_an_encoder_added_later_encodes_its_own_items_alone(toy: Path) -> None:
    before = read_manifest(toy / "cache")
    outcome = run(toy, WITH_VIT)
    assert [line.partition(" -> ")[0] for line in outcome.reasons] == ["encoders.image.vit: (absent)"]
    assert outcome.pending == {"rate": 0, "note": 0, "picture": 0, "picture.vit": 3}
    after = read_manifest(toy / "cache")
    unchanged = {path for path in before.nodes if path.startswith(("modalities/", "tasks/", "samples/"))}
    assert unchanged and all(after.nodes[path] == before.nodes[path] for path in unchanged)
    assert not run(toy, WITH_VIT).done
    assert verify_cache(toy / "cache").passed


def test_each_encoder_makes_a_modality_with_its_own_recipe(toy: Path) -> None:
    run(toy, WITH_VIT)
    cache = FeatureCache.open(toy / "cache")
    assert cache.modalities == ("note", "picture", "picture.vit", "rate")
    assert (cache.rows("picture").shape, cache.rows("picture.vit").shape) == ((2, 512), (2, 64))
    recipes = [cache.modality_spec(name).recipe["encoder"]["architecture"] for name in ("picture", "picture.vit")]
    assert recipes == ["resnet34", "timm test_vit"]


def test_an_encoder_taken_away_and_given_again_has_nothing_to_encode(toy: Path) -> None:
    run(toy, WITH_VIT)
    run(toy, RANDOM)
    assert FeatureCache.open(toy / "cache").modalities == ("note", "picture", "rate")
    assert run(toy, WITH_VIT).pending["picture.vit"] == 0


def test_a_cache_of_unnamed_encoders_has_the_keys_that_it_always_had(toy: Path) -> None:
    assert read_manifest(toy / "cache").keys["encoders"].keys() == {"image", "text"}
    assert not run(toy, Encoders({"": "random"}, {"": "random"})).done
    run(toy, WITH_VIT)
    assert read_manifest(toy / "cache").keys["encoders"].keys() == {"image", "image.vit", "text"}


RECIPES = {
    ("windowed text", "random"): "0dca9b08f280018382ff657acb8d59372d1eb6893a600679140ffec3b6059335",
    ("image", "torchvision:resnet18=random"): "a8b73ee67912d1d69f04f3bc1a2f7183ae4b91d8477ba9bd5082d1ddbfb128e6",
    ("image", "timm:test_vit=random"): "94115070f32e98897ec79d054bc5b199b51c93cee2b305f6bb3df6879dab3555",
    ("image", f"xrv:{XRV}=random"): "a6675e9836f68e83ba7ac1e535be6e4594fe7689a2d1c45d93773334ffe7c1a1",
}


@pytest.mark.parametrize(("kind", "name"), RECIPES)
def test_the_recipes_of_other_encoders_are_what_caches_were_made_with(kind: str, name: str) -> None:
    """Those of the default encoders are held beside them."""
    assert digest(frozen_encoder(kind, name).recipe()) == RECIPES[kind, name]


def test_an_older_cache_gives_the_items_of_the_encoders_that_it_has(toy: Path) -> None:
    run(toy, WITH_VIT)
    (toy / "cache").rename(toy / "older")
    shutil.rmtree(toy / "cache.items")
    outcome = run(toy, WITH_VIT, reuse=toy / "older", dry_run=True)
    assert outcome.reused == {"note": 2, "picture": 2, "picture.vit": 2}


def test_what_a_task_selects_holds_for_every_encoder(synthetic_raw: Path, tmp_path: Path) -> None:
    dataset = open_dataset("synthetic", synthetic_raw, {"modalities": ("cxr",)})
    extract(dataset, tmp_path / "cache", WITH_VIT)
    cache = FeatureCache.open(tmp_path / "cache")
    task = cache.task("mortality")
    assert task.select["cxr.vit"] == task.select["cxr"]
    whole = cache.modality("cxr.vit")
    plain, vit = (input_rows(cache.modality(name), task) for name in ("cxr", "cxr.vit"))
    assert vit.lengths.tolist() == plain.lengths.tolist()
    assert vit.lengths.max() == 1 < whole.lengths.max()
    assert vit.time.max() <= 48 < whole.time.max()


def test_windowed_texts_are_encoded_whole(toy: Path) -> None:
    (toy / "raw/note2.txt").write_text("effusion " * 180)  # 1,620 characters
    dataset = Windowed(toy / "raw")
    extract(dataset, toy / "cache", RANDOM)
    cache = FeatureCache.open(toy / "cache")
    assert cache.modality("note").lengths.tolist() == [6, 180 + 2 * 2, 6, 0]
    assert cache.modality_spec("note").recipe["encoder"]["window_tokens"] == 512
    assert read_manifest(toy / "cache").keys["encoders"].keys() == {"image", "windowed text"}
    assert not extract(dataset, toy / "cache", RANDOM).done


def test_two_modalities_of_one_name_are_refused(toy: Path) -> None:
    with pytest.raises(InputError, match=r"Two modalities would be called 'note\.vit'"):
        extract(Windowed(toy / "raw"), toy / "cache", Encoders({"": "random", "vit": "random"}, "random"))


def test_options_name_encoders_and_the_unnamed_one_has_a_default() -> None:
    encoders = Encoders.parse(["clinical=/models/clinical"], ["timm:vit_tiny=/a=b.pth", "vit=timm:vit_tiny=/a=b.pth"])
    assert encoders.of("text") == {"": "bert-base-uncased", "clinical": "/models/clinical"}
    assert encoders.of("image") == {"": "timm:vit_tiny=/a=b.pth", "vit": "timm:vit_tiny=/a=b.pth"}
    assert Encoders.parse([], ["./a=b.pth"], "bert-base-chinese") == Encoders(
        {"": "bert-base-chinese"}, {"": "./a=b.pth"}
    )


@pytest.mark.parametrize("values", [["random", "resnet34"], ["vit=random", "vit=resnet34"], ["vit="]])
def test_encoders_that_cannot_be_told_apart_are_refused(values: list[str]) -> None:
    with pytest.raises(InputError, match=f"--image-encoder '{values[-1]}': give one encoder without a name"):
        Encoders.parse([], values)


def test_encoders_of_other_contents_are_named_with_their_content() -> None:
    encoders = Encoders.parse([], [], others=["waveform=acme:small", "waveform.wide=/a=b.npy", "odour.rose=x"])
    assert encoders.contents == ("text", "image", "waveform", "odour")
    assert encoders.of("waveform") == {"": "acme:small", "wide": "/a=b.npy"}
    assert encoders.of("odour") == {"": "", "rose": "x"}
    assert encoders.of("gait") == {"": ""}
    with pytest.raises(InputError, match=r"'image=random': encoders of image are named with --image-encoder"):
        Encoders.parse([], [], others=["image=random"])
    with pytest.raises(InputError, match=r"'waveform=b': give each once"):
        Encoders.parse([], [], others=["waveform=a", "waveform=b"])


def test_a_name_that_cannot_be_part_of_a_modality_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be called 'a/b'"):
        Encoders(image={"a/b": "random"})


def test_doctor_looks_at_every_encoder() -> None:
    encoders = ["--text-encoder", "random", "--image-encoder", "random", "--image-encoder", f"vit={VIT}"]
    result = CliRunner().invoke(main, ["doctor", *encoders, "--text-encoder", "clinical=/no/such/model"])
    assert result.exit_code == 1
    assert f"ok      image encoder vit={VIT}: can be loaded" in result.stdout
    assert "problem text encoder clinical=/no/such/model: " in result.stdout


def test_weights_that_are_missing_are_said_before_anything_is_encoded(toy: Path) -> None:
    before = sorted(toy.rglob("*"))
    with pytest.raises(InputError, match="cannot be loaded"):
        run(toy, Encoders("random", {"": "random", "vit": "timm:test_vit=/no/such/file.pth"}))
    assert sorted(path for path in toy.rglob("*") if path.name != "cache.lock") == before


PATHS = ("/no/such.pth", "/nor/this.pth", "/no/such/model")


def test_the_missing_weights_of_all_encoders_are_named_in_one_message(toy: Path) -> None:
    image, vit, clinical = PATHS
    missing = Encoders({"": "random", "clinical": clinical}, {"": image, "vit": vit})
    with pytest.raises(InputError) as refusal:
        run(toy, missing)
    said = str(refusal.value).splitlines()
    assert [next(path for path in PATHS if path in line) for line in said] == list(PATHS)
    assert all("cannot be loaded" in line for line in said)


def test_one_problem_keeps_its_class(toy: Path) -> None:
    with pytest.raises(MissingInputError, match=r"^The image encoder '/no/such.pth' cannot be loaded"):
        run(toy, Encoders("random", {"": "random", "vit": "/no/such.pth"}))
