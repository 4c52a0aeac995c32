"""Imputation of missing modality embeddings with cascaded residual autoencoders (section 3.3 of the paper).

``r`` (``present``) says what a sample has, ``a`` (``used``, a subset of ``r``) what the model is shown. Only slots that
are present and hidden have a truth to be imputed towards; what is really absent never has one.
"""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from ...parts.completion.patterns import fill

Goal = Literal["hidden", "complement", "all"]
WayBack = Literal["own", "shared", "none"]
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
    backward : ``own`` weights for the way back, those of the way there (``shared``), or no way back (``none``)
    """

    def __init__(self, modalities: int, width: int, blocks: int = 5, backward: WayBack = "own") -> None:
        super().__init__()
        self.towards_missing = CascadeResidualAutoencoder(modalities * width, blocks)
        self.towards_available = CascadeResidualAutoencoder(modalities * width, blocks) if backward == "own" else None
        self.returns = backward != "none"
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

    def impute_each(self, embeddings: Tensor, missing: Tensor, present: Tensor) -> Tensor:
        """Impute every modality from all others of ``present`` [B, M]: float [B, M, D]."""
        alone = torch.eye(present.shape[1], dtype=torch.bool, device=present.device)
        return torch.cat([self(embeddings, missing, present & ~one)[0][:, one] for one in alone], dim=1)

    def reconstruct(self, imputed: Tensor, missing: Tensor, used: Tensor) -> Tensor:
        """Impute the shown slots back from the imputed others alone (equation 6): float [B, M, D].

        The shown slots of ``imputed`` are not read: they still contain the answer, since the cascade is residual.
        """
        cascade = self.towards_available or self.towards_missing
        reconstructed: Tensor = cascade(fill(imputed, missing, ~used).flatten(1))[0]
        return reconstructed.view_as(imputed)


def squared_error(estimate: Tensor, truth: Tensor, slots: Tensor) -> Tensor:
    """Squared error per element over some slots: the norm of equations 7 and 8.

    Parameters
    ----------
    estimate, truth : float [B, M, D]
    slots : bool [B, M], the slots that count

    Returns
    -------
    float scalar; exactly 0 with a gradient of 0 where no slot counts
    """
    difference = torch.where(slots.unsqueeze(-1), estimate - truth, 0.0)
    return difference.square().sum() / (slots.sum() * estimate.shape[-1]).clamp(min=1)


def forward_loss(
    imputed: Tensor, truth: Tensor, missing: Tensor, present: Tensor, used: Tensor, goal: Goal = "hidden"
) -> Tensor:
    """Equation 7: error of the forward cascade at the slots that exist.

    Only slots that are ``present`` can have a truth: what a sample really lacks is never regressed on.

    Parameters
    ----------
    imputed, truth : float [B, M, D]
    missing : float [M, D]
    present, used : bool [B, M]
    goal : ``hidden`` counts the hidden slots. The others count all slots of samples in which something is hidden:
        ``complement`` asks the shown ones to become ``missing`` (MMIN), ``all`` to stay as they are.
    """
    hidden = present & ~used
    if goal == "hidden":
        return squared_error(imputed, truth, hidden)
    aim = truth if goal == "all" else torch.where(used.unsqueeze(-1), missing, truth)
    return squared_error(imputed, aim, present & hidden.any(-1, keepdim=True))


def backward_loss(reconstructed: Tensor, truth: Tensor, used: Tensor) -> Tensor:
    """Equation 8: error at the shown slots of samples in which something was imputed."""
    return squared_error(reconstructed, truth, used & ~used.all(-1, keepdim=True))


def _perceptron(sizes: tuple[int, ...], activation: type[nn.Module]) -> nn.Sequential:
    """Linear layers with ``activation`` between them, none after the last."""
    layers: list[nn.Module] = []
    for size, following in pairwise(sizes):
        layers += [nn.Linear(size, following), activation()]
    return nn.Sequential(*layers[:-1])
