"""Which of its modalities a sample shows, and something in the slots of the others."""

from typing import Literal

import torch
from torch import Tensor

Patterns = Literal["uniform", "proper", "independent"]


def fill(embeddings: Tensor, substitute: Tensor, where: Tensor) -> Tensor:
    """``embeddings`` [B, M, D] ``where`` [B, M], and ``substitute`` ([M, D] or [B, M, D]) in the other slots."""
    return torch.where(where.unsqueeze(-1), embeddings, substitute)


def sample_patterns(
    present: Tensor, generator: torch.Generator, dropout: float = 0.5, patterns: Patterns = "uniform"
) -> Tensor:
    """Draw for every sample which of its modalities are shown. A sample with one modality, or none, is left alone.

    Parameters
    ----------
    present : bool [B, M], M at most 52
    generator : source of all randomness
    dropout : probability that only a part of what is present may be shown
    patterns : what is shown otherwise. ``uniform``: any non-empty subset, the full set being one of them; ``proper``:
        any non-empty subset but the full set; ``independent``: every modality is hidden or not on its own, all with
        the same probability, and one is kept if none would be left.

    Returns
    -------
    bool [B, M], a subset of ``present``
    """
    if patterns == "independent":
        return _independent_patterns(present, generator, dropout)
    draw = torch.rand(2, len(present), generator=generator, device=generator.device, dtype=torch.float64)
    keep_all, uniform = draw.to(present.device)
    number = present.sum(-1)
    subsets = 2**number - 1  # non-empty ones
    if patterns == "proper":
        subsets = torch.where(number > 1, subsets - 1, subsets)
    chosen = (uniform * subsets).long() + 1  # its bits tell which of the present modalities are shown
    rank = (present.long().cumsum(-1) - 1).clamp(min=0)
    shown: Tensor = (chosen.unsqueeze(-1) >> rank) % 2 == 1
    shown |= (keep_all < 1 - dropout).unsqueeze(-1)
    return shown & present


def _independent_patterns(present: Tensor, generator: torch.Generator, dropout: float) -> Tensor:
    draw = torch.rand(present.shape, generator=generator, device=generator.device, dtype=torch.float64)
    draw = torch.where(present, draw.to(present.device), float("inf"))
    keep = (1 - dropout) ** (1 / present.sum(-1, keepdim=True).clamp(min=1))
    return ((draw < keep) | (draw == draw.amin(-1, keepdim=True))) & present
