"""All settings of a training as one frozen value, built from a preset and ``key=value`` overrides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from math import isfinite
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ...cache_schema import InputError, shown, unknown
from ..inputs.missingness import MissingConfig
from ..inputs.spec import EncoderConfig
from ..methods import DEFAULT, METHODS, named_by
from ..methods.base import Method
from ..methods.fitting import FitConfig
from ..parts.encoders import check_encoders

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
        check_encoders(self.encoder)
        if self.method_class is None:
            object.__setattr__(self, "method_class", METHODS.get(self.method))
        expected = self.method_class.Options
        if self.options is None:
            object.__setattr__(self, "options", expected())
        elif not isinstance(self.options, expected):
            raise InputError(
                f"Method {self.method!r} takes {expected.__qualname__}, got {type(self.options).__qualname__}."
            )

    def leaves(self) -> Iterator[tuple[str, Any]]:
        """Yield the dotted key and the value of every single setting."""
        return _leaves(self.to_dict())

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
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise InputError(f"{shown(override)} is no setting; write key=value, for example fit.epochs=30.")
        config = _set(config, key.strip().split("."), text.strip(), key.strip())
    return config


def _leaves(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and the value of every single setting."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def as_text(value: Any) -> str:
    """Return a value as :func:`parse` reads it."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value).replace("None", "none")


def as_overrides(settings: Mapping[str, Any]) -> list[str]:
    """Return settings by dotted name as ``key=value`` overrides."""
    return [f"{key}={as_text(tuple(v) if isinstance(v, list) else v)}" for key, v in settings.items()]


def _set(config: Any, path: Sequence[str], text: str, key: str) -> Any:
    """Return a copy of a nested frozen dataclass with one field set to the value that the text names."""
    name, *rest = path
    types = setting_types(type(config))
    known = [name for name in types if name not in ARGUMENTS]
    if name not in known:
        group = key.removesuffix(".".join(path))
        raise unknown("setting", key, [group + name for name in known])
    inner = getattr(config, name)
    if is_dataclass(inner) and not rest:
        raise InputError(f"{shown(key)} is a group; set one of: {', '.join(f'{key}.{f.name}' for f in fields(inner))}.")
    if rest and not is_dataclass(inner):
        raise InputError(f"Unknown setting {shown(key)}; {shown(name)} has no parts.")
    value = _set(inner, rest, text, key) if rest else parse(text, types[name], key)
    return replace(config, **{name: value})


def setting_types(cls: type) -> dict[str, Any]:
    """Return the type of every setting of a dataclass; what is not compared is none."""
    types = get_type_hints(cls)
    return {part.name: types[part.name] for part in fields(cls) if part.compare}


def build(cls: type, stored: Mapping[str, Any], prefix: str) -> Any:
    """Make a dataclass, nested ones included, from JSON values; unknown keys and wrong types raise `InputError`."""
    if not isinstance(stored, Mapping):
        raise InputError(f"{prefix.removesuffix('.') or 'settings'} = {shown(stored)}; expected settings by name.")
    hints = setting_types(cls)
    if others := [str(name) for name in stored if name not in hints]:
        raise unknown("setting", prefix + min(others), [prefix + name for name in hints])
    values = {}
    for name, value in stored.items():
        if is_dataclass(hints[name]):
            values[name] = build(hints[name], value, f"{prefix}{name}.")
        else:
            values[name] = parse(value, hints[name], prefix + name)
    return cls(**values)


def parse(value: Any, expected: Any, key: str) -> Any:
    """Return ``value`` (text, or a JSON value) as the expected type, or raise `InputError`."""
    if expected is Any:
        return value
    origin, choices = get_origin(expected), get_args(expected)
    if origin in (Union, UnionType):
        if value in (None, "none", ""):
            return None
        return parse(value, next(choice for choice in choices if choice is not NoneType), key)
    if origin is Literal:
        if value not in choices:
            raise InputError(f"{key} = {shown(value)}; expected one of: {', '.join(map(str, choices))}.")
        return value
    if origin is tuple:
        items = value.split(",") if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise InputError(f"{key} = {shown(value)}; expected a list.")
        return tuple(parse(item, choices[0], key) for item in items)
    return _parse_plain(value, expected, key)


TRUTH = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}


def _parse_plain(value: Any, expected: type, key: str) -> Any:
    """Return a value as text, number or truth, if it can be one without a change: 2.5 is no int, a list no text."""
    if expected is bool and str(value).lower() in TRUTH:
        return TRUTH[str(value).lower()]
    if expected is not bool and isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            parsed = expected(value)
        except (ValueError, OverflowError):
            parsed = None
        same = isinstance(value, str) or expected is str or parsed == value
        if parsed is not None and same and (expected is not float or isfinite(parsed)):
            return parsed
    raise InputError(f"{key} = {shown(value)}; expected {expected.__name__}.")
