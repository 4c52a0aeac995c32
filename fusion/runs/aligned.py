"""A cache whose columns are called otherwise than those a run was trained on, as the run knows it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...cache_schema import AlignedCache, Column, FeatureCache, InputError
from ...yaml_file import load_yaml
from .run import Run


def aligned(run: Run, cache: FeatureCache | str | Path, names: Mapping[str, Mapping[str, str]] | Path) -> AlignedCache:
    """Return a cache with its columns under the names by which a run knows them.

    ``names``, or a YAML file of them, says of some modalities what a column or variable of the run is called in the
    cache, such as ``{"labs": {"glucose": "Glukose"}}``. Only what means the same in the same unit may be named so;
    units and recipes are compared afterwards as ever.

    Raises
    ------
    InputError
        If the file holds something else, or there is no such modality or column.
    """
    said = load_yaml(names) if isinstance(names, Path) else names
    if not _is_names(said):
        raise InputError(
            f"{names if isinstance(names, Path) else 'names'}: expected, for each modality, the run's columns with "
            "what the cache calls them, such as `labs: {glucose: Glukose}`."
        )
    wanted = {
        modality: [Column(*column) for column in demanded["columns"]]
        for modality, demanded in run.demands["inputs"].items()
    }
    opened = cache if isinstance(cache, FeatureCache) else FeatureCache.open(cache)
    return AlignedCache(opened, wanted, said)


def _is_names(said: Any) -> bool:
    return isinstance(said, Mapping) and all(
        isinstance(names, Mapping) and all(isinstance(one, str) for pair in names.items() for one in pair)
        for names in said.values()
    )
