"""The frozen image encoder against plain torchvision, and the files that it takes weights from."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from omnifuse.cache_schema import InputError, difference, digest, digest_file
from omnifuse.pipeline import frozen_torch
from omnifuse.pipeline.frozen_encoders import frozen_encoder
from omnifuse.pipeline.frozen_torch import seed_weights
from omnifuse.pipeline.image.decode import DICOM_GREY
from omnifuse.pipeline.image.encoder import TOLERANCE, ImageEncoder, ImageModels
from omnifuse.pipeline.image.model_input import IMAGENET
from safetensors.torch import save_file
from torchvision.models import resnet34
from torchvision.transforms.functional import normalize

Vectors = npt.NDArray[np.float16]


def image_model(encoder: str) -> ImageModels:
    """Return the model that the command line calls so."""
    model = frozen_encoder("image", encoder)
    assert isinstance(model, ImageModels)
    return model


@pytest.fixture(scope="module")
def resnet() -> torch.nn.Module:
    """A whole torchvision ResNet34, classifier included, whose norms have statistics like trained ones."""
    model = resnet34(weights=None).eval()
    seed_weights(model, seed=1)
    generator = torch.Generator().manual_seed(0)
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1, generator=generator)
    return model


@pytest.fixture(scope="module")
def weights(resnet: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "ours.safetensors"
    save_file(resnet.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def images() -> npt.NDArray[np.uint8]:
    coarse = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)


@pytest.fixture(scope="module")
def plain(resnet: torch.nn.Module, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """The input of torchvision's last layer, in float32."""
    pooled: list[torch.Tensor] = []
    handle = resnet.avgpool.register_forward_hook(lambda module, inputs, output: pooled.append(output.flatten(1)))
    with torch.inference_mode():
        resnet(normalize(torch.tensor(images)[:, None].expand(-1, 3, -1, -1) / 255, IMAGENET.mean, IMAGENET.deviation))
    handle.remove()
    return pooled[0].numpy()


def largest_error(vectors: Vectors, reference: npt.NDArray[np.float32] | Vectors) -> float:
    ours, theirs = vectors.astype(np.float64), reference.astype(np.float64)
    return float((np.linalg.norm(ours - theirs, axis=1) / np.linalg.norm(theirs, axis=1)).max())


def test_equals_plain_torchvision_within_the_tolerance(
    weights: Path, images: npt.NDArray[np.uint8], plain: npt.NDArray[np.float32]
) -> None:
    vectors = ImageEncoder(image_model(str(weights))).encode(images)
    assert (vectors.shape, vectors.dtype) == ((5, 512), np.float16)
    assert largest_error(vectors, plain) < TOLERANCE


def test_in_float32_equals_plain_torchvision_to_half_precision(
    weights: Path, images: npt.NDArray[np.uint8], plain: npt.NDArray[np.float32], plain_processor: None
) -> None:
    assert largest_error(ImageEncoder(image_model(str(weights))).encode(images), plain) < 2**-10


def test_the_batch_changes_an_image_within_the_tolerance(images: npt.NDArray[np.uint8]) -> None:
    encoder = ImageEncoder(image_model("random"))
    many = np.concatenate([np.roll(images, shift, axis=2) for shift in range(7)])  # 35: a full batch and a rest
    alone = np.concatenate([encoder.encode(image[None]) for image in many[::8]])
    assert largest_error(encoder.encode(many)[::8], alone) < TOLERANCE


def test_an_accelerator_takes_a_whole_part_at_once_and_less_where_memory_runs_out(
    images: npt.NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    many = np.concatenate([np.roll(images, shift, axis=2) for shift in range(7)])
    monkeypatch.setattr(frozen_torch, "is_accelerator", lambda device: True)
    encoder, batches, held = ImageEncoder(image_model("random")), list[int](), 35

    def corners(channels: torch.Tensor) -> torch.Tensor:
        batches.append(len(channels))
        if len(channels) > held:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return channels[:, 0, :16, :32].flatten(1)

    monkeypatch.setattr(encoder, "_model", corners)
    expected = encoder.encode(many)
    assert (expected.shape, batches, caplog.messages) == ((35, 512), [35], [])
    batches, held = [], 9
    np.testing.assert_array_equal(encoder.encode(many), expected)
    assert batches == [35, 17, 8, 9, 18, 9, 9]
    batches = []
    np.testing.assert_array_equal(encoder.encode(many), expected)
    assert batches == [8, 8, 8, 8, 3] and len(caplog.messages) == 1


def test_random_is_the_same_in_every_encoder(images: npt.NDArray[np.uint8]) -> None:
    first, second = (ImageEncoder(image_model("random")).encode(images) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert len(image_model("random").weights_digest()) == 64
    assert np.abs(first).max() < 1000  # far from the largest float16


def test_no_images_give_no_vectors() -> None:
    assert ImageEncoder(image_model("random")).encode(np.empty((0, 224, 224), np.uint8)).shape == (0, 512)


def test_a_state_dict_of_torchvision_gives_the_same_as_safetensors(
    weights: Path, resnet: torch.nn.Module, images: npt.NDArray[np.uint8], tmp_path: Path
) -> None:
    torch.save(resnet.state_dict(), tmp_path / "ours.pth")
    from_folder = ImageEncoder(image_model(str(tmp_path))).encode(images)
    np.testing.assert_array_equal(from_folder, ImageEncoder(image_model(str(weights))).encode(images))


def test_resnet34_is_found_where_torchvision_downloads_it(
    resnet: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = Path(torch.hub.get_dir()) / "checkpoints" / "resnet34-b627a593.pth"
    path.parent.mkdir(parents=True)
    torch.save(resnet.state_dict(), path)
    assert image_model("resnet34").recipe()["name"] == "resnet34-b627a593"
    assert ImageEncoder(image_model("resnet34")).dim == 512


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"embeddings.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(ValueError, match=r"other\.safetensors does not hold.*unknown \(first: embeddings\.weight\)"):
        ImageEncoder(image_model(str(path)))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(b"not weights at all")
    with pytest.raises(ValueError, match=f"broken{suffix} cannot be read as weights"):
        ImageEncoder(image_model(str(path)))


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 87306240\n"


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(("content", "reason"), [(b"", "is empty"), (POINTER, "is a pointer of Git LFS")])
def test_what_stands_in_place_of_weights_is_said_with_the_recipe(
    tmp_path: Path, content: bytes, reason: str, suffix: str
) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    for use in (ImageModels.recipe, ImageEncoder):
        with pytest.raises(InputError, match=rf"weights{suffix} {reason}"):
            use(image_model(str(path)))


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_that_are_cut_off_are_refused(
    resnet: torch.nn.Module, weights: Path, tmp_path: Path, suffix: str, kept: float
) -> None:
    path = tmp_path / f"cut{suffix}"
    if suffix == ".pth":
        torch.save(resnet.state_dict(), path)
    else:
        path.write_bytes(weights.read_bytes())
    os.truncate(path, int(path.stat().st_size * kept))
    with pytest.raises(InputError, match=f"cut{suffix} cannot be read as weights"):
        ImageEncoder(image_model(str(path)))


def test_a_folder_must_hold_one_file_of_weights(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="it holds none"):
        ImageEncoder(image_model(str(tmp_path)))


def test_missing_weights_are_named_with_the_choices() -> None:
    with pytest.raises(
        FileNotFoundError, match=r"'/no/such/file\.pth'.*a file or folder.*timm:NAME.*--image-encoder random"
    ):
        image_model("/no/such/file.pth").recipe()


def test_unreachable_torchvision_weights_are_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def no_network(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    with pytest.raises(FileNotFoundError, match=r"could not be fetched.*--image-encoder random"):
        image_model("resnet34").recipe()


def test_recipe_names_the_weights_by_content_and_random_as_such(weights: Path) -> None:
    assert image_model(str(weights)).recipe()["weights"] == digest_file(weights)
    assert image_model("random").recipe()["name"] == "random"


def test_recipe_says_how_dicom_files_become_grey() -> None:
    recipe = image_model("random").recipe()
    assert recipe["dicom"] == DICOM_GREY
    another = recipe | {"dicom": "another rule"}
    assert difference(recipe, another) == [f"dicom: {DICOM_GREY[:57]}... -> another rule"]


def test_the_recipe_of_a_resnet34_is_what_caches_were_made_with(weights: Path) -> None:
    of_file = {
        key: value for key, value in image_model(str(weights)).recipe().items() if key not in ("name", "weights")
    }
    assert digest(of_file) == "6dd7e052e9608ff9d7d7c65eff3faafe1545809f7892c172dbcfd96041db7e0b"
    assert digest(image_model("random").recipe()) == "d184057201294fb35bd76956a50090ed0af460ae54acbc747c4a0ccbf503ef88"


def test_recipe_needs_no_torch(weights: Path) -> None:
    code = (
        "import sys; from omnifuse.pipeline.frozen_encoders import frozen_encoder as f; "
        f"f('image', {str(weights)!r}).recipe(); f('image', 'random').recipe(); "
    )
    subprocess.run([sys.executable, "-c", code + "assert 'torch' not in sys.modules"], check=True, env=os.environ)
