"""The suite for frozen encoders passes ours, and says of each breach of the contract which it is."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omnifuse.pipeline.frozen_encoders import FrozenEncoder, frozen_encoder
from omnifuse.pipeline.source import UnreadableItem, unreadable
from omnifuse.testing import check_encoder
from PIL import Image


@pytest.fixture
def notes(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.txt" for number in range(5)]
    for number, path in enumerate(paths):
        path.write_text("Small left effusion. " * (1 + number % 3) + f"No. {number}")
    return paths


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        coarse = np.random.default_rng(number).integers(0, 256, (28, 28), dtype=np.uint8)
        Image.fromarray(coarse.repeat(8, axis=0).repeat(8, axis=1)).save(path)
    return paths


MODELS = (
    "random",
    "torchvision:mobilenet_v3_small=random",
    "timm:test_vit=random",
    "xrv:densenet121-res224-all=random",
)


@pytest.mark.parametrize("name", MODELS)
def test_image_models_keep_the_contract(name: str, images: list[Path]) -> None:
    model = frozen_encoder("image", name)
    other = frozen_encoder("image", "timm:test_resnet=random")
    absent = frozen_encoder("image", name.replace("random", "/no/such/file.pth"))
    tolerance = model.recipe()["tolerance"]
    check_encoder(model, images, other_weights=other, without_weights=absent, tolerance=tolerance)


class Lengths(FrozenEncoder):
    """One row for a text: its length, and a constant."""

    content = "text"

    def recipe(self) -> dict[str, Any]:
        return {"sha256": self.model * 64}

    def read(self, path: Path) -> str:
        with unreadable("no text"):
            if text := path.read_text(encoding="utf-8"):
                return text
        raise UnreadableItem("empty")

    def load(self) -> Callable[[Iterable[str]], Any]:
        return lambda texts: [np.array([[len(text), 1.0]]) for text in texts]


def test_a_small_encoder_keeps_the_contract(notes: list[Path]) -> None:
    check_encoder(Lengths("a"), notes, other_weights=Lengths("b"))


class Weightless(Lengths):
    def recipe(self) -> dict[str, Any]:
        return {"name": "lengths", "weights_sha256": None}


def test_an_encoder_without_weights_says_so(notes: list[Path]) -> None:
    check_encoder(Weightless("a"), notes)


class Unhashed(Lengths):
    def recipe(self) -> dict[str, Any]:
        return {"name": "lengths"}


class Open(Lengths):
    def recipe(self) -> dict[str, Any]:
        return {"sha256": "a" * 64, "scale": float("nan")}


class Moody(Lengths):
    def recipe(self) -> dict[str, Any]:
        return {"sha256": "a" * 64, "asked": np.random.default_rng().random()}


class Angry(Lengths):
    def read(self, path: Path) -> str:
        return path.read_text(encoding="utf-8")


class Naive(Lengths):
    def read(self, path: Path) -> str:
        return path.read_bytes().decode("latin-1") if path.exists() else self._missing()

    def _missing(self) -> str:
        raise UnreadableItem("missing")


class Talkative(Lengths):
    def read(self, path: Path) -> str:
        raise UnreadableItem(f"{path} cannot be read")


class Crowded(Lengths):
    def load(self) -> Callable[[Iterable[str]], Any]:
        def encode(texts: Iterable[str]) -> Any:
            lengths = np.array([len(text) for text in texts], np.float32)
            return [np.array([[length, lengths.mean()]]) for length in lengths]

        return encode


class Restless(Lengths):
    def load(self) -> Callable[[Iterable[str]], Any]:
        noise = np.random.default_rng().random()
        return lambda texts: [np.array([[len(text), noise]]) for text in texts]


class Whole(Lengths):
    def load(self) -> Callable[[Iterable[str]], Any]:
        return lambda texts: [np.array([[len(text)]]) for text in texts]


class Flat(Lengths):
    def load(self) -> Callable[[Iterable[str]], Any]:
        return lambda texts: [np.array([len(text), 1.0]) for text in texts]


class Large(Lengths):
    def load(self) -> Callable[[Iterable[str]], Any]:
        return lambda texts: [np.array([[1e6]]) for _ in texts]


class Ragged(Lengths):
    def load(self) -> Callable[[Iterable[str]], Any]:
        return lambda texts: [np.ones((1, len(text))) for text in texts]


class Lazy(Lengths):
    def load(self) -> Callable[[Iterable[str]], Any]:
        return lambda texts: [np.ones((1, 2)) for _ in list(texts)[1:]]


BREACHES: dict[type[Lengths], str] = {
    Unhashed: r"names no sha256 of its weights in the recipe",
    Open: r"has a recipe that is no JSON",
    Moody: r"has another recipe when it is asked again",
    Angry: r"raises FileNotFoundError, not UnreadableItem, for a file that is missing",
    Naive: r"reads a file that is empty",
    Talkative: r"names the file in its reason for a file that is missing",
    Crowded: r"differ by up to .* in a batch of 32",
    Restless: r"gives other rows when it is loaded again",
    Whole: r"gives no rows of floating-point numbers",
    Flat: r"does not give rows \[rows, D\]",
    Large: r"gives values that float16 cannot hold",
    Ragged: r"gives rows of several widths",
    Lazy: r"gives 4 results for 5 items",
}


@pytest.mark.parametrize("family", BREACHES)
def test_a_breach_is_named(family: type[Lengths], notes: list[Path]) -> None:
    with pytest.raises(AssertionError, match=BREACHES[family]):
        check_encoder(family("a"), notes)


def test_a_recipe_that_other_weights_do_not_change_is_named(notes: list[Path]) -> None:
    with pytest.raises(AssertionError, match="has the same recipe with other weights"):
        check_encoder(Lengths("a"), notes, other_weights=Lengths("a", windowed=True))


def test_a_recipe_without_the_weights_is_named(notes: list[Path]) -> None:
    with pytest.raises(AssertionError, match=r"has a recipe without its weights, as Lengths\(model='b'"):
        check_encoder(Lengths("a"), notes, without_weights=Lengths("b"))


def test_what_cannot_be_sent_is_named(notes: list[Path]) -> None:
    class Local(Lengths):
        pass

    with pytest.raises(AssertionError, match="cannot be sent to another process"):
        check_encoder(Local("a"), notes)
