"""A feature cache as people use it: its content, and everything that can be made of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .read import StoredCache

if TYPE_CHECKING:
    import dask.array
    import xarray

    from .torch_dataset import TaskDataset
    from .verify import Verification


class FeatureCache(StoredCache):
    """A feature cache opened for reading.

    Examples
    --------
    >>> cache = FeatureCache.open("cache")                      # doctest: +SKIP
    >>> cache.modality("rep")[0].shape                          # doctest: +SKIP
    (74, 768)
    """

    def to_torch(self, task: str, modalities: Sequence[str] | None = None) -> "TaskDataset":
        """Return a ``torch.utils.data.Dataset`` of the samples with a known label; the only method that needs torch."""
        from .torch_dataset import TaskDataset

        return TaskDataset.from_cache(self, task, modalities)

    def to_dask(self, modality: str) -> "dask.array.Array":
        """Return the rows ``[R, D]`` of a modality, read when they are computed; see :func:`.lazy.dask_values`."""
        from .lazy import dask_values

        return dask_values(self, modality)

    def to_xarray(self, modality: str) -> "xarray.Dataset":
        """Return a modality with its ids and times, values read when needed; see :func:`.lazy.xarray_dataset`."""
        from .lazy import xarray_dataset

        return xarray_dataset(self, modality)

    def export(self, form: str, out: str | Path, modalities: Sequence[str] | None = None) -> None:
        """Write the cache in one of the formats :data:`.export.FORMATS`; see :func:`.export.export_cache`."""
        from .export import export_cache

        export_cache(self, form, Path(out), modalities)

    def verify(self) -> "Verification":
        """Compare every stored byte with the manifest."""
        from .verify import verify_cache

        return verify_cache(self.path)
