"""What all frozen encoders of texts share: how they are named, what they read, and how much of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ...cache_schema import InputError
from ..frozen_encoders import FrozenEncoder
from ..source import UnreadableItem, unreadable
from .tokens import MAX_CHARACTERS, MAX_TOKENS, WINDOW_TOKENS, Extent

WITH_TOKENS = re.compile(r"(?P<name>.+)@(?P<tokens>\d{1,6})")
FEWEST_TOKENS = 8
"""Special tokens are among them."""


@dataclass(frozen=True)
class TextModels(FrozenEncoder):
    """Encoders that give a vector for each token: a model is ``NAME``, or ``NAME@TOKENS`` for another length."""

    content = "text"
    windows = True

    @cached_property
    def _said(self) -> Sequence[str]:
        """The name, and the number of tokens or nothing; a file or folder may have an @ in its own name."""
        found = None if Path(self.model).expanduser().exists() else WITH_TOKENS.fullmatch(self.model)
        return (found["name"], found["tokens"]) if found else (self.model, "")

    @property
    def name(self) -> str:
        """The model without the number of tokens."""
        return self._said[0]

    @cached_property
    def extent(self) -> Extent:
        """How much of a text is encoded; raises :class:`InputError` for a number that it cannot be."""
        tokens = int(self._said[1] or MAX_TOKENS)
        if tokens < FEWEST_TOKENS or (self._said[1] and self.windowed):
            why = f"at least {FEWEST_TOKENS}" if tokens < FEWEST_TOKENS else "no number: these are encoded in windows"
            raise InputError(f"The text encoder {self.model!r} is to read {tokens} tokens of a text; give {why}.")
        return Extent(tokens, self.windowed)

    def described_extent(self) -> dict[str, Any]:
        """Return how much of a text is encoded, for a recipe."""
        if self.extent.windowed:
            return {"max_characters": MAX_CHARACTERS, "window_tokens": WINDOW_TOKENS}
        longer = {"windows": "equal ones, where the model has fewer positions"}
        return {"max_tokens": self.extent.tokens, **(longer if self.extent.tokens > MAX_TOKENS else {})}

    def read(self, path: Path) -> str:
        """Return the text of a UTF-8 file, without white space around it; raises as :class:`FrozenEncoder`."""
        with unreadable("not a text in UTF-8"):
            text = path.read_text(encoding="utf-8").strip()
        if not text:
            raise UnreadableItem("empty text")
        return text
