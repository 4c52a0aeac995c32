"""Imputation of missing modality embeddings with cascaded residual autoencoders (section 3.3 of the paper).

``r`` (``present``) says what a sample has, ``a`` (``used``, a subset of ``r``) what the model is shown. Only slots that
are present and hidden have a truth to be imputed towards; what is really absent never has one.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

HIDDEN_SIZES = (256, 128, 64)  # of MMIN, for an input of 384
_MMIN_INPUT = 384


def layer_sizes(width: int) -> tuple[int, ...]:
    """Hidden sizes of a residual autoencoder: those of MMIN, scaled down where ``width`` is below MMIN's 384."""
    return tuple(max(1, size * min(width, _MMIN_INPUT) // _MMIN_INPUT) for size in HIDDEN_SIZES)


class ResidualAutoencoder(nn.Module):
    """One block of the cascade: ``width -> sizes -> width`` with the last of ``sizes`` as latent."""

    def __init__(self, width: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder = _perceptron((width, *sizes), nn.LeakyReLU)
        self.decoder = _perceptron((*reversed(sizes), width), nn.ReLU)

    def forward(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return the correction ``[B, width]`` to ``v`` ``[B, width]`` and the latent ``[B, sizes[-1]]``."""
        latent = self.encoder(v)
        return self.decoder(latent), latent


class CascadeResidualAutoencoder(nn.Module):
    """Blocks that each correct the sum of the input and all earlier corrections (equations 4 and 5).

    Parameters
    ----------
    width : length of the concatenated embeddings, M * D
    blocks : number of residual autoencoders, K
    """

    def __init__(self, width: int, blocks: int = 5) -> None:
        super().__init__()
        sizes = layer_sizes(width)
        self.blocks = nn.ModuleList(ResidualAutoencoder(width, sizes) for _ in range(blocks))
        self.latent_size = blocks * sizes[-1]

    def forward(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``v`` with all corrections added ``[B, width]`` and the latents ``[B, latent_size]``."""
        latents = []
        for block in self.blocks:
            correction, latent = block(v)
            v = v + correction
            latents.append(latent)
        return v, torch.cat(latents, dim=-1)


class CycleImputation(nn.Module):
    """Forward cascade from shown to other modalities, and backward cascade from those to the shown ones.

    Parameters
    ----------
    modalities : M
    width : length of one embedding, D
    blocks : residual autoencoders per cascade, K
    """

    def __init__(self, modalities: int, width: int, blocks: int = 5) -> None:
        super().__init__()
        self.towards_missing = CascadeResidualAutoencoder(modalities * width, blocks)
        self.towards_available = CascadeResidualAutoencoder(modalities * width, blocks)
        self.latent_size = self.towards_missing.latent_size

    def forward(self, embeddings: Tensor, missing: Tensor, used: Tensor) -> tuple[Tensor, Tensor]:
        """Impute every slot from the shown ones (equations 2, 4, 5).

        Parameters
        ----------
        embeddings : float [B, M, D]; slots that are not ``used`` are not read
        missing : float [M, D], what an encoder makes of zeros
        used : bool [B, M]

        Returns
        -------
        imputed : float [B, M, D], of which only the slots that are not ``used`` are for use
        latents : float [B, latent_size]
        """
        imputed, latents = self.towards_missing(fill(embeddings, missing, used).flatten(1))  # [B, M * D]
        return imputed.view_as(embeddings), latents

    def reconstruct(self, imputed: Tensor, missing: Tensor, used: Tensor) -> Tensor:
        """Impute the shown slots back from the imputed others alone (equation 6): float [B, M, D].

        The shown slots of ``imputed`` are not read: they still contain the answer, since the cascade is residual.
        """
        reconstructed: Tensor = self.towards_available(fill(imputed, missing, ~used).flatten(1))[0]
        return reconstructed.view_as(imputed)


def fill(embeddings: Tensor, substitute: Tensor, where: Tensor) -> Tensor:
    """``embeddings`` [B, M, D] ``where`` [B, M], and ``substitute`` ([M, D] or [B, M, D]) in the other slots."""
    return torch.where(where.unsqueeze(-1), embeddings, substitute)


def squared_error(estimate: Tensor, truth: Tensor, slots: Tensor) -> Tensor:
    """Squared error per element over some slots: the norm of equations 7 and 8.

    Parameters
    ----------
    estimate, truth : float [B, M, D]; no gradient reaches ``truth``
    slots : bool [B, M], the slots that count

    Returns
    -------
    float scalar; exactly 0 with a gradient of 0 where no slot counts
    """
    difference = torch.where(slots.unsqueeze(-1), estimate - truth.detach(), 0.0)
    return difference.square().sum() / (slots.sum() * estimate.shape[-1]).clamp(min=1)


def forward_loss(imputed: Tensor, truth: Tensor, present: Tensor, used: Tensor) -> Tensor:
    """Equation 7: error at the slots that exist and were hidden. Shapes as in :func:`squared_error`."""
    return squared_error(imputed, truth, present & ~used)


def backward_loss(reconstructed: Tensor, truth: Tensor, used: Tensor) -> Tensor:
    """Equation 8: error at the shown slots of samples in which something was imputed."""
    return squared_error(reconstructed, truth, used & ~used.all(-1, keepdim=True))


def sample_patterns(present: Tensor, generator: torch.Generator, full_probability: float = 0.5) -> Tensor:
    """Draw for every sample which of its modalities are shown.

    With ``full_probability`` all that are present, else a subset drawn uniformly from the non-empty ones (the full set
    is one of them). A sample with one modality, or none, is left alone.

    Parameters
    ----------
    present : bool [B, M], M at most 52
    generator : source of all randomness

    Returns
    -------
    bool [B, M], a subset of ``present``
    """
    draw = torch.rand(2, len(present), generator=generator, device=generator.device, dtype=torch.float64)
    keep_all, uniform = draw.to(present.device)
    subsets = 2 ** present.sum(-1) - 1  # non-empty ones
    chosen = (uniform * subsets).long() + 1  # its bits tell which of the present modalities are shown
    rank = (present.long().cumsum(-1) - 1).clamp(min=0)
    shown: Tensor = (chosen.unsqueeze(-1) >> rank) % 2 == 1
    shown |= (keep_all < full_probability).unsqueeze(-1)
    return shown & present


def _perceptron(sizes: tuple[int, ...], activation: type[nn.Module]) -> nn.Sequential:
    """Linear layers with ``activation`` between them, none after the last."""
    layers: list[nn.Module] = []
    for size, following in pairwise(sizes):
        layers += [nn.Linear(size, following), activation()]
    return nn.Sequential(*layers[:-1])
