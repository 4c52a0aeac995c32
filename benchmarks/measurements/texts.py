"""Reports through a text encoder of the shape of bert-base."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from .encoding import Extracting, blocks_of, compare, encoded_by
from .measure import Child, Measured, Versions, call, in_turns, ratios, summary, without_start
from .row import Family, Figure, Found, Row, Setting

REPORTS, QUICK_REPORTS = 1000, 96
MAX_TOKENS, SPECIAL = 150, 2
MEAN_TOKENS, DEVIATION = 75, 0.4
"""Mean tokens of a report, special ones included; standard deviation of their logarithm."""

REPEATED = 0.3
WORDS = 30_000
BATCH = 32
LAYERS, WIDTH = 12, 768
ENCODER = "bert-base-shape"
SAME = 0.999
"""Least cosine of two vectors that count as the same."""

SYLLABLES = [consonant + vowel for consonant in "bcdfghjklmnprstvwz" for vowel in "aeiou"]

ROWS = {
    "texts-float32": Row(
        "1,000 reports, bert-base shape, float32",
        "transformers, float32, padded to 150 tokens, batches of 32",
        {
            "clock": Figure("times faster", at_least=2.5),
            "cpu": Figure("times less CPU"),
            "peak": Figure("of the matrix product's peak", "share", at_least=0.6),
            "cosine": Figure("least cosine of a token's vector to the plain one", "number", at_least=SAME),
        },
        "Half of the padded tokens are no tokens: without them the same arithmetic takes half the time, and no more "
        "than that can be won in float32 but by matrix products nearer to the peak.",
    ),
    "texts-bfloat16": Row(
        "the same in bfloat16, as this processor multiplies it",
        "the same, float32",
        {
            "clock": Figure("times faster", at_least=4),
            "cpu": Figure("times less CPU"),
            "peak": Figure("of the matrix product's peak", "share", at_least=0.6),
            "cosine": Figure("least cosine of a token's vector to the plain one", "number", at_least=SAME),
        },
        "Softmax, GELU and layer norms gain nothing from bfloat16 and weigh more beside quicker matrix products; small "
        "batches stay further below the peak than in float32.",
    ),
    "texts-repeated": Row(
        "the same, 30 % of the reports repeat another",
        "ours without repeated reports",
        {"clock": Figure("times faster than without repeats", at_least=1.4)},
        "A text that stands there again costs nothing, so 30 % are worth 1 / 0.7 = 1.43 at most, less what smaller "
        "batches lose.",
    ),
}


def write_encoder(folder: str) -> None:
    """Write a BERT of the shape of bert-base with weights from a seed and a vocabulary of made-up words."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer
    from transformers.utils import logging

    if (Path(folder) / "done").exists():
        return
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    torch.manual_seed(0)
    BertModel(BertConfig()).save_pretrained(folder)
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    vocabulary = {token: number for number, token in enumerate((*special, *words()))}
    BertTokenizer(vocabulary).save_pretrained(folder)
    (Path(folder) / "done").touch()


def words() -> list[str]:
    """Return made-up words, each one token."""
    rng = random.Random(0)
    found: dict[str, None] = {}
    while len(found) < WORDS:
        found["".join(rng.choices(SYLLABLES, k=rng.randint(2, 4)))] = None
    return list(found)


def reports(count: int, seed: int = 0) -> list[str]:
    """Return different reports whose numbers of tokens are lognormal, at most 150 with the special ones."""
    from math import exp, log

    rng, vocabulary = random.Random(seed), words()
    middle = log(MEAN_TOKENS) - DEVIATION**2 / 2
    lengths = [min(MAX_TOKENS, round(exp(rng.gauss(middle, DEVIATION)))) - SPECIAL for _ in range(count)]
    return [" ".join(rng.choices(vocabulary, k=max(3, length))) for length in lengths]


def repeating(texts: Sequence[str]) -> list[str]:
    """Return as many texts, of which 30 % are one of the others."""
    kept = len(texts) - round(REPEATED * len(texts))
    return [*texts[:kept], *texts[: len(texts) - kept]]


def operations(texts: Sequence[str]) -> float:
    """Return the floating-point operations of the products for tokens that are there, special ones included."""
    lengths = [len(text.split()) + SPECIAL for text in texts]
    return sum(LAYERS * length * (24 * WIDTH**2 + 4 * length * WIDTH) for length in lengths)


class Plain:
    """The loop of most papers."""

    def __init__(self, encoder: str, device: str = "cpu") -> None:
        import torch
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        self._torch, self._device = torch, device
        self._tokenizer = AutoTokenizer.from_pretrained(encoder)
        self._model = AutoModel.from_pretrained(encoder).eval().to(device)

    def encode(self, items: list[str]) -> None:
        """Encode texts and drop the vectors."""
        for start in range(0, len(items), BATCH):
            self._vectors(items[start : start + BATCH])

    def store_vectors(self, path: str, items: list[str]) -> None:
        """Write the vectors of the tokens that are there."""
        import numpy as np

        vectors, mask = self._vectors(items)
        np.save(path, np.concatenate([rows[shown] for rows, shown in zip(vectors, mask, strict=True)]))

    def _vectors(self, texts: list[str]) -> tuple[Any, Any]:
        """Return vectors [B, 150, 768] and which tokens are there [B, 150]."""
        padded = self._tokenizer(
            texts, padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
        ).to(self._device)
        with self._torch.inference_mode():
            vectors = self._model(**padded).last_hidden_state
        return vectors.cpu().numpy(), padded["attention_mask"].cpu().numpy().astype(bool)


def ours(setting: Setting, precision: str, gpu: bool = False) -> Child:
    """Return a process in which texts are extracted."""
    return Child(
        "measurements.texts:Extracting", gpu=gpu, folder=str(setting.folder / f"texts-{precision or 'own'}"),
        column="text:note", precision=precision, encoder={"text_encoder": str(setting.folder / ENCODER)},
    )  # fmt: skip


def measure(setting: Setting) -> Mapping[str, Found]:
    """Measure all rows: a block of reports goes through every version before the next does."""
    encoder = str(setting.folder / ENCODER)
    call("measurements.texts:write_encoder", folder=encoder)
    blocks = blocks_of(reports(QUICK_REPORTS if setting.quick else REPORTS), setting.turns)
    few = reports(2, seed=1)
    with (
        Child("measurements.texts:Plain", encoder=encoder) as plain,
        ours(setting, "float32") as single,
        ours(setting, "") as own,
        Child("measurements.machine:Matmul", precision="float32") as single_peak,
    ):
        chosen = str(own.ask("chosen_precision").value)
        with Child("measurements.machine:Matmul", precision=chosen) as own_peak:
            single_encode, own_encode = encoded_by(single.ask), encoded_by(own.ask)
            versions: Versions[Any] = {
                "plain": lambda texts: plain.ask("encode", items=texts),
                "float32": single_encode,
                "float32 start": lambda _: single_encode(few),
                "float32 peak": lambda _: single_peak.ask("rate"),
                "own": own_encode,
                "own start": lambda _: own_encode(few),
                "own peak": lambda _: own_peak.ask("rate"),
                "repeated": lambda texts: own_encode(repeating(texts)),
            }
            for name in ("plain", "float32 start", "own start"):  # imports
                versions[name](few)
            taken = in_turns(blocks, versions)
            cosines = [compare(setting.folder, plain, side, blocks[0]) for side in (single, own)]
    taken["repeated"] = without_start(taken["repeated"], taken["own start"])
    unrepeated = without_start(taken["own"], taken["own start"])
    found = {
        "texts-float32": _found(taken, "float32", blocks, cosines[0]),
        "texts-bfloat16": _found(taken, "own", blocks, cosines[1]),
        "texts-repeated": Found(
            {"clock": ratios(unrepeated, taken["repeated"])},
            summary(taken["repeated"], taken["own start"]),
            summary(unrepeated, taken["own start"]),
            f"{len(blocks)} blocks of {len(blocks[0])} reports, in {chosen}.",
        ),
    }
    if chosen != "bfloat16":
        found["texts-bfloat16"] = Found(missing="This processor does not multiply bfloat16.")
    return found


def _found(
    taken: Mapping[str, Sequence[Measured]], version: str, blocks: Sequence[Sequence[str]], cosine: float
) -> Found:
    start = taken[f"{version} start"]
    net = without_start(taken[version], start)
    rates = [operations(block) / one.seconds for block, one in zip(blocks, net, strict=True)]
    peaks = [float(one.value) for one in taken[f"{version} peak"]]
    tokens = mean(len(text.split()) + SPECIAL for block in blocks for text in block)
    return Found(
        {
            "clock": ratios(taken["plain"], net),
            "cpu": ratios(taken["plain"], net, "cpu_seconds"),
            "peak": [rate / peak for rate, peak in zip(rates, peaks, strict=True)],
            "cosine": [cosine],
        },
        {**summary(net, start), "items": len(blocks[0])},
        {**summary(taken["plain"]), "items": len(blocks[0])},
        f"{len(blocks)} blocks of {len(blocks[0])} reports, {tokens:.0f} tokens in the mean; "
        f"peak {median(peaks) / 1e9:,.0f} GFLOP/s.",
    )


FAMILY = Family("texts", ROWS, measure)

__all__ = ["FAMILY", "ROWS", "Extracting", "Plain", "write_encoder"]
