"""Frozen text models, pretrained or with seeded weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, PreTrainedModel
from transformers.utils import logging

from ...cache_schema import InputError
from ..frozen import seed_weights
from .tokens import BUCKETS

Tokenizer = Callable[[list[str]], list[list[int]]]

UNUSED = "pooler."
"""Weights that many checkpoints lack; the last hidden state does not pass through them."""


def pretrained_model(folder: Path) -> PreTrainedModel:
    """Return the model of a folder, in float32.

    Raises
    ------
    InputError
        If the files cannot be read as a model, or leave some of its weights undefined.
    """
    logging.disable_progress_bar()  # it counts the tensors of one file, for a few milliseconds
    try:
        loaded: tuple[PreTrainedModel, dict[str, Any]] = AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(f"The text encoder in {folder} cannot be loaded: {error}") from error
    model, loading = loaded
    absent = sorted(name for name in loading["missing_keys"] if not name.startswith(UNUSED))
    if absent:
        raise InputError(f"The weights in {folder} lack {len(absent)} tensors of the model, the first {absent[0]}.")
    return model


def pretrained_tokenizer(folder: Path, max_tokens: int) -> Tokenizer:
    """Return a function from texts to token ids with the special tokens, cut to ``max_tokens``."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"The tokenizer in {folder} cannot be loaded: {error}") from error
    return lambda texts: tokenizer(texts, truncation=True, max_length=max_tokens)["input_ids"]


def random_model(seed: int, max_tokens: int) -> PreTrainedModel:
    """Return a BERT of 2 layers, hidden 768, with seeded weights."""
    config = BertConfig(
        vocab_size=BUCKETS,
        hidden_size=768,
        num_hidden_layers=2,
        num_attention_heads=12,
        intermediate_size=3072,
        max_position_embeddings=max_tokens,
        type_vocab_size=1,
    )
    model: PreTrainedModel = BertModel(config, add_pooling_layer=False)
    seed_weights(model, seed)
    return model
