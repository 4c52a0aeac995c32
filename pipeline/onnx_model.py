"""Models in files of ONNX, computed by ONNX Runtime: one vector for every item, or one for every token of a text.

A file is read into memory, so that it cannot take weights from other files: what decides a vector is the file that the
recipe names. Nothing in it runs code: operators are those of ONNX Runtime alone.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..cache_schema import InputError
from .hub import cut, refuse_stand_in

RANK_OF_IDS, RANK_OF_VECTORS, RANK_OF_TOKENS = 2, 2, 3
IDS, VECTORS = "input_ids", "last_hidden_state"
TOKEN_INPUTS = (IDS, "attention_mask", "token_type_ids")
INTEGERS = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
"""Types of ONNX in which tokens are given, and those of NumPy."""


class OnnxVectors(nn.Module):
    """Inputs ``[B, ...]`` of float32 to vectors ``[B, D]``: the first output of a model that has one input.

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


class OnnxTokens:
    """Token ids ``[B, T]`` to vectors ``[B, T, D]``: the output ``last_hidden_state`` of an encoder of texts.

    It may read ``attention_mask``, which hides the padding, and ``token_type_ids``, which are 0: there is one text.

    Attributes
    ----------
    batch, length
        Texts and tokens that the model reads at once; None where any number will do.

    Raises
    ------
    InputError
        If the file is no such model.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._session = path, _session(path)
        read = {one.name: one for one in self._session.get_inputs()}
        wrong = [one for one in read.values() if one.name not in TOKEN_INPUTS or one.type not in INTEGERS]
        if wrong or IDS not in read or len(read[IDS].shape) != RANK_OF_IDS:
            kinds = ", ".join(f"{one.name} {one.type}" for one in read.values())
            raise InputError(f"{path} reads {kinds or 'nothing'}; expected integers {', '.join(TOKEN_INPUTS)}.")
        if (given := [one.name for one in self._session.get_outputs()]) and VECTORS not in given:
            raise InputError(f"{path} gives {', '.join(given)}; expected {VECTORS}.")
        self._types = {name: INTEGERS[one.type] for name, one in read.items()}
        self.batch: int | None
        self.length: int | None
        self.batch, self.length = (side if isinstance(side, int) else None for side in read[IDS].shape)

    def __call__(self, ids: npt.NDArray[np.int64], there: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
        """Return the vectors of ``ids`` ``[B, T]``; ``there`` says which of them are no padding."""
        values = {IDS: ids, "attention_mask": there, "token_type_ids": np.zeros_like(ids)}
        given = {name: values[name].astype(kind) for name, kind in self._types.items()}
        try:
            (vectors,) = self._session.run([VECTORS], given)
        except Exception as error:  # as below
            raise InputError(f"{self._path} cannot read {ids.shape[1]} tokens: {cut(error)}") from error
        if vectors.ndim != RANK_OF_TOKENS or vectors.shape[:2] != ids.shape:
            raise InputError(
                f"{self._path} gives {[*vectors.shape]} for {[*ids.shape]} tokens; expected one vector each."
            )
        found: npt.NDArray[np.float32] = vectors.astype(np.float32)
        return found


def _session(path: Path) -> Any:
    import onnxruntime

    refuse_stand_in(path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised
    try:
        return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        raise InputError(f"{path} cannot be read as a model of ONNX: {cut(error)}") from error
