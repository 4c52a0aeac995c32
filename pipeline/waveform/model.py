"""A residual network for twelve leads, as ResNet is for images: four stages of two blocks, averaged over time."""

from torch import Tensor, nn

CHANNELS = (32, 64, 128, 256)
KERNEL = 7


class Block(nn.Module):
    """Two convolutions beside a shortcut ``[B, C, T] -> [B, D, T / stride]``."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(channels, width, KERNEL, stride, KERNEL // 2, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Conv1d(width, width, KERNEL, 1, KERNEL // 2, bias=False),
            nn.BatchNorm1d(width),
        )
        same = stride == 1 and channels == width
        self.shortcut = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv1d(channels, width, 1, stride, bias=False), nn.BatchNorm1d(width))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``relu(body(x) + shortcut(x))``."""
        return nn.functional.relu(self.body(x) + self.shortcut(x))


class ResNet1d(nn.Module):
    """Leads ``[B, 12, T]`` to one vector ``[B, 256]``."""

    def __init__(self, leads: int = 12) -> None:
        super().__init__()
        first = CHANNELS[0]
        self.stem = nn.Sequential(
            nn.Conv1d(leads, first, 15, 2, 7, bias=False), nn.BatchNorm1d(first), nn.ReLU(), nn.MaxPool1d(3, 2, 1)
        )
        blocks = []
        for before, width in zip((first, *CHANNELS), CHANNELS, strict=False):
            blocks += [Block(before, width, 1 if before == width else 2), Block(width, width, 1)]
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean over time of the last stage."""
        features: Tensor = self.blocks(self.stem(x))  # [B, 256, T / 32]
        return features.mean(dim=-1)  # [B, 256]
