"""The last row of an embedding, projected."""

import torch
from omnifuse.fusion.inputs.batches import Rows
from omnifuse.fusion.inputs.spec import EncoderConfig
from omnifuse.fusion.parts.encoders import Encoder
from torch import Tensor, nn


class Last(nn.Module):
    """Rows [R, d] of n samples to [n, D]."""

    def __init__(self, columns: int, config: EncoderConfig) -> None:
        super().__init__()
        self.project = nn.Linear(columns, config.dimension)

    def forward(self, rows: Rows) -> Tensor:
        """Encode the last row of each sample."""
        projected: Tensor = self.project(rows.values[torch.cumsum(rows.lengths, 0) - 1])
        return projected


LAST = Encoder(rows=Last)
