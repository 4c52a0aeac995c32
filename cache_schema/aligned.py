"""A cache seen with the columns of another: those that mean the same under its names, in its order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .elements import Column, ModalitySpec
from .errors import InputError, unknown
from .feature_cache import FeatureCache

Names = Mapping[str, Mapping[str, str]]
"""Of some modalities, what a column or variable that is wanted is called in the cache."""


class AlignedCache(FeatureCache):
    """A cache of which some modalities have the columns that are ``wanted``, in that order.

    A column is found by its name, or by the name that ``names`` gives it or its variable. Units and roles stay those of
    the cache, for whoever compares them; its recipe speaks of the columns by the wanted names. Rows are as stored.

    Raises
    ------
    InputError
        If ``names`` speaks of a modality that is not wanted or a column that there is not, or a wanted one is missing.
    """

    def __init__(self, cache: FeatureCache, wanted: Mapping[str, Sequence[Column]], names: Names) -> None:
        super().__init__(cache.path, cache.manifest, cache.digest)
        self.names = names
        self._aligned: dict[str, tuple[ModalitySpec, npt.NDArray[np.int64]]] = {}
        for modality, by_wanted in names.items():
            if modality not in wanted or modality not in cache.modalities:
                raise unknown("modality", modality, [name for name in wanted if name in cache.modalities])
            self._aligned[modality] = _align(cache.modality_spec(modality), wanted[modality], by_wanted)

    def words(self) -> list[str]:
        """Return what was called otherwise, in a sentence for each modality."""
        pairs = {
            modality: [f"{name} is called {stored}" for name, stored in names.items()]
            for modality, names in self.names.items()
        }
        return [f"Aligned by name in {modality}: {', '.join(said)}." for modality, said in pairs.items()]

    def modality_spec(self, name: str) -> ModalitySpec:
        """Return the description of a modality, its columns under the wanted names."""
        return self._aligned[name][0] if name in self._aligned else super().modality_spec(name)

    def dim(self, name: str) -> int:
        """Return the number of columns of a modality."""
        return len(self._aligned[name][1]) if name in self._aligned else super().dim(name)

    def fill(self, name: str, numbers: npt.NDArray[np.int64], into: npt.NDArray[Any]) -> Iterator[slice]:
        """Read rows in the wanted columns; see :meth:`.StoredCache.fill`."""
        if name not in self._aligned:
            yield from super().fill(name, numbers, into)
            return
        stored = np.empty((len(numbers), super().dim(name)), into.dtype)
        for part in super().fill(name, numbers, stored):
            into[part] = stored[part][:, self._aligned[name][1]]
            yield part


def _align(
    spec: ModalitySpec, wanted: Sequence[Column], names: Mapping[str, str]
) -> tuple[ModalitySpec, npt.NDArray[np.int64]]:
    """Return what a modality is in the wanted columns, and where each of them stands."""
    places = {column.name: place for place, column in enumerate(spec.columns)}
    said = {*places, *(column.variable for column in spec.columns)}
    for name, stored in names.items():
        if name not in {*(column.name for column in wanted), *(column.variable for column in wanted)}:
            raise unknown(f"wanted column of {spec.name}", name, [column.name for column in wanted])
        if stored not in said:
            raise unknown(f"column of {spec.name}", stored, places)
    found = [_called(column, names) for column in wanted]
    if missing := [column.name for column, name in zip(wanted, found, strict=True) if name not in places]:
        raise InputError(
            f"Modality {spec.name!r} has no column for {', '.join(missing)}. Say what it is called there; its columns: "
            f"{', '.join(places)}."
        )
    order = np.array([places[name] for name in found], dtype=np.int64)
    if len(set(order.tolist())) < len(order):
        raise InputError(f"Modality {spec.name!r}: one column stands for two. Give each its own.")
    columns = tuple(
        replace(spec.columns[place], name=column.name, variable=column.variable)
        for column, place in zip(wanted, order, strict=True)
    )
    said_as = {spec.columns[place].variable: column.variable for column, place in zip(wanted, order, strict=True)}
    variables = list(dict.fromkeys(column.variable for column in spec.columns))
    recipe = _in_words(spec.recipe, said_as, variables, list(dict.fromkeys(said_as.values())))
    return replace(spec, columns=columns, recipe=recipe), order


def _called(column: Column, names: Mapping[str, str]) -> str:
    """Return what a wanted column is called in the cache: named itself, or by the name of its variable in it."""
    if column.name in names:
        return names[column.name]
    if column.variable in names:
        return column.name.replace(column.variable, names[column.variable])
    return column.name


def _in_words(value: Any, names: Mapping[str, str], stored: list[str], wanted: list[str]) -> Any:
    """Return a recipe in which variables have their wanted names, and a list of all of them lists the wanted."""
    if value == stored:
        return wanted
    if isinstance(value, Mapping):
        return {names.get(key, key): _in_words(one, names, stored, wanted) for key, one in value.items()}
    return value
