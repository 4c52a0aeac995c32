"""Which frozen encoders an extraction uses: for each kind of content one without a name, and any number with one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version

from ...cache_schema import InputError, Recipe, Task
from ..frozen_encoders import FROZEN_ENCODERS, NAME, WINDOWED, blamed, content_of, family_of, frozen_encoder
from ..source import FirstHours, ItemModality, Records
from .memo import DigestMemo

DEFAULT_TEXT = "bert-base-uncased"
DEFAULT_IMAGE = "resnet34"


@dataclass(frozen=True)
class Encoders:
    """The frozen encoders of each kind of content: what one is called (see README), or several by a name of their own.

    One with the name ``""`` encodes the modality ``cxr`` into ``cxr``, one with the name ``vit`` into ``cxr.vit``.
    ``others`` are those of kinds that are neither text nor image; a kind that is not in it has the encoder of its own.
    """

    text: str | Mapping[str, str] = DEFAULT_TEXT
    image: str | Mapping[str, str] = DEFAULT_IMAGE
    others: Mapping[str, str | Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (name for content in self.contents for name in self.of(content)):
            if name and not NAME.fullmatch(name):
                raise InputError(f"An encoder cannot be called {name!r}; use letters, digits, - and _.")

    @classmethod
    def parse(
        cls,
        text: Sequence[str],
        image: Sequence[str],
        default_text: str = DEFAULT_TEXT,
        others: Sequence[str] = (),
    ) -> "Encoders":
        """Return what the options of the command line say, each encoder as ``ID`` or as ``NAME=ID``.

        The one without a name is the default unless it is given. ``others`` say of which kind of content they are, as
        ``CONTENT=ID`` or ``CONTENT.NAME=ID``.

        Raises
        ------
        InputError
            If two have the same name, or none.
        """
        return cls(
            _named("--text-encoder", text, default_text),
            _named("--image-encoder", image, DEFAULT_IMAGE),
            _by_content(others),
        )

    @property
    def contents(self) -> tuple[str, ...]:
        """The kinds of content for which encoders are named."""
        return "text", "image", *self.others

    def of(self, kind: str) -> Mapping[str, str]:
        """Return the encoders of a kind of content by name."""
        content = content_of(kind)
        encoders = {"text": self.text, "image": self.image, **self.others}.get(content, "")
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


def _by_content(values: Sequence[str]) -> dict[str, dict[str, str]]:
    encoders: dict[str, dict[str, str]] = {}
    for value in values:
        kind, _, encoder = value.partition("=")
        content, point, name = kind.partition(".")
        if content in ("text", "image"):
            raise InputError(f"--encoder {value!r}: encoders of {content} are named with --{content}-encoder.")
        wrong = not (encoder and NAME.fullmatch(content)) or (point and not NAME.fullmatch(name))
        if wrong or name in encoders.get(content, {}):
            raise InputError(f"--encoder {value!r}: give each once, as CONTENT=ID or as CONTENT.NAME=ID.")
        encoders.setdefault(content, {})[name] = encoder
    return {content: {"": "", **named} for content, named in encoders.items()}


def joined(base: str, name: str) -> str:
    """Return the name of what an encoder makes of ``base``: ``cxr`` and ``vit`` give ``cxr.vit``."""
    return f"{base}.{name}" if name else base


def kind_of(modality: ItemModality) -> str:
    """Return the kind of a modality's content, such as ``image``, ``text`` or ``windowed text``."""
    return f"{WINDOWED}{modality.content}" if modality.windowed else modality.content


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


def _recipe(kind: str, name: str, memo: DigestMemo) -> Recipe:
    """Return the recipe of an encoder, the digest of its weights included, and the package that it comes from.

    The version of that package decides values as our own code does, which has versions in its recipes.
    """
    encoder = frozen_encoder(kind, name)
    package = FROZEN_ENCODERS.package(family_of(kind, name)[0])
    with blamed(type(encoder)):
        recipe = {**encoder.recipe(), **({"package": str(package)} if package else {})}
        if packages := encoder.seeded_by():  # building them takes seconds, so their digest is remembered
            versions = ", ".join(f"{package} {version(package)}" for package in packages)
            recipe["weights_sha256"] = memo.value(f"{name} {encoder.content} encoder", versions, encoder.weights_digest)
    return recipe
