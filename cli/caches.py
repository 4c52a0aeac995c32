"""Commands about a cache itself. Heavy imports happen inside the commands."""

from pathlib import Path
from typing import Any

import click

from .data_sets import DataSetCommand
from .options import PATH, Commands, cache_option, modalities_option, named_paths
from .results import Result, reporting


@click.group(cls=Commands)
def cache() -> None:
    """Import, export, inspect, compare or verify a cache."""


@cache.command("import", cls=DataSetCommand, dataset="imported")
@cache_option
@reporting("The same command goes on from there.")
def import_features(cache: Path, options: dict[str, Any]) -> Result:
    """Make a cache of your own features, joined by sample_id; a sample without a row lacks the modality.

    Tables are .csv, .tsv, .parquet, matrices .npz, .npy, .h5, .h5ad, .h5mu; a folder has a file SAMPLE_ID.h5 for each
    sample. PART says what of a file is meant, such as cells.h5ad#obsm/X_pca. Exports of a cache come back as they were.
    """
    from ..pipeline.core.encoders import Encoders
    from ..pipeline.core.stages import extract
    from ..pipeline.sources import open_dataset
    from ..pipeline.summary import outcome

    return Result(*outcome(extract(open_dataset("imported", options=options), cache, Encoders())))


@cache.command()
@cache_option
@reporting()
def info(cache: Path) -> Result:
    """Show what a cache holds and how it was made."""
    from ..cache_schema import cache_text
    from ..pipeline.summary import cache_content

    description = cache_content(cache)
    return Result(description, cache_text(description))


@cache.command()
@click.option("--format", "form", required=True, metavar="hdf5|npz|parquet|mudata|xarray", help="The format.")
@click.option("--out", type=PATH, required=True, help="A file or folder that does not exist yet.")
@modalities_option
@cache_option
@reporting("Nothing was exported; give the same command again.")
def export(form: str, out: Path, modalities: tuple[str, ...] | None, cache: Path) -> Result:
    """Write samples, modalities, tasks and splits for other tools."""
    from ..cache_schema import FeatureCache

    FeatureCache.open(cache).export(form, out, modalities)
    return Result({"cache": str(cache), "format": form, "out": str(out)}, f"Wrote {out}")


@cache.command()
@click.argument("places", nargs=-1, required=True, metavar="NAME=CACHE...", callback=named_paths)
@click.option("--column", default="site", show_default=True, help="Column that says where each sample is from.")
@click.option("--shared-patients", is_flag=True, help="A subject_id is the same person in all of them.")
@cache_option
@reporting("Nothing was written; give the same command again.")
def join(places: dict[str, Path], column: str, shared_patients: bool, cache: Path) -> Result:
    """Write the samples of several caches, such as those of two hospitals, as one.

    Their modalities and tasks must be made alike; every difference is named.
    """
    from ..cache_schema import FeatureCache, join_caches

    opened = {name: FeatureCache.open(path) for name, path in places.items()}
    joined = join_caches(opened, cache, column, shared_patients)
    text = f"{joined}\n\nNext: omnifuse train --cache {cache} --set folds_by={column}"
    return Result({"cache": str(cache), **joined.to_json()}, text)


@cache.command()
@click.argument("other", type=PATH)
@cache_option
@reporting()
def diff(other: Path, cache: Path) -> Result:
    """Say how another cache differs.

    Compared are settings, inputs, samples and arrays; exit code 1 if anything is not the same.
    """
    from ..cache_schema import FeatureCache, compare_caches, comparison_text

    result = compare_caches(FeatureCache.open(cache), FeatureCache.open(other))
    content = {"cache": str(cache), "other": str(other), **result.to_json()}
    return Result(content, comparison_text(result), 0 if result.same else 1)


@cache.command()
@cache_option
@reporting()
def verify(cache: Path) -> Result:
    """Compare every stored byte with the manifest; exit code 1 if anything differs."""
    from dataclasses import asdict

    from ..cache_schema import verification_text, verify_cache

    result = verify_cache(cache)
    content = {"cache": str(cache), "passed": result.passed, **asdict(result)}
    return Result(content, verification_text(result), 0 if result.passed else 1)
