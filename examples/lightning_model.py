"""A model of one's own in Lightning, which brings the training loop, several devices and loggers.

    python examples/lightning_model.py [--cache demo/cache] [--task mortality] [--epochs 3]
                                       [--accelerator gpu --devices 4]

Needs ``pip install lightning``. One patient in five validates. On several devices Lightning deals the samples out
and averages the gradients.
"""

import argparse

import lightning
import numpy as np
import torch
from omnifuse import FeatureCache, collate
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset


class TokenAttention(lightning.LightningModule):
    """Attention over the rows of one embedded modality, such as the tokens of a report."""

    def __init__(self, modality: str, width: int) -> None:
        super().__init__()
        self.modality = modality
        self.score, self.head = nn.Linear(width, 1), nn.Linear(width, 1)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Return logits ``[B]``; those without the modality get the bias alone."""
        rows, mask = batch[self.modality], batch[f"{self.modality}_mask"]  # [B, T, D], [B, T]
        scores = self.score(rows).squeeze(2).masked_fill(~mask, -1e9)  # [B, T]
        weights = torch.softmax(scores, dim=1) * mask
        return self.head((weights[:, :, None] * rows).sum(1)).squeeze(1)

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the mean log loss of a batch."""
        return nn.functional.binary_cross_entropy_with_logits(self(batch), batch["y"][:, 0])

    def training_step(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the loss of a training batch."""
        return self.loss(batch)

    def validation_step(self, batch: dict[str, Tensor]) -> None:
        """Log the loss of a validation batch."""
        self.log("validation_loss", self.loss(batch), batch_size=len(batch["y"]), sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW."""
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


def main() -> None:
    """Train, and print the log loss of the validating patients."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", default="demo/cache")
    parser.add_argument("--task", default="mortality")
    parser.add_argument("--modality", default="rep")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--accelerator", default="cpu", help="As Lightning names them, such as gpu.")
    parser.add_argument("--devices", type=int, default=1)
    options = parser.parse_args()

    lightning.seed_everything(0, verbose=False)
    cache = FeatureCache.open(options.cache)
    dataset = cache.to_torch(options.task, [options.modality])
    patients = cache.samples["subject_id"].to_numpy()[dataset.index]
    validating = np.isin(patients, np.random.default_rng(0).permutation(np.unique(patients))[::5])
    train, validation = (
        DataLoader(Subset(dataset, np.flatnonzero(part).tolist()), batch_size=64, shuffle=shuffle, collate_fn=collate)
        for part, shuffle in ((~validating, True), (validating, False))
    )
    trainer = lightning.Trainer(
        max_epochs=options.epochs,
        accelerator=options.accelerator,
        devices=options.devices,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(TokenAttention(options.modality, cache.dim(options.modality)), train, validation)
    print(f"validation log loss {trainer.callback_metrics['validation_loss'].item():.3f}")


if __name__ == "__main__":
    main()
