"""All settings of a training as one frozen value, built from a preset and ``key=value`` overrides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from operator import attrgetter
from typing import Any

from ...cache_schema import InputError, shown, unknown
from ..inputs.missingness import MissingConfig
from ..inputs.spec import EncoderConfig
from ..methods import DEFAULT, METHODS, named_by
from ..methods.base import Method
from ..methods.fitting import FitConfig
from ..parts.encoders import check_encoders
from ..settings import as_text, build, leaves, overridden, setting_types

ARGUMENTS = ("method", "preset")
"""Chosen by their own arguments, never by an override."""
NAMED = (*ARGUMENTS, "task", "modalities", "folds", "seed", "device")
"""Settings with an option of their own on the command line."""

SIZE = (1, 2**16)
SHARE = (0, 1)
BOUNDS: dict[str, tuple[float, float]] = {
    "seed": (0, 2**32 - 1),
    "folds": (1, 1000),
    "threads": (1, 1024),
    "training_share": (1e-4, 1),
    "encoder.dimension": SIZE,
    "encoder.hidden": SIZE,
    "encoder.attention": SIZE,
    "encoder.recurrent": SIZE,
    "encoder.dropout": SHARE,
    "encoder.input_dropout": SHARE,
    "encoder.wide": (0, 2**31),
    "fit.epochs": (1, 100_000),
    "fit.batch_size": (1, 2**31),
    "fit.learning_rate": (0, 1000),
    "fit.final_rate": SHARE,
    "fit.weight_decay": (0, 1000),
    "fit.clip": (1e-6, 1e6),  # a negative one would climb where the loss should fall
    "fit.mining_rows": (0, 2**31),
    "fit.times": (0, 2**31),
    "fit.members": (1, 100),
}
"""Lowest and highest value of settings that everything else takes as they are."""


@dataclass(frozen=True)
class SearchConfig:
    """How many settings each fold tries, and over which; its inner validation part chooses, then all of it trains."""

    trials: int = 0
    """Settings to try, the given ones first; 0: none."""
    over: tuple[str, ...] = ()
    """Names of settings such as fit.epochs; by default all that the method names."""

    def __post_init__(self) -> None:
        if self.trials < 0:
            raise InputError(f"search.trials = {self.trials}; give 0, or how many settings to try.")


@dataclass(frozen=True)
class TrainConfig:
    """What to train, on what, and how. Written to config.json of the run."""

    method: str = DEFAULT
    """Name of the fusion method."""
    task: str | None = None
    """Name of the task; the cache's first by default."""
    modalities: tuple[str, ...] | None = None
    """Modalities in model order; all of the cache by default."""
    folds: int = 5
    """Folds of the cross-validation over subjects."""
    validation: float | None = None
    """Share of the training subjects set aside for the inner validation part; by default 0.1 where something is chosen
    by it (by a search, or by the method), else 0: what nothing is chosen by is better used for training."""
    folds_by: str | None = None
    """A column of the cohort, such as icu_type, whose values are the folds: each is tested by a model of all others."""
    test_on: tuple[str, ...] = ()
    """Which values of that column are tested; all by default."""
    train_on: tuple[str, ...] = ()
    """Which values of that column are trained on, without patients of the tested one; all others by default."""
    training_share: float = 1.0
    """Share of the training patients of each fold to train on, drawn by the seed; the test part stays whole."""
    split: str | None = "supplied"
    """Use the cache's split of this name instead of folds; ``supplied``: the only one, if there is one; None: folds."""
    seed: int = 0
    """Seed of folds, initial weights, order of samples and dropout."""
    device: str = "cpu"
    """Torch device."""
    threads: int = 1
    """Threads of torch for each fold; they decide the last digits of a result."""
    preset: str = "default"
    """Preset of the method that the settings start from."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """Encoders of the modalities."""
    fit: FitConfig = field(default_factory=FitConfig)
    """Optimisation."""
    missing: MissingConfig = field(default_factory=MissingConfig)
    """Modalities hidden on purpose."""
    search: SearchConfig = field(default_factory=SearchConfig)
    """Settings to try."""
    options: Any = None
    """Options of the method, an instance of its ``Options``; its defaults if None."""
    method_class: type[Method] = field(default=None, compare=False, repr=False)  # type: ignore[assignment]
    """What the method's name stands for, no setting: found once, and handed on wherever the settings go."""

    def __post_init__(self) -> None:
        for name, (lowest, highest) in BOUNDS.items():
            value = attrgetter(name)(self)
            if not lowest <= value <= highest:
                raise InputError(f"{name} = {shown(value)}; expected {lowest} to {highest}.")
        if (self.test_on or self.train_on) and self.folds_by is None:
            raise InputError("test_on and train_on name values of a column; say of which by folds_by.")
        check_encoders(self.encoder)
        if self.method_class is None:
            object.__setattr__(self, "method_class", METHODS.get(self.method))
        if self.fit.members > 1 and not self.method_class.by_gradient:
            raise InputError(
                f"fit.members = {self.fit.members}; {self.method!r} is fitted at once, and only what learns by "
                "gradient has initial weights to vary. Leave it at 1."
            )
        expected = self.method_class.Options
        if self.options is None:
            object.__setattr__(self, "options", expected())
        elif not isinstance(self.options, expected):
            raise InputError(
                f"Method {self.method!r} takes {expected.__qualname__}, got {type(self.options).__qualname__}."
            )

    def leaves(self) -> Iterator[tuple[str, Any]]:
        """Yield the dotted key and the value of every single setting."""
        return leaves(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON-ready values."""
        return {name: value for name, value in asdict(self).items() if name in setting_types(type(self))}

    def overrides(self) -> list[str]:
        """Return the ``key=value`` overrides that make these settings of the preset."""
        preset = dict(_of_preset(self.method, self.method_class, self.preset).leaves())
        own = ((key, value) for key, value in self.leaves() if key not in NAMED)
        return [f"{key}={as_text(value)}" for key, value in own if value != preset[key]]

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> TrainConfig:
        """Rebuild settings from `to_dict`, strictly: unknown keys and wrong types are refused."""
        plain = {name: value for name, value in stored.items() if name != "options"}
        if not isinstance(stored.get("method"), str):
            raise InputError("Settings without the name of a method.")
        config: TrainConfig = build(cls, plain, "")
        method, options = config.method_class, stored.get("options", {})
        if isinstance(options, Mapping):
            options = method.options_of(options)
        return replace(config, options=build(method.Options, options, "options."))


def make_config(
    method: str | None = None, preset: str = "default", overrides: Sequence[str] = (), **settings: Any
) -> TrainConfig:
    """Return the settings of a preset of a method, changed by overrides such as ``"options.beta=0.25"``.

    Without ``method`` it is the one that ``preset`` names, else the default. ``settings`` are fields of `TrainConfig`
    with typed values. The preset wins over them, overrides win over both.

    Raises
    ------
    InputError
        For an unknown method, preset or key, or a value of the wrong type; the message names what is known.
    """
    method = method or named_by(preset)
    return changed(_of_preset(method, METHODS.get(method), preset, **settings), overrides)


def _of_preset(name: str, method: type[Method], preset: str, **settings: Any) -> TrainConfig:
    if preset not in method.presets:
        raise unknown(f"{name} preset", preset, method.presets)
    config = TrainConfig(method=name, preset=preset, method_class=method, **settings)
    return changed(config, method.presets[preset])


def changed(config: TrainConfig, overrides: Sequence[str]) -> TrainConfig:
    """Return settings with some overrides; raises `InputError` as `make_config` does."""
    return overridden(config, overrides, ARGUMENTS)
