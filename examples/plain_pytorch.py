"""A model of one's own in plain PyTorch: every modality pooled over its rows, then one linear layer.

    python examples/plain_pytorch.py [--cache demo/cache] [--task mortality] [--epochs 5]

One patient in five is held out; nothing is fitted on them.
"""

import argparse

import numpy as np
import torch
from omnifuse import FeatureCache, collate
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset


class MeanFusion(nn.Module):
    """The mean row of each modality, or zeros where it is missing, through a layer of its own; their sum decides."""

    def __init__(self, widths: dict[str, int], dimension: int = 32) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({name: nn.Linear(width, dimension) for name, width in widths.items()})
        self.head = nn.Linear(dimension, 1)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Return logits ``[B]``."""
        fused = torch.zeros(len(batch["y"]), self.head.in_features)
        for name, layer in self.layers.items():
            mask = batch[f"{name}_mask"]  # [B, T]
            rows = batch[name].nan_to_num() * mask[:, :, None]  # [B, T, D]
            mean = rows.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)  # [B, D]
            fused = fused + torch.tanh(layer(mean)) * mask.any(1, keepdim=True)
        return self.head(fused).squeeze(1)


def main() -> None:
    """Train, and print the AUROC of the patients held out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", default="demo/cache")
    parser.add_argument("--task", default="mortality")
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()

    torch.manual_seed(0)
    cache = FeatureCache.open(options.cache)
    dataset = cache.to_torch(options.task)
    patients = cache.samples["subject_id"].to_numpy()[dataset.index]
    held_out = np.isin(patients, np.random.default_rng(0).permutation(np.unique(patients))[::5])
    train, test = (
        DataLoader(Subset(dataset, np.flatnonzero(part).tolist()), batch_size=64, shuffle=shuffle, collate_fn=collate)
        for part, shuffle in ((~held_out, True), (held_out, False))
    )

    model = MeanFusion({name: cache.dim(name) for name in cache.modalities})
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for epoch in range(options.epochs):
        for batch in train:
            loss = nn.functional.binary_cross_entropy_with_logits(model(batch), batch["y"][:, 0])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch + 1}: loss of the last batch {loss.item():.3f}")

    with torch.inference_mode():
        scores = [(model(batch), batch["y"][:, 0]) for batch in test]
    logits, y = (torch.cat(parts) for parts in zip(*scores, strict=True))
    print(f"{len(y):,} samples held out: AUROC {roc_auc_score(y, logits):.3f}")


if __name__ == "__main__":
    main()
