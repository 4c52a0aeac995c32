"""Members of a stack: any method, with settings of its own, as one line of text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...cache_schema import InputError, shown
from ..inputs.spec import READS_A_VECTOR, READS_ROWS, EncoderConfig, InputSpec
from ..parts.encoders import check_encoders
from ..settings import overridden
from . import METHODS, refuse_unserved
from .base import Method, ModelSpec
from .fitting import FitConfig

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]{0,63}")

SHORT = {
    "statistics": "statistics=hybrid encoder.timeseries=statistics",
    "recurrent": "recurrent=hybrid encoder.timeseries=both fit.epochs=12",
}
"""Members by one word: hybrid models that read statistics of a time series alone, or statistics and bins."""


@dataclass(frozen=True)
class Settings:
    """What a member may be told: the run's settings, but for its own options."""

    encoder: EncoderConfig
    fit: FitConfig
    options: Any


@dataclass(frozen=True)
class Member:
    """A method under a name, the preset it starts from, and overrides such as ``fit.epochs=12``."""

    name: str
    method: type[Method]
    overrides: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Member:
        """Read ``[NAME=]METHOD[:PRESET] [KEY=VALUE ...]``; the name is that of the method if none is given.

        Raises
        ------
        InputError
            For a method, preset or setting that does not exist.
        """
        first, *overrides = SHORT.get(text.strip(), text).split() or [""]
        name, named, what = first.rpartition("=")
        method_name, _, preset = what.partition(":")
        method = METHODS.get(method_name)
        if preset and preset not in method.presets:
            raise InputError(f"{method_name} has no preset {shown(preset)}; it has {', '.join(method.presets)}.")
        member = cls(name if named else what, method, (*method.presets[preset or "default"], *overrides))
        member.settings(EncoderConfig(), FitConfig())
        return member

    def settings(self, encoder: EncoderConfig, fit: FitConfig) -> Settings:
        """Return its settings, which start from those of the run."""
        told = overridden(Settings(encoder, fit, self.method.Options()), self.overrides)
        check_encoders(told.encoder)
        if told.fit.members > 1:
            raise InputError(f"fit.members = {told.fit.members} of the member {self.name!r}; a member is one model.")
        return told

    def spec(self, spec: ModelSpec) -> ModelSpec:
        """Return what its models are asked to be, within what the run has made ready.

        Raises
        ------
        InputError
            If it asks for inputs that the run's own encoders do not read, or cannot predict such a target.
        """
        refuse_unserved(self.method, spec.target.kind)
        self.method.check(spec.modalities)
        encoder = self.settings(spec.encoder, FitConfig()).encoder
        inputs = tuple(self._input(one, encoder, spec.encoder) for one in spec.inputs)
        if not any(one.kind == "timeseries" and one.rows for one in inputs):
            encoder = replace(encoder, timeseries="statistics")  # what `both` is without bins
        return ModelSpec(inputs, spec.target, encoder)

    def new(self, spec: ModelSpec) -> Method:
        """Return an untrained model."""
        return self.method(self.spec(spec), self.settings(spec.encoder, FitConfig()).options)

    def _input(self, one: InputSpec, encoder: EncoderConfig, of_run: EncoderConfig) -> InputSpec:
        """Return one modality as the member reads it: all that there is, or its vector or its rows alone."""
        wanted, made = getattr(encoder, one.kind), getattr(of_run, one.kind)
        if wanted == made or self.method.needs != "embeddings":
            return one
        vector, rows = wanted not in READS_ROWS, wanted not in READS_A_VECTOR
        if (vector and not one.summary) or (rows and not one.rows):
            raise InputError(
                f"The member {self.name!r} reads {one.name} by {wanted!r}, and the run prepares it for {made!r} alone: "
                f"give the run encoder.{one.kind}={'both' if one.kind == 'timeseries' else wanted}."
            )
        return replace(one, summary=one.summary if vector else 0, rows=one.rows if rows else 0)


def parse_members(texts: Sequence[str]) -> tuple[Member, ...]:
    """Return the members of a stack; raises InputError for none, a name given twice, or one that does not exist."""
    members = tuple(map(Member.parse, texts))
    names = [member.name for member in members]
    if not members or len(set(names)) < len(names) or not all(map(NAME.fullmatch, names)):
        raise InputError(
            f"options.members = {','.join(texts)!r}; give one at least, and those of one method names of their own "
            "of letters, digits, '.', ':', '-' and '_', such as members=concat,small=concat encoder.hidden=16."
        )
    return members


def without_twins(members: Sequence[Member], spec: ModelSpec) -> tuple[Member, ...]:
    """Return the members, but of those that differ in settings which mean nothing to these inputs only the first."""
    kept: dict[Any, Member] = {}
    for member in members:
        alike = (member.method, member.spec(spec), member.settings(spec.encoder, FitConfig()).options)
        twin = kept.get(alike)
        if twin is None or twin.overrides == member.overrides:  # the same twice is wanted
            kept[alike if twin is None else member.name] = member
    return tuple(kept.values())
