"""Frozen text models, pretrained or with seeded weights."""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from transformers import MODEL_FOR_MASKED_LM_MAPPING as FILL_IN_WORDS
from transformers import AutoConfig, AutoModel, AutoTokenizer, BertConfig, BertModel, PreTrainedModel
from transformers.utils import logging

from ...cache_schema import InputError
from ..frozen_torch import check_weights, seed_weights
from ..hub import cut
from .tokens import BUCKETS, Tokenizer

UNUSED = "pooler."
"""Weights that many checkpoints lack; the last hidden state does not pass through them."""

SAME = 2**-10
"""Two vectors are the same if they differ by less of their length: the precision of float16."""

POSITIONS = "position_embeddings"
"""End of the name of the table of positions in every model that has one."""


def pretrained_model(folder: Path) -> PreTrainedModel:
    """Return the model of a folder, in float32.

    Raises
    ------
    InputError
        If the files cannot be read as a model, leave some of its weights undefined or not finite, or are no encoder's.
    """
    logging.disable_progress_bar()  # it counts the tensors of one file, for a few milliseconds
    config = _encoder_config(folder)
    try:
        loaded: tuple[PreTrainedModel, dict[str, Any]] = AutoModel.from_pretrained(
            folder,
            config=config,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except Exception as error:  # what damaged files make the readers raise has no common class
        raise InputError(f"The text encoder in {folder} cannot be loaded: {cut(error)}") from error
    model, loading = loaded
    absent = sorted(name for name in loading["missing_keys"] if not name.startswith(UNUSED))
    if absent:
        raise InputError(f"The weights in {folder} lack {len(absent)} tensors of the model, the first {absent[0]}.")
    check_weights(model, folder)
    return model


def _encoder_config(folder: Path) -> Any:
    """Return the configuration of an encoder; a decoder's tokens see only what stands before them, so it is refused."""
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # as above
        raise InputError(
            f"The text encoder in {folder} cannot be loaded: config.json names no kind of model that transformers has "
            "itself, or is damaged; and code that comes with a model is never run. Choose another with --text-encoder."
        ) from error
    if type(config) not in FILL_IN_WORDS or config.is_encoder_decoder or getattr(config, "is_decoder", False):
        raise InputError(
            f"The model in {folder} ({config.model_type}) is not a text encoder: only models that learnt to fill in "
            "words from both sides, such as BERT or RoBERTa, can be used. Choose another with --text-encoder."
        )
    return config


def token_positions(model: PreTrainedModel) -> int | None:
    """Return how many tokens a model has positions for, or None if it has no limit.

    RoBERTa and its kin number positions from the one after that of padding, so the first ones are never used.
    """
    positions = getattr(model.config, "max_position_embeddings", None) or 0
    paddings = (
        getattr(module, "padding_idx", None) for name, module in model.named_modules() if name.endswith(POSITIONS)
    )
    unused = max((padding + 1 for padding in paddings if padding is not None), default=0)
    return positions - unused if positions > 0 else None


def padding(model: PreTrainedModel) -> int:
    """Return the token that fills a batch up behind short texts."""
    return getattr(model.config, "pad_token_id", None) or 0


def masks_padding(model: PreTrainedModel, short: list[int], long: list[int]) -> bool:
    """Return whether a text has the same rows beside a longer one, as where attention alone mixes tokens.

    Convolutions and Fourier transforms over tokens see the padding, whatever the mask says. The model is in float32, so
    that rounding is no reason.
    """
    filled = [*short, *[padding(model)] * (len(long) - len(short))]
    mask = [[place < len(short) for place in range(len(long))], [True] * len(long)]
    with torch.inference_mode():
        alone = model(input_ids=torch.tensor([short])).last_hidden_state[0]  # [T, D]
        try:
            both = model(input_ids=torch.tensor([filled, long]), attention_mask=torch.tensor(mask).long())
        except TypeError:  # it takes no mask
            return False
    beside = both.last_hidden_state[0, : len(short)]
    return bool(((beside - alone).norm(dim=1) < SAME * alone.norm(dim=1)).all())


def pretrained_tokenizer(folder: Path, model: PreTrainedModel) -> Tokenizer:
    """Return the tokeniser of a folder, with the special tokens that it puts around a text.

    Raises
    ------
    InputError
        If it cannot be loaded, or has more tokens than the ``model`` that it is for.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        one = tokenizer("a", return_special_tokens_mask=True)
        ids, special = one["input_ids"], one["special_tokens_mask"]
        first, after_last = special.index(0), len(special) - special[::-1].index(0)
        tokens = 1 + max(tokenizer.get_vocab().values())
    except Exception as error:  # as above
        raise InputError(f"The tokenizer in {folder} cannot be loaded: {cut(error)}") from error
    if tokens > (known := model.get_input_embeddings().num_embeddings):
        raise InputError(
            f"The tokenizer in {folder} has {tokens} tokens and the model {known}: they do not belong together. Get "
            "both again from one place, or choose another with --text-encoder."
        )

    one_at_a_time = Lock()  # a tokenizer is no good in two threads: it sets padding and truncation on itself

    def split(texts: Sequence[str]) -> list[list[int]]:
        with one_at_a_time:
            return tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"] if texts else []

    return Tokenizer(split, ids[:first], ids[after_last:])


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
