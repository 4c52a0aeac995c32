"""A mapping of a YAML file, read strictly: every refusal names file, key and value."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .....cache_schema import InputError, meant, shown
from .....yaml_file import is_number

ABSENT: Any = object()


@dataclass
class Fields:
    """A mapping, of which every key must be asked for; ``where`` names the file and the keys that lead to it."""

    where: str
    content: dict[str, Any]
    _asked: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, where: str, content: object) -> "Fields":
        """Raise :class:`InputError` unless it is a mapping with texts as keys."""
        if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
            raise InputError(f"{where} is {shown(content)}; it must be a mapping of names to values.")
        return cls(where, content)

    def at(self, key: str) -> str:
        """Return how messages name a key."""
        return f"{self.where}.{key}" if ": " in self.where else f"{self.where}: {key}"

    def take(self, key: str, default: Any = ABSENT) -> Any:
        """Return a value; raises :class:`InputError` where it is absent and has no default."""
        self._asked.add(key)
        if key in self.content:
            return self.content[key]
        if default is ABSENT:
            raise InputError(f"{self.where} has no {key!r}, which it needs.")
        return default

    def choice(self, key: str, known: Sequence[str], default: Any = ABSENT) -> Any:
        """Return one of some words."""
        value = self.take(key, default)
        if value is not default and value not in known:
            raise InputError(f"{self.at(key)} is {shown(value)}; known are {', '.join(known)}.{meant(value, known)}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        value = self.take(key, default)
        if not isinstance(value, bool):
            raise InputError(f"{self.at(key)} is {shown(value)}; write true or false.")
        return value

    def number(self, key: str, default: Any = ABSENT) -> Any:
        """Return a number."""
        value = self.take(key, default)
        if value is not default and not is_number(value):
            raise InputError(f"{self.at(key)} is {shown(value)}; write a number.")
        return value

    def text(self, key: str, default: Any = ABSENT) -> Any:
        """Return a text."""
        value = self.take(key, default)
        if value is not default and not isinstance(value, str):
            raise InputError(f"{self.at(key)} is {shown(value)}; write a text.")
        return value

    def inner(self, key: str, default: Any = ABSENT) -> "Fields":
        """Return a mapping inside this one."""
        return Fields.of(self.at(key), self.take(key, default))

    def done(self) -> None:
        """Raise :class:`InputError` for a key that nobody asked for, with the nearest one that is known."""
        for key in self.content:
            if key not in self._asked:
                known = sorted(self._asked)
                raise InputError(
                    f"{self.at(key)}: there is no such key.{meant(key, known)} Known are: {', '.join(known)}."
                )
