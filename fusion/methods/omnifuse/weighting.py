"""Dynamic weighted fuse (section 3.4 of the paper): a head per modality, each weighed down where the others are right.

``lp`` and ``l1p`` are the tables of :mod:`.targets`, here ``[B, M, K, C]`` over modalities. A weight belongs to one
candidate value of one decision, so that no label is needed to predict.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...parts.targets import Target, mean_known


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

    def log_weights(self, l1p: Tensor, trust: Tensor) -> Tensor:
        """Logarithm of the weight of every modality for every candidate value (equation 10).

        A modality trusted by half weighs half as much, and has half a say in the weights of the others.

        Parameters
        ----------
        l1p : float [B, M, K, C], ``log(1 - p)``; modalities without trust are not read
        trust : [B, M] in [0, 1] or bool, how much each modality takes part; 0 not at all

        Returns
        -------
        float [B, M, K, C]; 0 for the only modality that weighs, -inf for modalities that do not weigh
        """
        trust = trust.to(l1p.dtype)[..., None, None]  # [B, M, 1, 1]
        takes_part = trust > 0
        others = 1 - torch.eye(l1p.shape[1], dtype=l1p.dtype, device=l1p.device)
        doubt = torch.einsum("mn,bnkc->bmkc", others, torch.where(takes_part, trust * l1p, 0.0))
        number = (takes_part.sum(1, keepdim=True) - 1).clamp(min=1)
        return trust.log() + self.beta / number * doubt

    def encoder_loss(self, lp: Tensor, l1p: Tensor, y: Tensor, trust: Tensor) -> Tensor:
        """Cross-entropy of every modality's head, weighed per sample and decision (equation 12).

        The weights of the true values carry no gradient: otherwise a modality is rewarded for switching off the loss
        of the others.

        Parameters
        ----------
        lp, l1p : float [B, M, K, C]
        y : float [B, K], NaN where unknown
        trust : [B, M] as in :meth:`log_weights`

        Returns
        -------
        float scalar: sum over modalities, mean over known decisions, mean over samples with one
        """
        labels = y.unsqueeze(1)  # [B, 1, K]
        weights, known = self.target.gather(self.log_weights(l1p.detach(), trust).exp(), labels)
        truth, _ = self.target.gather(lp, labels)  # [B, M, K]
        losses = self.target.over_decisions(
            torch.where(trust.unsqueeze(-1) > 0, -weights * truth, 0.0), known
        )  # [B, M]
        return mean_known(losses.sum(-1), self.target.known(y))

    def score(self, lp: Tensor, l1p: Tensor, joint: Tensor, trust: Tensor) -> Tensor:
        """Fused score of every candidate value; its softmax over C is the prediction. No label is involved.

        ``sum_m w_m lp_m + alpha lp_joint``, divided by ``sum_m w_m + alpha`` unless ``normalised`` is False. The mean
        believes heads that agree as they are, however many there are; the sum counts the prior once per head, so that
        risks of samples with different modalities cannot be compared. Weights carry no gradient.

        Parameters
        ----------
        lp, l1p : float [B, M, K, C]
        joint : float [B, K, C], log-probabilities of the joint head
        trust : [B, M] as in :meth:`log_weights`

        Returns
        -------
        float [B, K, C]; NaN where nothing weighs: no modality is trusted and ``alpha`` is 0
        """
        log_alpha = math.log(self.alpha) if self.alpha else float("-inf")
        weights = self.log_weights(l1p.detach(), trust)
        weights = torch.cat([weights, torch.full_like(joint, log_alpha).unsqueeze(1)], dim=1)  # [B, M + 1, K, C]
        weights = weights.softmax(1) if self.normalised else weights.exp()
        heads = torch.cat([torch.where(trust[..., None, None] > 0, lp, 0.0), joint.unsqueeze(1)], dim=1)
        return (weights * heads).sum(1)

    def predicted_weights(self, l1p: Tensor, score: Tensor, trust: Tensor) -> Tensor:
        """Weight of every modality at the value that ``score`` [B, K, C] predicts: float [B, M, K] in [0, 1].

        A weight has no value apart from a candidate value; this is the one to show beside a prediction.
        """
        predicted = score.argmax(-1)[:, None, :, None]  # [B, 1, K, 1]
        return torch.take_along_dim(self.log_weights(l1p, trust).exp(), predicted, dim=-1).squeeze(-1)
