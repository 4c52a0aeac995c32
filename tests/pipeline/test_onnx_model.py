"""Models in files of ONNX give what their weights say, for images, electrocardiograms and texts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from omnifuse.cache_schema import InputError, MissingInputError
from omnifuse.pipeline.frozen_encoders import frozen_encoder
from omnifuse.pipeline.image.decode import decode_image
from omnifuse.pipeline.onnx_model import OnnxVectors
from omnifuse.testing import check_encoder
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from .onnx_file import write_linear, write_tokens


def weights(rows: int, columns: int = 3) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((rows, columns)).astype(np.float32) / rows


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


@pytest.mark.parametrize("batch", ["n", 1, 4])
def test_vectors_are_the_same_in_any_batch(tmp_path: Path, batch: int | str) -> None:
    matrix = weights(6)
    model = OnnxVectors(write_linear(tmp_path / "m.onnx", (batch, 2, 3), matrix))
    items = torch.arange(30.0).reshape(5, 2, 3)
    np.testing.assert_allclose(model(items), items.flatten(1).numpy() @ matrix, rtol=1e-5)


@pytest.mark.parametrize(("channels", "scaled"), [(1, lambda grey: (grey - 0.5) / 0.5), (3, None)])
def test_images_are_read_at_the_size_of_the_model(tmp_path: Path, picture: Path, channels: int, scaled) -> None:
    matrix = weights(channels * 32 * 32)
    encoder = frozen_encoder("image", f"onnx:{write_linear(tmp_path / 'm.onnx', ('n', channels, 32, 32), matrix)}")
    read = encoder.read(picture)
    np.testing.assert_array_equal(read, decode_image(picture, 32, 32))
    (rows,) = encoder.load()([read])
    grey = read / np.float32(255)
    imagenet = [(grey - m) / d for m, d in zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)]
    expected = np.stack([scaled(grey)] if scaled else imagenet).reshape(1, -1) @ matrix
    np.testing.assert_allclose(rows, expected, atol=2e-2)


def test_it_keeps_the_contract_for_images(tmp_path: Path, picture: Path) -> None:
    names = [
        f"onnx:{write_linear(tmp_path / f'{n}.onnx', ('n', 1, 32, 32), weights(1024) * (n + 1))}" for n in range(2)
    ]
    own, other, missing = (frozen_encoder("image", name) for name in (*names, f"onnx:{tmp_path / 'none.onnx'}"))
    check_encoder(own, [picture], other_weights=other, without_weights=missing)


def test_electrocardiograms_are_read_as_twelve_leads(tmp_path: Path) -> None:
    matrix = weights(12_000)
    encoder = frozen_encoder("ecg", str(write_linear(tmp_path / "m.onnx", ("n", 12, 1000), matrix)))
    leads = np.random.default_rng(1).standard_normal((12, 1000)).astype(np.float32)
    (rows,) = encoder.load()([leads])
    np.testing.assert_allclose(rows, leads.reshape(1, -1) @ matrix, atol=1e-3)
    assert encoder.recipe()["architecture"] == "onnx"


@pytest.mark.parametrize("shape", [("n", 2, 32, 32), ("n", 1, 32, 16), ("n", 1, "h", "w"), ("n", 1024)])
def test_a_model_of_something_else_is_refused(tmp_path: Path, shape: tuple[int | str, ...]) -> None:
    features = int(np.prod([side for side in shape if isinstance(side, int)]))
    path = write_linear(tmp_path / "m.onnx", shape, weights(features))
    with pytest.raises(InputError, match=r"m\.onnx reads .*; expected images"):
        frozen_encoder("image", f"onnx:{path}").recipe()


def test_leads_of_another_length_are_refused(tmp_path: Path) -> None:
    encoder = frozen_encoder("ecg", str(write_linear(tmp_path / "m.onnx", ("n", 12, 500), weights(6000))))
    with pytest.raises(InputError, match=r"m\.onnx cannot read \[12, 1000\]"):
        list(encoder.load()([np.zeros((12, 1000), np.float32)]))


@pytest.mark.parametrize("content", [b"no model", b"version https://git-lfs.github.com/spec/v1\n", b""])
def test_what_is_no_model_is_refused_with_its_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(InputError, match=r"m\.onnx"):
        frozen_encoder("image", f"onnx:{tmp_path / 'm.onnx'}").recipe()


def test_without_a_file_the_option_is_named() -> None:
    with pytest.raises(MissingInputError, match=r"--image-encoder onnx:FILE\.onnx"):
        frozen_encoder("image", "onnx:none.onnx").recipe()


WORDS = ("[PAD]", "[CLS]", "[SEP]", "small", "left", "effusion", "[UNK]")
TABLE = np.random.default_rng(2).standard_normal((len(WORDS), 4)).astype(np.float32)


def text_model(folder: Path, shape: tuple[int | str, ...] = ("n", "t"), scale: float = 1, **how: bytes) -> Path:
    """Write a model of texts of seven words, with its tokenizer, into a folder."""
    folder.mkdir(exist_ok=True)
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, "[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    words.enable_truncation(3)
    words.save(str(folder / "tokenizer.json"))
    return write_tokens(folder / "model.onnx", TABLE * scale, shape, **how)


@pytest.mark.parametrize("shape", [("n", "t"), (1, "t"), (4, "t"), ("n", 150), (2, 200)])
def test_texts_have_a_vector_for_each_token_in_any_batch(tmp_path: Path, shape: tuple[int | str, ...]) -> None:
    path = text_model(tmp_path / "bert", shape)
    texts = ["small effusion", "", "left " * 200, "effusion small", "effusion small left"]
    ids = [[1, 3, 5, 2], [1, 2], [1, *[4] * 148, 2], [1, 5, 3, 2], [1, 5, 3, 4, 2]]
    for name in (path, path.parent):
        rows = frozen_encoder("text", f"onnx:{name}").load()(texts)
        for found, tokens in zip(rows, ids, strict=True):
            np.testing.assert_allclose(found, TABLE[tokens], atol=2e-3)


def test_texts_of_another_length_and_in_windows(tmp_path: Path) -> None:
    path = text_model(tmp_path / "bert", ("n", 10))
    (rows,) = frozen_encoder("text", f"onnx:{path}@200").load()(["left " * 1000])
    np.testing.assert_allclose(rows, np.tile(TABLE[[1, *[4] * 8, 2]], (20, 1)), atol=2e-3)
    (rows,) = frozen_encoder("windowed text", f"onnx:{path}").load()(["left " * 20])
    np.testing.assert_allclose(rows[:10], TABLE[[1, *[4] * 8, 2]], atol=2e-3)
    assert len(rows) == 10 + 10 + 6


def test_it_keeps_the_contract_for_texts(tmp_path: Path) -> None:
    notes = [tmp_path / f"{number}.txt" for number in range(4)]
    for number, note in enumerate(notes):
        note.write_text("small effusion " * (1 + number % 2) + WORDS[3 + number % 3])
    names = [text_model(tmp_path / f"m{number}", scale=number + 1) for number in range(2)]
    own, other, missing = (frozen_encoder("text", f"onnx:{name}") for name in (*names, tmp_path / "none.onnx"))
    check_encoder(own, notes, other_weights=other, without_weights=missing)
    assert own.recipe()["files"].keys() == {"model.onnx", "tokenizer.json"} and own.recipe()["name"] == "m0"


def test_what_is_no_encoder_of_texts_is_refused_with_its_file(tmp_path: Path) -> None:
    linear = write_linear(tmp_path / "m.onnx", ("n", 6), weights(6))
    with pytest.raises(MissingInputError, match=r"no file .*tokenizer\.json\. Give --text-encoder onnx:FILE"):
        frozen_encoder("text", f"onnx:{linear}").recipe()
    text_model(tmp_path)
    with pytest.raises(InputError, match=r"m\.onnx reads x tensor\(float\); expected integers input_ids"):
        frozen_encoder("text", f"onnx:{linear}").load()
    pooled = text_model(tmp_path, output=b"pooler_output")
    with pytest.raises(InputError, match=r"model\.onnx gives pooler_output; expected last_hidden_state"):
        frozen_encoder("text", f"onnx:{pooled}").load()
    whole = text_model(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match=r"tokenizer\.json cannot be read as a tokenizer"):
        frozen_encoder("text", f"onnx:{whole}").load()


def test_a_token_that_the_model_does_not_know_names_the_file(tmp_path: Path) -> None:
    path = text_model(tmp_path)
    write_tokens(path, TABLE[:3])
    with pytest.raises(InputError, match=r"model\.onnx cannot read 4 tokens"):
        frozen_encoder("text", f"onnx:{path}").load()(["small effusion"])


def test_electrocardiograms_may_be_named_as_all_others(tmp_path: Path) -> None:
    path = write_linear(tmp_path / "m.onnx", ("n", 12, 1000), weights(12_000))
    assert frozen_encoder("ecg", f"onnx:{path}").recipe() == frozen_encoder("ecg", str(path)).recipe()
