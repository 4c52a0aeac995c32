"""Image models of torchvision, timm and torchxrayvision, against what these libraries compute themselves."""

import socket
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import timm
import torch
from click.testing import CliRunner
from omnifuse.cache_schema import InputError, MissingInputError, digest_file
from omnifuse.cli import main
from omnifuse.pipeline.frozen_encoders import frozen_encoder
from omnifuse.pipeline.frozen_torch import seed_weights
from omnifuse.pipeline.image import torchvision_models, xrv_models
from omnifuse.pipeline.image.encoder import ImageEncoder, ImageModels
from omnifuse.pipeline.image.model_input import IMAGENET
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import interpolate
from torchvision import models

XRV = "densenet121-res224-all"

Images = npt.NDArray[np.uint8]
Save = Callable[[nn.Module, str], Path]


def image_model(encoder: str) -> ImageModels:
    """Return the model that the command line calls so."""
    model = frozen_encoder("image", encoder)
    assert isinstance(model, ImageModels)
    return model


@pytest.fixture(scope="module")
def images() -> Images:
    coarse = np.random.default_rng(0).integers(0, 256, (2, 28, 28), dtype=np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)


@pytest.fixture(scope="module")
def grey(images: Images) -> torch.Tensor:
    """The images [2, 1, 224, 224] from 0 to 1."""
    return torch.tensor(images)[:, None] / 255


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Seed the weights of a model and save its state dict."""

    def save(model: nn.Module, name: str) -> Path:
        seed_weights(model, seed=2)
        path = tmp_path / name
        if path.suffix == ".safetensors":
            save_file(model.state_dict(), path)
        else:
            torch.save(model.state_dict(), path)
        return path

    return save


@pytest.fixture(autouse=True)
def float32(plain_processor: None) -> None:
    """As other programs compute."""


def assert_same(encoder: str, images: Images, plain: torch.Tensor) -> None:
    vectors = ImageEncoder(image_model(encoder)).encode(images)
    assert vectors.dtype == np.float16
    np.testing.assert_allclose(vectors, plain.numpy(), rtol=2**-9, atol=1e-4)


def imagenet(grey: torch.Tensor) -> torch.Tensor:
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET.mean, IMAGENET.deviation))
    return (grey - mean) / deviation


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(("name", "pooled"), [("resnet18", "avgpool"), ("mobilenet_v3_small", "classifier.2")])
def test_torchvision_gives_what_its_last_layer_gets(
    name: str, pooled: str, suffix: str, images: Images, grey: torch.Tensor, save: Save
) -> None:
    model = models.get_model(name, weights=None).eval()
    path = save(model, f"ours{suffix}")
    seen: list[torch.Tensor] = []
    model.get_submodule(pooled).register_forward_hook(lambda module, inputs, output: seen.append(output.flatten(1)))
    with torch.inference_mode():
        model(imagenet(grey))
    assert_same(f"torchvision:{name}={path}", images, seen[0])


WIDTHS = {
    "alexnet": 4096,
    "convnext_tiny": 768,
    "densenet121": 1024,
    "efficientnet_b0": 1280,
    "googlenet": 1024,
    "inception_v3": 2048,
    "maxvit_t": 512,
    "mnasnet0_5": 1280,
    "mobilenet_v2": 1280,
    "resnext50_32x4d": 2048,
    "shufflenet_v2_x0_5": 1024,
    "squeezenet1_1": 512,
    "vgg11": 4096,
    "vit_b_16": 768,
}


@pytest.mark.parametrize("name", WIDTHS)
def test_every_family_of_torchvision_loses_its_classifier(name: str) -> None:
    side = torchvision_models.Torchvision(name).image_input().height
    with torch.device("meta"):
        vectors = torchvision_models.Torchvision(name).untrained().eval()(torch.empty(1, 3, side, side))
    assert vectors.shape == (1, WIDTHS[name])


@pytest.mark.parametrize("classes", [1000, 14, 0])
def test_timm_scales_as_the_model_asks_and_drops_any_classifier(
    classes: int, images: Images, grey: torch.Tensor, save: Save
) -> None:
    path = save(timm.create_model("test_vit", num_classes=classes), "ours.safetensors")
    model = timm.create_model("test_vit", num_classes=classes, checkpoint_path=str(path)).eval()
    small = interpolate(grey, (160, 160), mode="bilinear", antialias=True).expand(-1, 3, -1, -1)
    with torch.inference_mode():
        plain = model.forward_head(model.forward_features(2 * small - 1), pre_logits=True)
    assert plain.shape == (2, 64)
    assert_same(f"timm:test_vit={path}", images, plain)


def test_timm_gets_the_colours_of_a_picture_and_a_grey_one_three_times(save: Save, tmp_path: Path) -> None:
    path = save(timm.create_model("test_vit", num_classes=0), "ours.safetensors")
    model = timm.create_model("test_vit", num_classes=0, checkpoint_path=str(path)).eval()
    encoder = image_model(f"timm:test_vit={path}")
    coarse = np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    pictures = [Image.fromarray(coarse), Image.fromarray(coarse[..., 0]), Image.fromarray(coarse[..., 1])]
    read = []
    for number, picture in enumerate(pictures):
        picture.resize((256, 256), Image.Resampling.NEAREST).save(tmp_path / f"{number}.png")
        read.append(encoder.read(tmp_path / f"{number}.png"))
    assert [one.shape for one in read] == [(1, 3, 224, 224), (224, 224), (224, 224)]
    levels = torch.stack([torch.tensor(one).expand(1, 3, 224, 224)[0] for one in read]) / 255
    small = interpolate(levels, (160, 160), mode="bilinear", antialias=True)
    with torch.inference_mode():
        plain = model(2 * small - 1).numpy()
    rows = np.concatenate(list(ImageEncoder(encoder).rows(read)))
    np.testing.assert_allclose(rows, plain, rtol=2**-9, atol=1e-4)
    assert image_model("resnet34").colour is False and image_model("torchvision:resnet34").colour is False


def test_xrv_gives_the_features_of_torchxrayvision(images: Images, save: Save) -> None:
    model = xrv_models._models().DenseNet().eval()
    path = save(model, "ours.pth")
    levels = torch.tensor(2 * (images / 255) - 1)[:, None].float() * 1024
    with torch.inference_mode():
        plain = model.features2(levels)
    assert plain.shape == (2, 1024)
    assert_same(f"xrv:{XRV}={path}", images, plain)


def test_xrv_leaves_the_warnings_of_the_process_alone() -> None:
    xrv_models._models()
    with pytest.warns(UserWarning, match="still heard"):
        warnings.warn("still heard", stacklevel=1)


@pytest.mark.parametrize(
    ("encoder", "architecture", "image"),
    [
        ("torchvision:resnet18=random", "resnet18", "three equal channels, ImageNet scaling"),
        ("torchvision:swin_v2_t=random", "swin_v2_t", "scaled to 256 x 256, three equal channels, ImageNet scaling"),
        ("timm:test_vit=random", "timm test_vit", "scaled to 160 x 160, three channels, from -1 to 1"),
        (f"xrv:{XRV}=random", f"xrv {XRV}", "one channel, from -1024 to 1024"),
    ],
)
def test_the_recipe_names_architecture_and_scaling(encoder: str, architecture: str, image: str) -> None:
    recipe = image_model(encoder).recipe()
    assert (recipe["architecture"], recipe["name"], recipe["seed"]) == (architecture, "random", 0)
    levels = "colours where it has any, else grey" if encoder.startswith("timm") else "grey"
    assert recipe["image"] == f"{levels}, shorter side 256, central 224 x 224, {image}"


def test_the_recipe_names_the_weights_by_content(save: Save) -> None:
    path = save(timm.create_model("test_resnet"), "ours.pth")
    recipe = image_model(f"timm:test_resnet={path}").recipe()
    assert (recipe["name"], recipe["weights"]) == ("ours", digest_file(path))


def test_random_weights_are_those_of_the_seed(images: Images) -> None:
    first, second = (ImageEncoder(image_model("timm:test_resnet=random")).encode(images) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (
        image_model("timm:test_resnet=random").weights_digest() != image_model("timm:test_vit=random").weights_digest()
    )


@pytest.mark.parametrize("encoder", ["torchvision:resnet18", "timm:test_resnet", f"xrv:{XRV}"])
def test_weights_of_another_model_are_refused(encoder: str, save: Save) -> None:
    path = save(nn.Linear(2, 2), "other.pth")
    with pytest.raises(InputError, match=r"other\.pth does not hold the weights of"):
        ImageEncoder(image_model(f"{encoder}={path}"))


BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "torchvision:resnet18": models.resnet18,
    "timm:test_resnet": lambda: timm.create_model("test_resnet"),
    f"xrv:{XRV}": lambda: xrv_models._models().DenseNet(),
}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("encoder", BUILDERS)
def test_weights_that_are_not_finite_are_refused(encoder: str, value: float, tmp_path: Path) -> None:
    tensors = BUILDERS[encoder]().state_dict()
    damaged = next(name for name in tensors if name.endswith("running_var"))
    tensors[damaged][0] = value
    torch.save(tensors, tmp_path / "damaged.pth")
    with pytest.raises(InputError, match=r"damaged\.pth are damaged: 1 of \d+ tensors have values that are not finite"):
        ImageEncoder(image_model(f"{encoder}={tmp_path / 'damaged.pth'}"))


@pytest.mark.parametrize("encoder", BUILDERS)
def test_weights_of_too_large_values_are_refused(encoder: str, tmp_path: Path) -> None:
    tensors = {
        name: tensor * 1e9 if tensor.is_floating_point() else tensor
        for name, tensor in BUILDERS[encoder]().state_dict().items()
    }
    torch.save(tensors, tmp_path / "large.pth")
    with pytest.raises(InputError, match=r"large\.pth' gave values that are not finite"):
        ImageEncoder(image_model(f"{encoder}={tmp_path / 'large.pth'}")).encode(np.full((1, 224, 224), 255, np.uint8))


@pytest.mark.parametrize("encoder", BUILDERS)
def test_a_tensor_that_is_absent_is_not_made_up(encoder: str, save: Save, tmp_path: Path) -> None:
    tensors = BUILDERS[encoder]().state_dict()
    del tensors[next(name for name in tensors if name.endswith("weight"))]
    torch.save(tensors, tmp_path / "less.pth")
    with pytest.raises(InputError, match=r"less\.pth does not hold the weights of"):
        ImageEncoder(image_model(f"{encoder}={tmp_path / 'less.pth'}"))


@pytest.mark.parametrize("content", [nn.Linear(2, 2), {"state_dict": {"fc": torch.zeros(1)}}, torch.zeros(2)])
def test_a_file_of_anything_but_tensors_by_name_is_refused(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "whole.pth")
    with pytest.raises(InputError, match=r"whole\.pth cannot be read as weights; give a state dict.*more than tensors"):
        ImageEncoder(image_model(f"torchvision:resnet18={tmp_path / 'whole.pth'}"))


@pytest.mark.parametrize(
    ("encoder", "near"), [("torchvision:resnet5", "resnet50"), ("timm:test_resnt", "test_resnet"), ("xrv:all", XRV)]
)
def test_an_unknown_model_is_named_with_those_that_are_near(encoder: str, near: str) -> None:
    with pytest.raises(InputError, match=rf"no image model '{encoder}'; names that are near: .*{near}.*Choices"):
        image_model(encoder).recipe()


def test_weights_that_cannot_be_fetched_are_said_with_the_choices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    for encoder in ("torchvision:resnet18", "timm:test_resnet"):
        with pytest.raises(MissingInputError, match=rf"'{encoder}' cannot be loaded.*fetch.*Choices.*random"):
            image_model(encoder).recipe()


def refuse(*_: object, **__: object) -> None:
    raise OSError("no network")


def test_the_pickles_of_torchxrayvision_are_not_read_and_the_conversion_explained() -> None:
    result = CliRunner().invoke(main, ["doctor", "--image-encoder", f"xrv:{XRV}", "--text-encoder", "random"])
    assert result.exit_code == 1
    assert f"xrv:{XRV}=densenet121-res224-all.pth" in result.stdout and "pickle" in result.stdout


@pytest.mark.parametrize(("encoder", "package"), [("timm:test_vit", "timm"), ("xrv:all", "torchxrayvision")])
def test_an_optional_package_that_is_missing_is_named(
    encoder: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(
        InputError, match=rf"{encoder} needs the package {package}: pip install 'omnifuse\[{package}\]'"
    ):
        image_model(encoder).recipe()
