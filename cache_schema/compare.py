"""How one cache differs from another: settings and inputs, samples, arrays; no feature rows are read."""

from dataclasses import asdict, dataclass
from typing import Any

from .read import StoredCache
from .recipe import difference

SHOWN = 20
"""Arrays of one kind that the text names; the others are counted."""


@dataclass(frozen=True)
class Comparison:
    """What two caches do not share.

    ``settings`` has a line for each setting or input that differs. ``samples_shared``, ``samples_only_here`` and
    ``samples_only_there`` are numbers of ids. Arrays, by path, are equal where their bytes are.
    """

    settings: tuple[str, ...]
    samples_shared: int
    samples_only_here: int
    samples_only_there: int
    arrays_equal: int
    arrays_changed: tuple[str, ...]
    arrays_only_here: tuple[str, ...]
    arrays_only_there: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether both hold the same bytes, made by the same settings from the same inputs."""
        return not (self.settings or self.arrays_changed or self.arrays_only_here or self.arrays_only_there)

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {"same": self.same, **asdict(self)}


def compare_caches(here: StoredCache, there: StoredCache) -> Comparison:
    """Compare two caches."""
    ids_here, ids_there = (set(cache.samples["sample_id"]) for cache in (here, there))
    arrays_here, arrays_there = (_checksums(cache) for cache in (here, there))
    shared = arrays_here.keys() & arrays_there.keys()
    changed = {path for path in shared if arrays_here[path] != arrays_there[path]}
    return Comparison(
        settings=tuple(difference(_made_by(here), _made_by(there))),
        samples_shared=len(ids_here & ids_there),
        samples_only_here=len(ids_here - ids_there),
        samples_only_there=len(ids_there - ids_here),
        arrays_equal=len(shared - changed),
        arrays_changed=tuple(sorted(changed)),
        arrays_only_here=tuple(sorted(arrays_here.keys() - shared)),
        arrays_only_there=tuple(sorted(arrays_there.keys() - shared)),
    )


def _made_by(cache: StoredCache) -> dict[str, Any]:
    recipes = {name: cache.modality_spec(name).recipe for name in cache.modalities}
    return {"dataset": cache.dataset, **cache.manifest.keys, "recipes": recipes}


def _checksums(cache: StoredCache) -> dict[str, str]:
    return {path: node.checksum for path, node in cache.manifest.nodes.items() if node.kind == "array"}


def comparison_text(result: Comparison) -> str:
    """Return a comparison in words."""
    if result.same:
        return f"Both are the same: {result.arrays_equal} arrays of {result.samples_shared:,} samples."
    lines = [f"  {line}" for line in result.settings]
    if lines:
        lines.insert(0, "settings and inputs, here -> there:")
    lines += [
        f"samples: {result.samples_shared:,} in both, {result.samples_only_here:,} only here, "
        f"{result.samples_only_there:,} only there",
        f"arrays: {result.arrays_equal} equal",
        *_listed("differ", result.arrays_changed),
        *_listed("only here", result.arrays_only_here),
        *_listed("only there", result.arrays_only_there),
    ]
    return "\n".join(lines)


def _listed(words: str, paths: tuple[str, ...]) -> list[str]:
    further = [f"  and {len(paths) - SHOWN} more"] if len(paths) > SHOWN else []
    return [f"{len(paths)} {words}:", *(f"  {path}" for path in paths[:SHOWN]), *further] if paths else []
