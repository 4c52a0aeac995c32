"""What ``--variables`` names: starter sets and files, each a modality."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .....cache_schema import InputError, meant
from .definitions import Concept, Version, starter_set, starter_sets
from .event_tables import FIRST_OF_METAVISION
from .user_file import UserSets, read_user_file

LAB_LIKE = ("labevents", "microbiologyevents")
ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True)
class NamedSets:
    """Sets in the order in which they were named; ``files`` say where those of a user stand."""

    names: tuple[str, ...]
    files: Mapping[str, Path]
    own: UserSets

    @classmethod
    def read(cls, variables: Sequence[str], taken: Sequence[str] = ()) -> "NamedSets":
        """Read the files among ``variables``; the others are starter sets.

        Raises
        ------
        InputError
            If there is no such set or file, a file cannot be understood, or a set or a concept of files has a name
            twice or one that is ``taken``.
        """
        names: dict[str, str] = dict.fromkeys(taken, "a modality that this data set has itself")
        files: dict[str, Path] = {}
        own: UserSets = {}
        for given in variables:
            if given in starter_sets():
                _name_once(given, f"--variables {given}", names)
                continue
            path = Path(given)
            if path.suffix not in ENDINGS and not path.is_file():
                raise InputError(
                    f"There is no set of variables {given!r}, nor a file.{meant(given, starter_sets())} "
                    f"Sets are: {', '.join(starter_sets())}."
                )
            for name, concepts in read_user_file(path).items():
                _name_once(name, str(path), names)
                own[name], files[name] = concepts, path
        _refuse_twice(own, files)
        return cls(tuple(name for name in names if name not in taken), files, own)

    def refuse_unnamed(self, modalities: Sequence[str]) -> None:
        """Raise :class:`InputError` if a starter set is asked for as a modality alone."""
        for name in modalities:
            if name in starter_sets() and name not in self.names:
                raise InputError(f"The modality {name!r} is a set of variables: add --variables {name}.")

    def concepts(self, version: Version, wanted: Sequence[str]) -> dict[str, tuple[Concept, ...]]:
        """Return the concepts of the ``wanted`` sets for a release.

        Raises
        ------
        InputError
            If a concept of a user has no items of that release, or such as it does not have.
        """
        return {name: self._of(name, version) for name in self.names if name in wanted}

    def _of(self, name: str, version: Version) -> tuple[Concept, ...]:
        if name not in self.own:
            return starter_set(name, version)
        concepts = self.own[name][version]
        there = {concept.name for concept in concepts}
        for concept in self.own[name][3] + self.own[name][4]:
            if concept.name not in there:
                raise InputError(
                    f"{self.files[name]}: {name}: {concept.name}: items: there are none of this release, "
                    f"mimic{version}; add them, or leave the concept out."
                )
        if version == 4:
            _refuse_items_of_carevue(self.files[name], concepts)
        return concepts


def _name_once(name: str, place: str, names: dict[str, str]) -> None:
    if name in names:
        raise InputError(f"{place}: the modality {name!r} is there already: {names[name]}. Give it another name.")
    names[name] = place


def _refuse_twice(own: UserSets, files: Mapping[str, Path]) -> None:
    first: dict[str, str] = {}
    for name, by_version in own.items():
        for concept in dict.fromkeys(concept.name for concepts in by_version.values() for concept in concepts):
            if concept in first:
                raise InputError(
                    f"{files[name]}: {name}: {concept}: this concept is defined twice; the other is in "
                    f"{files[first[concept]]}: {first[concept]}. Give one of them another name."
                )
            first[concept] = name


def _refuse_items_of_carevue(path: Path, concepts: Iterable[Concept]) -> None:
    """Raise :class:`InputError` if concepts for MIMIC-IV have items that only CareVue had, a system of MIMIC-III."""
    for concept in concepts:
        for table, ids in concept.items.items():
            numbers = [item for item in ids if isinstance(item, int) and table not in LAB_LIKE]
            old = [item for item in numbers if item < FIRST_OF_METAVISION]
            if old:
                raise InputError(
                    f"{path}: {concept.set}: {concept.name}: items: {table}: {old[0]} is an item of CareVue, which "
                    "MIMIC-IV does not have. Write items: {mimic3: {...}, mimic4: {...}}."
                )
