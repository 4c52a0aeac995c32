"""A frozen BERT that gives one vector per token of a text, and the recipe that says what decides these vectors."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...cache_schema import digest
from .folder import digest_folder, encoder_folder

RANDOM = "random"
SEED = 0
MAX_TOKENS = 150
"""Longest text in tokens, [CLS] and [SEP] included; the rest is cut off."""

BATCH_TEXTS = 32
TOLERANCE = 0.05
"""Bound of a token's error against float32, relative to its length. In bfloat16 the worst token of 24 texts was off by
0.028 (MiniLM, 6 layers) and 0.009 (random), 0.017 of it by the other texts of its batch; in float32 by 0.0001."""

VERSION = 1
"""Raised by hand when texts get other vectors, beyond the tolerance, from the same files."""


def text_recipe(encoder: str) -> dict[str, Any]:
    """Return what decides the vectors of a text encoder, as JSON values, without importing PyTorch.

    Weights and vocabulary are named by the sha256 of their files, so a renamed copy or the hub's own gives the same
    digests. The versions of PyTorch and transformers are left out on purpose: the files define model and tokeniser, and
    another version computes them within ``tolerance``; were they part of the recipe, every upgrade would encode
    everything again and separate models from caches. A cache tells its versions elsewhere. For the same reason the
    precision is the rule by which each machine chooses, not the choice of this one.

    Raises
    ------
    InputError
        If the files are incomplete, or can be neither found nor fetched.
    """
    recipe = {
        "version": VERSION,
        "max_tokens": MAX_TOKENS,
        "output": "last hidden state of every token",
        "dtype": "float16",
        "precision": "bfloat16 where the processor multiplies it, else float32",
        "tolerance": TOLERANCE,
    }
    if encoder == RANDOM:
        return {**recipe, "name": RANDOM, "layers": 2, "hidden": 768, "seed": SEED}
    folder = encoder_folder(encoder)
    return {**recipe, "name": encoder.rstrip("/").rpartition("/")[2], "files": digest_folder(folder)}


def weights_digest(encoder: str) -> str:
    """Return the sha256 of an encoder's weights: of its files, or of the values that the seed gives.

    For ``random`` it builds the model, which takes seconds; the answer depends on the versions of NumPy, PyTorch and
    transformers alone.
    """
    if encoder != RANDOM:
        return digest(digest_folder(encoder_folder(encoder)))
    from ..frozen import digest_weights
    from .model import random_model

    return digest_weights(random_model(SEED, MAX_TOKENS))


class TextEncoder:
    """A frozen text encoder on the GPU where there is one, else on the CPU.

    Parameters
    ----------
    encoder : str
        ``random``, a folder with config, tokeniser and safetensors weights, or an id of the Hugging Face hub.

    Attributes
    ----------
    dim : int
        Length of a token's vector.
    precision : str
        ``bfloat16`` or ``float32``: what this machine computes in.

    Raises
    ------
    InputError
        If the encoder cannot be loaded; the message names it and the other choices. Nothing is replaced silently.
    """

    def __init__(self, encoder: str) -> None:
        from ..frozen import default_device, fast_precision
        from .model import Tokenizer, pretrained_model, pretrained_tokenizer, random_model
        from .tokens import hash_words

        if encoder == RANDOM:
            self._tokenize: Tokenizer = lambda texts: [hash_words(text, MAX_TOKENS) for text in texts]
            model = random_model(SEED, MAX_TOKENS)
        else:
            folder = encoder_folder(encoder)
            self._tokenize = pretrained_tokenizer(folder, MAX_TOKENS)
            model = pretrained_model(folder)
        self._device = default_device()
        dtype = fast_precision(self._device)
        self._model = model.eval().requires_grad_(False).to(self._device, dtype)
        self.dim: int = model.config.hidden_size
        self.precision = str(dtype).removeprefix("torch.")

    def encode(self, texts: Sequence[str]) -> list[npt.NDArray[np.float16]]:
        """Return for each text the vectors of its tokens ``[tokens, dim]``, at most 150 with [CLS] and [SEP].

        A batch holds texts of one number of tokens, so nothing is padded. Equal lists give equal bytes; another list
        gives a text the same vectors within the tolerance, because matrix products round by their shapes.

        Raises
        ------
        ValueError
            If the encoder gives values that are not finite.
        """
        tokens = self._tokenize(list(texts)) if texts else []
        rows: list[npt.NDArray[np.float16]] = [np.empty((0, self.dim), np.float16)] * len(tokens)
        for batch in batches_of_one_length([len(ids) for ids in tokens]):
            vectors = self._forward([tokens[text] for text in batch])  # [B, T, D]
            for text, matrix in zip(batch, vectors, strict=True):
                rows[text] = matrix
        return rows

    def _forward(self, tokens: list[list[int]]) -> npt.NDArray[np.float16]:
        import torch

        from ..frozen import to_float16

        with torch.inference_mode():
            ids = torch.tensor(tokens, device=self._device)  # [B, T]
            return to_float16(self._model(input_ids=ids).last_hidden_state)


def batches_of_one_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield the positions of at most 32 equal lengths at a time: shortest first, each length in the given order."""
    groups: dict[int, list[int]] = defaultdict(list)
    for position, length in enumerate(lengths):
        groups[length].append(position)
    for _, positions in sorted(groups.items()):
        for start in range(0, len(positions), BATCH_TEXTS):
            yield positions[start : start + BATCH_TEXTS]
