"""A model in a file of ONNX, as a module of PyTorch: one vector for every item, computed by ONNX Runtime."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..cache_schema import InputError
from .hub import cut, refuse_stand_in

RANK_OF_VECTORS = 2


class OnnxVectors(nn.Module):
    """Inputs ``[B, ...]`` of float32 to vectors ``[B, D]``: the first output of a model that has one input.

    It is read from memory, so that it cannot take weights from other files: what decides a vector is the file that the
    recipe names. Nothing in it runs code: operators are those of ONNX Runtime alone.

    Raises
    ------
    InputError
        If the file is no such model.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path, self._session = path, _session(path)
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)":
            kinds = ", ".join(f"{one.name} {one.type}" for one in inputs)
            raise InputError(f"{path} reads {kinds or 'nothing'}; expected one input of float32.")
        self._input: str = inputs[0].name
        self.shape: tuple[int | None, ...] = tuple(side if isinstance(side, int) else None for side in inputs[0].shape)
        """Of the input; None where any length will do."""

    def forward(self, items: Tensor) -> Tensor:
        """Return the vectors ``[B, D]``; a model of a fixed batch gets its items in such batches."""
        batches = torch.split(items.detach().float().cpu(), self.shape[0] or len(items))
        return torch.cat([self._vectors(batch) for batch in batches]).to(items.device)

    def _vectors(self, items: Tensor) -> Tensor:
        lacking = (self.shape[0] or len(items)) - len(items)
        padded = torch.cat([items, items.new_zeros(lacking, *items.shape[1:])])
        try:
            first, *_ = self._session.run(None, {self._input: padded.numpy()})
        except Exception as error:  # the errors of ONNX Runtime have no public class
            raise InputError(f"{self._path} cannot read {[*items.shape[1:]]}: {cut(error)}") from error
        vectors = torch.from_numpy(first)
        if vectors.ndim != RANK_OF_VECTORS or len(vectors) != len(padded):
            raise InputError(
                f"{self._path} gives {[*vectors.shape]} for {len(padded)} items; expected one vector each."
            )
        return vectors[: len(items)]


def _session(path: Path) -> Any:
    import onnxruntime

    refuse_stand_in(path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised
    try:
        return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        raise InputError(f"{path} cannot be read as a model of ONNX: {cut(error)}") from error
