"""Encoders that are not trained: what a family of them offers, and finding one by the name that a user gave it.

Adding an encoder, or a kind of content that OmniFuse has none for, is adding a class and naming it: see
``docs/add-an-encoder.md``.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ..cache_schema import InputError, MissingInputError, OmniFuseError, Recipe, shown, unknown
from ..registry import Registry
from .source import UnreadableItem

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
WINDOWED = "windowed "
"""Stands before a kind of content whose items are encoded in several windows: that has a recipe of its own."""

DECIDE_SEEDED_WEIGHTS = ("numpy", "torch", "torchvision", "transformers")
"""Packages whose versions decide what weights a seed gives."""

Rows = npt.NDArray[np.floating[Any]]
Encode = Callable[[Iterable[Any]], Iterable[Rows | UnreadableItem]]
"""Gives the rows ``[rows, D]`` of every item, in order, or why one has none.

The items come one by one as they are asked for: whoever can encode several together takes them all, and where one is
large takes it alone."""


@dataclass(frozen=True)
class FrozenEncoder(ABC):
    """How items of one kind of content become rows, without being trained.

    A subclass is a family of encoders, an instance one of them. It holds names and no weights: instances are compared
    by their fields and sent to other processes.

    Attributes
    ----------
    model : str
        Which encoder of the family, as a user names it.
    windowed : bool
        Whether an item that is too long is encoded in several windows instead of cut.
    """

    model: str
    windowed: bool = False

    content: ClassVar[str]
    """The kind of content that the family reads, such as ``image``; a data set calls its items so."""
    default: ClassVar[str] = ""
    """The model that is meant where none is named."""
    windows: ClassVar[bool] = False
    """Whether there are windows."""
    on_devices: ClassVar[bool] = False
    """Whether it computes on the default device of ``frozen_torch`` and serves several threads at once: then it is
    loaded onto every device that is named, and a GPU works on several parts at a time."""

    @abstractmethod
    def recipe(self) -> Recipe:
        """Return what decides the rows as JSON values: model, sha256 of its weights, preprocessing, a version.

        Of an encoder that has no weights ``weights_sha256`` is None.

        Weights are found or fetched here, and not loaded, before anything is encoded.

        Raises
        ------
        InputError
            If there is no such model, or its weights are missing; the message says how to get them.
        """

    @abstractmethod
    def read(self, path: Path) -> Any:
        """Return what is encoded of a file, in another process; raises :class:`UnreadableItem` with the reason."""

    @abstractmethod
    def load(self) -> Encode:
        """Load the model; raises :class:`InputError` if it cannot be.

        Equal items in equal order must give equal bytes. Rows are stored as float16.
        """

    def seeded_by(self) -> tuple[str, ...]:
        """Return the packages whose versions decide weights that come from a seed; none where they lie in files."""
        return ()

    def weights_digest(self) -> str:
        """Return the sha256 of weights that come from a seed; seconds, and remembered."""
        raise NotImplementedError


def _flaw(family: type[FrozenEncoder]) -> str | None:
    if not (isinstance(family, type) and issubclass(family, FrozenEncoder)):
        return "it is no subclass of FrozenEncoder"
    if lacking := sorted(family.__abstractmethods__):
        return f"it lacks {', '.join(lacking)}"
    if not NAME.fullmatch(content := str(getattr(family, "content", ""))):
        return f"its content {content!r} is no word of letters, digits, - and _"
    return None


FROZEN_ENCODERS: Registry[type[FrozenEncoder]] = Registry(
    "omnifuse.frozen_encoders",
    "frozen encoder",
    {
        "text": "pipeline.text.encoder:Transformers",
        "image": "pipeline.image.torchvision_models:ResNet34",
        "ecg": "pipeline.waveform.encoder:Electrocardiograms",
        "torchvision": "pipeline.image.torchvision_models:Torchvision",
        "timm": "pipeline.image.timm_models:Timm",
        "hf": "pipeline.image.transformers_models:TransformersVision",
        "onnx": "pipeline.image.onnx_models:Onnx",
        "xrv": "pipeline.image.xrv_models:TorchXRayVision",
        "text.onnx": "pipeline.text.onnx_models:OnnxTexts",
        "ecg.onnx": "pipeline.waveform.encoder:Electrocardiograms",
    },
    _flaw,
)
"""Families by name; one that has the name of a kind of content is that content's own. Where several kinds have a family
of one name, the kind stands before it: ``onnx:FILE`` is ``text.onnx`` of a text."""


def content_of(kind: str) -> str:
    """Return the kind of content without how it is cut: ``windowed text`` is ``text``."""
    return kind.removeprefix(WINDOWED)


def family_of(kind: str, encoder: str) -> tuple[str, str]:
    """Return name of the family and model that ``FAMILY:MODEL``, ``FAMILY`` or ``MODEL`` means for a kind of content.

    Our own families are named with a colon: without one the name is that of a model, or of a folder.

    Raises
    ------
    InputError
        If there is no such family; the message names the nearest.
    """
    content = content_of(kind)
    family, colon, model = encoder.partition(":")
    if colon and f"{content}.{family}" in FROZEN_ENCODERS:
        return f"{content}.{family}", model
    if family in FROZEN_ENCODERS and (colon or family not in FROZEN_ENCODERS.own):
        return family, model
    if colon and NAME.fullmatch(family) and not Path(encoder).exists():
        raise unknown(FROZEN_ENCODERS.what, family, FROZEN_ENCODERS.names())
    if content not in FROZEN_ENCODERS:
        if encoder:
            raise unknown(FROZEN_ENCODERS.what, encoder, FROZEN_ENCODERS.names())
        raise InputError(
            f"No frozen encoder is called {content!r} as the content is. Install a package that brings one, or name "
            f"another with --encoder {content}=NAME. Known are: {', '.join(FROZEN_ENCODERS.names())}."
        )
    return content, encoder


def frozen_encoder(kind: str, encoder: str) -> FrozenEncoder:
    """Return an encoder by its name for a kind of content, which may be :data:`WINDOWED`.

    Raises
    ------
    InputError
        If there is none, or it is for another kind of content.
    """
    name, model = family_of(kind, encoder)
    family, content = FROZEN_ENCODERS.get(name), content_of(kind)
    if family.content != content:
        raise InputError(f"The frozen encoder {shown(encoder or name)} reads {family.content}, not {content}.")
    if kind != content and not family.windows:
        raise InputError(f"The frozen encoder {shown(encoder or name)} cannot encode in windows, as {kind} needs.")
    with blamed(family):
        return family(model or family.default, kind != content)


@contextmanager
def blamed(family: type[FrozenEncoder]) -> Iterator[None]:
    """Make whatever the code of another package raises an :class:`InputError` that names it; ours goes through."""
    try:
        yield
    except OmniFuseError:
        raise
    except Exception as error:
        if family.__module__.startswith(f"{__package__}."):
            raise
        said = " ".join(str(error).split())
        raise InputError(
            f"The frozen encoder {family.__module__}.{family.__qualname__} failed: {type(error).__name__}: {said}"
        ) from error


@contextmanager
def hinted(encoder: str) -> Iterator[None]:
    """Say of a name that is a model nobody finds which family of another package has nearly that name."""
    try:
        yield
    except MissingInputError as error:
        names = [name for name in FROZEN_ENCODERS.names() if name not in FROZEN_ENCODERS.own]
        if near := get_close_matches(encoder, names, 1):
            raise MissingInputError(f"Did you mean the frozen encoder {shown(near[0])}? {error}") from error
        raise
