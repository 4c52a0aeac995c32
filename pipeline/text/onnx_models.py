"""Encoders of texts in files of ONNX, each with its tokeniser beside it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...cache_schema import InputError, MissingInputError, Recipe, digest_file
from ...cache_schema.packages import require
from ..frozen_encoders import Encode
from ..hub import cut, refuse_stand_in
from .batches import batches_of_one_length
from .text_models import TextModels
from .tokens import Extent, Rows, Tokenizer

MODEL, TOKENIZER = "model.onnx", "tokenizer.json"
VERSION = 1
"""Raised by hand when texts get other vectors from the same files."""


@dataclass(frozen=True)
class OnnxTexts(TextModels):
    """A file, or a folder with ``model.onnx``, that gives ``last_hidden_state``; ``tokenizer.json`` lies beside it."""

    def recipe(self) -> Recipe:
        """Return what decides the vectors, without loading the model.

        Raises
        ------
        InputError
            If a file or the package is missing.
        """
        model, tokenizer = self._files()
        return {
            "version": VERSION,
            "architecture": "onnx",
            **self.described_extent(),
            "output": "last hidden state of every token",
            "dtype": "float16",
            "precision": "float32",
            "name": model.stem if model.name != MODEL else model.parent.name,
            "files": {path.name: digest_file(path) for path in (model, tokenizer)},
        }

    def load(self) -> Encode:
        """Load model and tokeniser, as :class:`OnnxTextEncoder` does."""
        return OnnxTextEncoder(*self._files(), self.extent).encode

    def _files(self) -> tuple[Path, Path]:
        require("onnxruntime", f"--text-encoder onnx:{self.model}")
        place = Path(self.name).expanduser()
        model = place / MODEL if place.is_dir() else place
        for path in (model, model.with_name(TOKENIZER)):
            if not path.is_file():
                raise MissingInputError(
                    f"There is no file {path}. Give --text-encoder onnx:FILE.onnx, with {TOKENIZER} beside the file, "
                    f"or a folder with {MODEL} and {TOKENIZER}."
                )
            refuse_stand_in(path)
        return model, model.with_name(TOKENIZER)


class OnnxTextEncoder:
    """An encoder of texts on the processor; batches hold texts of one number of tokens, unless the model fixes it.

    Raises
    ------
    InputError
        If a file cannot be read.
    """

    def __init__(self, model: Path, tokenizer: Path, extent: Extent) -> None:
        from ..onnx_model import OnnxTokens

        self._model, self._extent, self._name = OnnxTokens(model), extent, str(model)
        self._tokenizer, self._padding = _tokenizer(tokenizer)

    def encode(self, texts: Iterable[str]) -> list[Rows]:
        """Return for each text the vectors of its tokens ``[tokens, D]``, those of the special tokens included.

        A model that reads a fixed number of tokens has as many positions.
        """
        return self._extent.encode(texts, self._tokenizer, self._model.length, self._encode_windows)

    def _encode_windows(self, windows: list[list[int]]) -> list[Rows]:
        rows: dict[int, Rows] = {}
        for batch in batches_of_one_length([len(ids) for ids in windows]):
            size = self._model.batch or len(batch)
            for start in range(0, len(batch), size):
                part = batch[start : start + size]
                rows |= zip(part, self._forward([windows[window] for window in part]), strict=True)
        return [rows[window] for window in range(len(windows))]

    def _forward(self, windows: list[list[int]]) -> list[Rows]:
        """Return the vectors ``[T, D]`` of windows of one length; what the model fixes is filled up with padding."""
        import torch

        from ..frozen_torch import to_float16

        length = len(windows[0])
        shape = self._model.batch or len(windows), self._model.length or length
        ids = np.full(shape, self._padding, np.int64)  # [B, T]
        there = np.zeros(shape, bool)
        ids[: len(windows), :length], there[:, :length] = windows, True
        vectors = self._model(ids, there)[: len(windows), :length]
        return list(to_float16(torch.from_numpy(vectors), self._name))


def _tokenizer(path: Path) -> tuple[Tokenizer, int]:
    """Return the tokeniser of a file, and the token that fills up; raises :class:`InputError` if it cannot be read."""
    from tokenizers import Tokenizer as FileTokenizer

    try:
        said: Any = FileTokenizer.from_file(str(path))
        padding = (said.padding or {}).get("pad_id", 0)
        said.no_padding()
        said.no_truncation()
        one = said.encode("a")
        special = list(one.special_tokens_mask)
        first, after_last = special.index(0), len(special) - special[::-1].index(0)
    except Exception as error:  # what a damaged file makes the library raise has no common class
        raise InputError(f"{path} cannot be read as a tokenizer: {cut(error)}") from error

    def split(texts: Iterable[str]) -> list[list[int]]:
        return [encoded.ids for encoded in said.encode_batch(list(texts), add_special_tokens=False)]

    return Tokenizer(split, one.ids[:first], one.ids[after_last:]), padding
