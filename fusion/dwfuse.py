"""Dynamic weighted fuse (section 3.4 of the paper): a head per modality, each weighed down where the others are right.

``lp`` and ``l1p`` are the tables of :mod:`.targets`, here ``[B, M, K, C]`` over modalities. A weight belongs to one
candidate value of one decision, so that no label is needed to predict.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .targets import Target, mean_known


@dataclass(frozen=True)
class DynamicWeightedFuse:
    """The weights, loss and fused score of DWFuse.

    Parameters
    ----------
    target : what the heads predict
    beta : how strongly confident modalities weigh down the others; 0 gives every modality weight 1
    alpha : weight of the joint head beside the modalities' weights
    normalised : divide the score by the sum of all weights (see :meth:`score`); False is the paper's plain sum
    """

    target: Target
    beta: float = 0.5
    alpha: float = 1.0
    normalised: bool = True

    def log_weights(self, l1p: Tensor, weighing: Tensor) -> Tensor:
        """Logarithm of the weight of every modality for every candidate value (equation 10).

        Parameters
        ----------
        l1p : float [B, M, K, C], ``log(1 - p)``; modalities that do not weigh are not read
        weighing : bool [B, M], the modalities that take part

        Returns
        -------
        float [B, M, K, C]; 0 for the only modality that weighs, -inf for modalities that do not weigh
        """
        takes_part = weighing[..., None, None]  # [B, M, 1, 1]
        others = 1 - torch.eye(l1p.shape[1], dtype=l1p.dtype, device=l1p.device)
        doubt = torch.einsum("mn,bnkc->bmkc", others, torch.where(takes_part, l1p, 0.0))
        number = (weighing.sum(-1) - 1).clamp(min=1)[:, None, None, None]
        return torch.where(takes_part, self.beta / number * doubt, float("-inf"))

    def encoder_loss(self, lp: Tensor, l1p: Tensor, y: Tensor, weighing: Tensor) -> Tensor:
        """Cross-entropy of every modality's head, weighed per sample and decision (equation 12).

        The weights of the true values carry no gradient: otherwise a modality is rewarded for switching off the loss
        of the others.

        Parameters
        ----------
        lp, l1p : float [B, M, K, C]
        y : float [B, K], NaN where unknown
        weighing : bool [B, M]

        Returns
        -------
        float scalar: sum over modalities, mean over known decisions, mean over samples with one
        """
        labels = y.unsqueeze(1)  # [B, 1, K]
        weights, known = self.target.gather(self.log_weights(l1p.detach(), weighing).exp(), labels)
        truth, _ = self.target.gather(lp, labels)  # [B, M, K]
        losses = mean_known(torch.where(weighing.unsqueeze(-1), -weights * truth, 0.0), known)  # [B, M]
        return mean_known(losses.sum(-1), self.target.known(y))

    def score(self, lp: Tensor, l1p: Tensor, joint: Tensor, weighing: Tensor) -> Tensor:
        """Fused score of every candidate value; its softmax over C is the prediction. No label is involved.

        ``sum_m w_m lp_m + alpha lp_joint``, divided by ``sum_m w_m + alpha`` unless ``normalised`` is False. The mean
        believes heads that agree as they are, however many there are; the sum counts the prior once per head, so that
        risks of samples with different modalities cannot be compared. Weights carry no gradient.

        Parameters
        ----------
        lp, l1p : float [B, M, K, C]
        joint : float [B, K, C], log-probabilities of the joint head
        weighing : bool [B, M]

        Returns
        -------
        float [B, K, C]; NaN where nothing weighs: no modality takes part and ``alpha`` is 0
        """
        log_alpha = math.log(self.alpha) if self.alpha else float("-inf")
        weights = self.log_weights(l1p.detach(), weighing)
        weights = torch.cat([weights, torch.full_like(joint, log_alpha).unsqueeze(1)], dim=1)  # [B, M + 1, K, C]
        weights = weights.softmax(1) if self.normalised else weights.exp()
        heads = torch.cat([torch.where(weighing[..., None, None], lp, 0.0), joint.unsqueeze(1)], dim=1)
        return (weights * heads).sum(1)

    def predicted_weights(self, l1p: Tensor, score: Tensor, weighing: Tensor) -> Tensor:
        """Weight of every modality at the value that ``score`` [B, K, C] predicts: float [B, M, K] in [0, 1].

        A weight has no value apart from a candidate value; this is the one to show beside a prediction.
        """
        predicted = score.argmax(-1)[:, None, :, None]  # [B, 1, K, 1]
        return torch.take_along_dim(self.log_weights(l1p, weighing).exp(), predicted, dim=-1).squeeze(-1)
