"""What an image model reads, and the names by which models are asked for."""

from dataclasses import dataclass

from .decode import SIZE

RANDOM = "random"
RESNET34 = "resnet34"

CHOICES = (
    "Choices of --image-encoder: resnet34; a file or folder with the weights of a ResNet34; torchvision:NAME, "
    "timm:NAME, xrv:NAME, each with =FILE for weights of your own; hf:ID or hf:FOLDER of a vision model of "
    "transformers; onnx:FILE; or `--image-encoder random` to try things out without weights."
)


@dataclass(frozen=True)
class ImageInput:
    """What a model reads: (level - mean) / deviation of each channel, with levels from 0 to 1; grey is all channels."""

    height: int
    width: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def describe(self, *, colour: bool = False) -> str:
        """Return size, channels (of ``colour`` or grey) and scaling in words, for a recipe."""
        size = "" if (self.height, self.width) == (SIZE, SIZE) else f"scaled to {self.height} x {self.width}, "
        channels = {1: "one channel", 3: "three equal channels"}.get(len(self.mean), f"{len(self.mean)} equal channels")
        channels = channels.replace(" equal", "") if colour else channels
        return f"{size}{channels}, {self._scaling()}"

    def _scaling(self) -> str:
        if self == ImageInput(self.height, self.width, IMAGENET.mean, IMAGENET.deviation):
            return "ImageNet scaling"
        if len({*zip(self.mean, self.deviation, strict=True)}) == 1:
            low, high = ((end - self.mean[0]) / self.deviation[0] for end in (0, 1))
            return f"from {low:g} to {high:g}"
        return f"mean {self.mean}, deviation {self.deviation}"


IMAGENET = ImageInput(SIZE, SIZE, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of the channels of ImageNet."""
