"""A frozen encoder that gives one vector per token of a text, and the recipe that says what decides these vectors."""

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain

import numpy as np
import numpy.typing as npt

from ...cache_schema import InputError, Recipe
from ..frozen_encoders import DECIDE_SEEDED_WEIGHTS, Encode
from .batches import BATCH_TOKENS, batches_by_tokens, batches_of_one_length
from .folder import digest_folder, encoder_folder
from .text_models import TextModels
from .tokens import MAX_TOKENS, WINDOW_TOKENS, Extent

RANDOM = "random"
SEED = 0
PROBE = ("no acute change", "small left effusion, the heart is of normal size and the lungs are clear")
"""A text, and a longer one beside which its rows have to stay the same."""

TOLERANCE = 0.05
"""Bound of a token's error against float32, relative to its length. In bfloat16 the worst token of 24 texts was off by
0.028 (MiniLM, 6 layers) and 0.009 (random), 0.017 of it by the other texts of its batch; in float32 by 0.0001."""

VERSION = 1
"""Raised by hand when texts get other vectors, beyond the tolerance, from the same files."""


class Transformers(TextModels):
    """Encoders of texts in the format of Hugging Face: ``random``, a folder, or an id of the hub."""

    default = "bert-base-uncased"
    on_devices = True

    def recipe(self) -> Recipe:
        """Return what decides the vectors of the tokens, without importing PyTorch.

        Weights and vocabulary are named by the sha256 of their files, so a renamed copy or the hub's own gives the same
        digests. The versions of PyTorch and transformers are left out on purpose: the files define model and tokeniser,
        and another version computes them within ``tolerance``; were they part of the recipe, every upgrade would encode
        everything again and separate models from caches. A cache tells its versions elsewhere. For the same reason the
        precision is the rule by which each machine chooses, not the choice of this one.

        Raises
        ------
        InputError
            If the files are incomplete, or can be neither found nor fetched.
        """
        recipe = {
            "version": VERSION,
            **self.described_extent(),
            "output": "last hidden state of every token",
            "dtype": "float16",
            "precision": "bfloat16 where the processor multiplies it, else float32",
            "tolerance": TOLERANCE,
        }
        if self.name == RANDOM:
            return {**recipe, "name": RANDOM, "layers": 2, "hidden": 768, "seed": SEED}
        folder = encoder_folder(self.name)
        return {**recipe, "name": self.name.rstrip("/").rpartition("/")[2], "files": digest_folder(folder)}

    def load(self) -> Encode:
        """Load model and tokeniser, as :class:`TextEncoder` does."""
        return TextEncoder(self.name, self.extent).encode

    def seeded_by(self) -> tuple[str, ...]:
        """Return the packages that decide the weights of ``random``."""
        return DECIDE_SEEDED_WEIGHTS if self.name == RANDOM else ()

    def weights_digest(self) -> str:
        """Return the sha256 of the weights of ``random``: it builds the model."""
        from ..frozen_torch import digest_weights
        from .model import random_model

        return digest_weights(random_model(SEED, _positions_of_random(self.extent)))


def _positions_of_random(extent: Extent) -> int:
    return min(max(extent.tokens, MAX_TOKENS), WINDOW_TOKENS)


class TextEncoder:
    """A frozen text encoder on the default device; several threads may use it.

    Parameters
    ----------
    encoder : str
        ``random``, a folder with config, tokeniser and safetensors weights, or an id of the Hugging Face hub.
    extent : Extent
        How much of a text is encoded.

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

    def __init__(self, encoder: str, extent: Extent = Extent()) -> None:  # noqa: B008  (it is frozen)
        from ..batch_limit import BatchLimit
        from ..frozen_torch import default_device, fast_precision, is_accelerator
        from .model import masks_padding, padding, pretrained_model, pretrained_tokenizer, random_model, token_positions
        from .tokens import HASHED_WORDS

        if encoder == RANDOM:
            self._tokenizer = HASHED_WORDS
            model = random_model(SEED, _positions_of_random(extent))
        else:
            folder = encoder_folder(encoder)
            model = pretrained_model(folder)
            self._tokenizer = pretrained_tokenizer(folder, model)
        self._encoder, self._extent = encoder, extent
        self._positions = token_positions(model)
        self._check_positions()
        self._device = default_device()
        self._limit = BatchLimit(BATCH_TOKENS, "tokens", self._device)
        self._batches = batches_of_one_length
        self._padding = padding(model)
        if is_accelerator(self._device):
            short, long = (of_text[0] for of_text in self._tokenizer.windows(PROBE, self._positions or MAX_TOKENS))
            self._batches = partial(batches_by_tokens, self._limit, padded=masks_padding(model.eval(), short, long))
        dtype = fast_precision(self._device)
        self._model = model.eval().requires_grad_(False).to(self._device, dtype)
        self.dim: int = model.config.hidden_size
        self.precision = str(dtype).removeprefix("torch.")

    def _check_positions(self) -> None:
        around = len(self._tokenizer.before) + len(self._tokenizer.after)
        if self._positions is not None and self._positions <= around:
            raise InputError(
                f"The text encoder {self._encoder!r} has positions for {self._positions} tokens, and {around} special "
                "ones stand around every text. Choose another with --text-encoder."
            )

    def encode(self, texts: Iterable[str]) -> list[npt.NDArray[np.float16]]:
        """Return for each text the vectors of its tokens ``[tokens, dim]``, those of the special tokens included.

        Of a text at most 150 tokens are encoded, or the model's positions if it has fewer; of a windowed one its
        first 1,748 characters instead, in windows of at most 512 tokens (or the model's positions) with special tokens
        each; the rows are the tokens of all windows in order.

        On a CPU a batch holds windows of one number of tokens, so nothing is padded; on an accelerator it holds as many
        tokens as the device takes, of texts that are nearly as long as each other. Equal lists give equal bytes on
        equal devices; another list gives a text the same vectors within the tolerance, because matrix products round
        by their shapes.

        Raises
        ------
        InputError
            If the encoder gives values that are not finite, or not one vector for every token.
        """
        return self._extent.encode(texts, self._tokenizer, self._positions, self._encode_windows)

    def _encode_windows(self, windows: list[list[int]]) -> list[npt.NDArray[np.float16]]:
        rows: list[npt.NDArray[np.float16]] = [np.empty((0, self.dim), np.float16)] * len(windows)
        for batch in self._batches([len(ids) for ids in windows]):
            tokens = [windows[window] for window in batch]
            encoded = self._limit.results(self._forward, tokens, len(tokens) * max(map(len, tokens)))
            for window, matrix in zip(batch, chain.from_iterable(encoded), strict=True):
                rows[window] = matrix
        return rows

    def _forward(self, windows: Sequence[list[int]]) -> list[npt.NDArray[np.float16]]:
        """Return the vectors ``[T, D]`` of each window; shorter ones are padded, and the padding is masked."""
        import torch

        from ..frozen_torch import to_device, to_float16

        lengths = np.array([len(ids) for ids in windows])
        tokens = np.full((len(windows), lengths.max()), self._padding)  # [B, T]
        there = np.arange(lengths.max()) < lengths[:, None]
        tokens[there] = np.concatenate(windows)
        mask = {} if there.all() else {"attention_mask": to_device(there.astype(np.int64), self._device)}
        with torch.inference_mode():
            vectors = self._model(input_ids=to_device(tokens, self._device), **mask).last_hidden_state  # [B, T, D]
            if vectors.shape[:2] != tokens.shape:
                raise InputError(
                    f"The text encoder {self._encoder!r} gives {vectors.shape[1]} vectors for {tokens.shape[1]} "
                    "tokens; only encoders with one vector for every token can be used."
                )
            matrices = to_float16(vectors, self._encoder)
        return [matrix[:length] for matrix, length in zip(matrices, lengths, strict=True)]
