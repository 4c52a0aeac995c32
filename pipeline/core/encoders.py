"""Which frozen encoders an extraction uses: for texts and for images one without a name, and any number with one."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version

from ...cache_schema import InputError, Recipe, Task
from ..image.encoder import image_recipe
from ..image.encoder import weights_digest as image_weights_digest
from ..image.library import PACKAGES
from ..source import FirstHours, ItemModality, Records
from ..text.encoder import text_recipe
from ..text.encoder import weights_digest as text_weights_digest
from .memo import DigestMemo

DEFAULT_TEXT = "bert-base-uncased"
DEFAULT_IMAGE = "resnet34"
WINDOWED = "windowed text"
"""A kind of content beside ``text`` and ``image``: the same encoder has another recipe for it."""

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
DECIDE_RANDOM_WEIGHTS = ("numpy", "torch", "torchvision", "transformers")


@dataclass(frozen=True)
class Encoders:
    """The frozen encoders of texts and of images: what one is called (see README), or several by a name of their own.

    One with the name ``""`` encodes the modality ``cxr`` into ``cxr``, one with the name ``vit`` into ``cxr.vit``.
    """

    text: str | Mapping[str, str] = DEFAULT_TEXT
    image: str | Mapping[str, str] = DEFAULT_IMAGE

    def __post_init__(self) -> None:
        for name in (*self.of("text"), *self.of("image")):
            if name and not NAME.fullmatch(name):
                raise InputError(f"An encoder cannot be called {name!r}; use letters, digits, - and _.")

    @classmethod
    def parse(cls, text: Sequence[str], image: Sequence[str], default_text: str = DEFAULT_TEXT) -> "Encoders":
        """Return what the options of the command line say, each encoder as ``ID`` or as ``NAME=ID``.

        The one without a name is the default unless it is given.

        Raises
        ------
        InputError
            If two have the same name, or none.
        """
        return cls(_named("--text-encoder", text, default_text), _named("--image-encoder", image, DEFAULT_IMAGE))

    def of(self, kind: str) -> Mapping[str, str]:
        """Return the encoders of a kind of content by name."""
        encoders = self.image if kind == "image" else self.text
        return {"": encoders} if isinstance(encoders, str) else encoders

    def recipes(self, kinds: Iterable[str], memo: DigestMemo) -> dict[str, Recipe]:
        """Return how every encoder of these kinds of content makes rows, by :func:`joined` kind and name.

        Raises
        ------
        InputError
            If encoders cannot be loaded: all of them are named, so that whoever has to fetch weights knows at once.
        """
        recipes: dict[str, Recipe] = {}
        problems: dict[str, InputError] = {}  # by message: a model may serve two kinds of content
        for kind in sorted(kinds):
            for name, encoder in self.of(kind).items():
                try:
                    recipes[joined(kind, name)] = _recipe(kind, encoder, memo)
                except InputError as error:
                    problems[str(error)] = error
        if len(problems) > 1:
            raise InputError("\n".join(problems))
        for only in problems.values():
            raise only
        return recipes


def _named(option: str, values: Sequence[str], default: str) -> dict[str, str]:
    encoders: dict[str, str] = {}
    for value in values:
        name, equals, encoder = value.partition("=")
        if not equals or not NAME.fullmatch(name):
            name, encoder = "", value
        if name in encoders or not encoder:
            raise InputError(f"{option} {value!r}: give one encoder without a name, and any others as NAME=ID.")
        encoders[name] = encoder
    return {"": default, **encoders}


def joined(base: str, name: str) -> str:
    """Return the name of what an encoder makes of ``base``: ``cxr`` and ``vit`` give ``cxr.vit``."""
    return f"{base}.{name}" if name else base


def kind_of(modality: ItemModality) -> str:
    """Return the kind of a modality's content, ``text``, ``windowed text`` or ``image``."""
    return WINDOWED if modality.windowed else modality.content


def tasks_of_every_encoder(records: Records, encoders: Encoders, first_hours: FirstHours) -> tuple[Task, ...]:
    """Label the samples; what a task selects of a modality holds for what each encoder makes of it."""
    names = {
        modality.name: [joined(modality.name, name) for name in encoders.of(kind_of(modality))]
        for modality in records.items
    }
    return tuple(
        replace(task, select={name: rule for base, rule in task.select.items() for name in names.get(base, [base])})
        for task in records.tasks(first_hours)
    )


def _recipe(kind: str, encoder: str, memo: DigestMemo) -> Recipe:
    """Return the recipe of an encoder, the digest of its weights included."""
    image = kind == "image"
    recipe = image_recipe(encoder) if image else text_recipe(encoder, windowed=kind == WINDOWED)
    if "seed" in recipe:  # weights without a file: building them takes seconds, so their digest is remembered
        library = PACKAGES.get(encoder.partition(":")[0], "torch")
        packages = dict.fromkeys((*DECIDE_RANDOM_WEIGHTS, library))
        versions = ", ".join(f"{package} {version(package)}" for package in packages)
        name = f"{encoder} {'image' if image else 'text'} encoder"
        weigh = image_weights_digest if image else text_weights_digest
        recipe["weights_sha256"] = memo.value(name, versions, lambda: weigh(encoder))
    return recipe
