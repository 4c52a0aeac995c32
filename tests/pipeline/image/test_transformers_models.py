"""Vision models of transformers: the size is the model's own, and the vectors are those of transformers itself."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from omnifuse.cache_schema import InputError
from omnifuse.pipeline.frozen_encoders import frozen_encoder
from omnifuse.pipeline.image.decode import decode_image
from omnifuse.testing import check_encoder
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import Dinov2Config, Dinov2Model, PreTrainedModel, ViTConfig, ViTModel

SIDE, SHORT_SIDE = 28, 32
SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": SIDE, "patch_size": 14}
SAID = {
    "do_center_crop": True,
    "crop_size": {"height": SIDE, "width": SIDE},
    "size": {"shortest_edge": SHORT_SIDE},
    "image_mean": [0.5307] * 3,
    "image_std": [0.2583] * 3,
}
Folder = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Save a small model as :meth:`save_pretrained` does, with what its preprocessor says."""

    def save(model: PreTrainedModel | None = None, **changed: object) -> Path:
        torch.manual_seed(0)
        (model or Dinov2Model(Dinov2Config(**SMALL))).save_pretrained(tmp_path / "model")
        said = {name: value for name, value in {**SAID, **changed}.items() if value is not None}
        (tmp_path / "model" / "preprocessor_config.json").write_text(json.dumps(said))
        return tmp_path / "model"

    return save


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def vector(encoder: str, picture: Path) -> np.ndarray:
    model = frozen_encoder("image", encoder)
    (rows,) = model.load()([model.read(picture)])
    assert not isinstance(rows, Exception)
    return rows


def test_the_vector_is_what_transformers_computes(folder: Folder, picture: Path) -> None:
    path = folder()
    grey = torch.tensor(decode_image(picture, SIDE, SHORT_SIDE))[None, None].expand(1, 3, -1, -1) / 255
    with torch.inference_mode():
        output = Dinov2Model.from_pretrained(path).eval()((grey - 0.5307) / 0.2583)
    found = vector(f"hf:{path}", picture)
    assert found.shape == (1, 16)
    np.testing.assert_allclose(found[0], output.last_hidden_state[0, 0], atol=0.02)
    np.testing.assert_allclose(found[0], output.pooler_output[0], atol=0.02)


def test_a_pooler_without_weights_gives_its_place_to_the_first_token(folder: Folder, picture: Path) -> None:
    path = folder(ViTModel(ViTConfig(intermediate_size=8, **SMALL), add_pooling_layer=False))
    grey = torch.tensor(decode_image(picture, SIDE, SHORT_SIDE))[None, None].expand(1, 3, -1, -1) / 255
    with torch.inference_mode():
        model = ViTModel.from_pretrained(path, add_pooling_layer=False).eval()
        first = model((grey - 0.5307) / 0.2583).last_hidden_state[0, 0]
    np.testing.assert_allclose(vector(f"hf:{path}", picture)[0], first, atol=0.02)


def test_images_are_decoded_at_the_size_of_the_model(folder: Folder, picture: Path) -> None:
    read = frozen_encoder("image", f"hf:{folder()}").read(picture)
    assert read.shape == (SIDE, SIDE)
    np.testing.assert_array_equal(read, decode_image(picture, SIDE, SHORT_SIDE))


@pytest.mark.parametrize("size", [{"height": SIDE, "width": SIDE}, SIDE, {"shortest_edge": SIDE}])
def test_without_a_crop_the_whole_shorter_side_is_read(folder: Folder, picture: Path, size: object) -> None:
    path = folder(do_center_crop=None, crop_size=None, size=size)
    read = frozen_encoder("image", f"hf:{path}").read(picture)
    np.testing.assert_array_equal(read, decode_image(picture, SIDE, SIDE))


def test_it_keeps_the_contract(folder: Folder, tmp_path: Path, picture: Path) -> None:
    path = folder()
    other = tmp_path / "other"
    other.mkdir()
    for file in path.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    tensors = load_file(other / "model.safetensors")
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, other / "model.safetensors", {"format": "pt"})
    encoders = [frozen_encoder("image", f"hf:{place}") for place in (path, other)]
    (tmp_path / "bare").mkdir()
    check_encoder(
        encoders[0],
        [picture],
        other_weights=encoders[1],
        without_weights=frozen_encoder("image", f"hf:{tmp_path / 'bare'}"),
    )


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"crop_size": {"height": 28, "width": 14}}, "reads 28 x 14 pixels of 3 channels; expected a square of three"),
        ({"image_mean": [0.5]}, "pixels of 1 channels; expected a square of three"),
        ({"crop_size": "large"}, "does not say what size its images have"),
        ({"crop_size": {"height": 99999, "width": 99999}}, "expected a square of three"),
    ],
)
def test_a_preprocessor_that_cannot_be_followed_is_refused(
    folder: Folder, changed: dict[str, object], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        frozen_encoder("image", f"hf:{folder(**changed)}").recipe()


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_file_that_is_missing_or_stands_for_another_is_named(folder: Folder, name: str) -> None:
    path = folder()
    (path / name).write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(InputError, match=rf"{name} is a pointer of Git LFS"):
        frozen_encoder("image", f"hf:{path}").recipe()
    (path / name).unlink()
    with pytest.raises(InputError, match=f"is not complete: .* has no {name}"):
        frozen_encoder("image", f"hf:{path}").recipe()


def test_weights_of_another_model_are_refused(folder: Folder, picture: Path) -> None:
    path = folder()
    save_file({"embeddings.cls_token": torch.zeros(1, 1, 16)}, path / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"lacks \d+ tensors"):
        vector(f"hf:{path}", picture)
