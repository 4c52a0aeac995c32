"""The command line: parse, call the library, print. Heavy imports happen inside the commands."""

import json
import logging
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import click

PATH: Any = click.Path(path_type=Path)


class Result(NamedTuple):
    """What a command found: for a machine, for a person, and the exit code."""

    content: dict[str, Any]
    text: str
    exit_code: int = 0


def reporting(command: Callable[..., Result]) -> Callable[..., None]:
    """Print a command's result, as JSON with ``--json``, and turn errors into one message and an exit code."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output, nothing else.")
    @wraps(command)
    def run(*, as_json: bool, **options: Any) -> None:
        from .cache_schema import OmniFuseError

        logging.basicConfig(level=logging.WARNING if as_json else logging.INFO, format="%(message)s", force=True)
        try:
            result = command(**options)
        except OmniFuseError as error:
            result = failure(f"Error: {error}", error.exit_code)
        except KeyboardInterrupt:
            result = failure("Interrupted. Nothing finished is lost; the same command goes on from here.", 130)
        except OSError as error:
            if error.strerror is None:
                raise
            place = f"{error.filename}: " if error.filename else ""
            result = failure(f"Error: {place}{error.strerror}. Nothing already written is lost.", 2)
        if as_json:
            click.echo(json.dumps(result.content, ensure_ascii=False))
        else:
            click.echo(result.text, err="error" in result.content)
        sys.exit(result.exit_code)

    return run


def failure(message: str, exit_code: int) -> Result:
    """Return the result of a command that could not do its work."""
    return Result({"error": message, "exit_code": exit_code}, message, exit_code)


def split_names(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Parse a comma-separated list of names."""
    return tuple(name.strip() for name in value.split(",") if name.strip()) if value else None


cache_option = click.option("--cache", type=PATH, default=Path("cache"), show_default=True, help="The feature cache.")
modalities_option = click.option("--modalities", callback=split_names, metavar="A,B", help="Default: all there are.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="omnifuse")
def main() -> None:
    """Encode clinical records once; train multimodal models on the cache in minutes.

    For research, not for clinical decisions.
    """


@main.command()
@click.option("--out", type=PATH, default=Path("demo"), show_default=True, help="Folder for everything that it makes.")
@click.option("--stays", default=1200, show_default=True, help="ICU stays in the synthetic cohort.")
@click.option("--seed", default=0, show_default=True, help="Decides cohort and training.")
@reporting
def demo(out: Path, stays: int, seed: int) -> Result:
    """Run everything once on a synthetic cohort: raw files, cache, three models, a report."""
    raise NotImplementedError


@main.command()
@click.option("--text-encoder", default="bert-base-uncased", show_default=True, metavar="ID|DIR|random")
@click.option("--image-encoder", default="resnet34", show_default=True, metavar="ID|FILE|random")
@reporting
def doctor(text_encoder: str, image_encoder: str) -> Result:
    """Check packages, device, encoder weights and data folders; each problem comes with its mend."""
    from .pipeline.doctor import checks_text, examine
    from .pipeline.plan import Encoders

    checks = examine(Encoders(text_encoder, image_encoder))
    passed = all(check.state != "problem" for check in checks)
    content = {"passed": passed, "checks": [vars(check) for check in checks]}
    return Result(content, checks_text(checks), 0 if passed else 1)


@main.command()
@click.option("--out", type=PATH, required=True, help="New folder for the raw files.")
@click.option("--stays", default=500, show_default=True, help="ICU stays of the cohort.")
@click.option("--seed", default=0, show_default=True)
@click.option("--layout", type=click.Choice(["mimic4", "mimic3"]), default="mimic4", show_default=True)
@click.option("--events-per-stay", default=300, show_default=True, help="Rows in CHARTEVENTS for each stay.")
@click.option("--images", type=int, help="Write at most this many chest images.  [default: all]")
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(["missing", "imbalance", "void"]),
    help="Leave one of the planted problems out; may be repeated.",
)
@reporting
def synth(
    out: Path, stays: int, seed: int, layout: str, events_per_stay: int, images: int | None, without: tuple[str, ...]
) -> Result:
    """Write a MIMIC-shaped raw folder with planted structure."""
    raise NotImplementedError


@main.command()
@click.option("--dataset", required=True, help="mimic, physionet2012 or synthetic.")
@click.option("--raw", type=PATH, help="Raw files.  [default: $OMNIFUSE_DATA/DATASET, then ./data/DATASET]")
@cache_option
@modalities_option
@click.option("--profile", type=click.Choice(["clean", "benchmark"]), default="clean", show_default=True)
@click.option("--bin-hours", default=2.0, show_default=True, help="Width of an EHR bin.")
@click.option("--text-encoder", default="bert-base-uncased", show_default=True, metavar="ID|DIR|random")
@click.option("--image-encoder", default="resnet34", show_default=True, metavar="ID|FILE|random")
@click.option("--limit", type=int, help="Only the first samples, in order of their id.")
@click.option("--workers", type=click.IntRange(min=0), default=1, show_default=True, help="Image decoding processes.")
@click.option("--drop-items", is_flag=True, help="Delete the encoded parts after the commit.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, write nothing.")
@reporting
def extract(
    dataset: str,
    raw: Path | None,
    cache: Path,
    modalities: tuple[str, ...] | None,
    profile: str,
    bin_hours: float,
    limit: int | None,
    text_encoder: str,
    image_encoder: str,
    **how: Any,
) -> Result:
    """Turn raw records into a feature cache. Killed at any time, the same command goes on."""
    from .pipeline.plan import Encoders
    from .pipeline.sources import SourceOptions, open_dataset, raw_folder
    from .pipeline.stages import extract
    from .pipeline.summary import extraction_content, extraction_text

    folder = raw_folder(dataset, raw)
    source = open_dataset(dataset, folder, SourceOptions(modalities, profile, bin_hours, limit))
    extraction = extract(source, folder, cache, Encoders(text_encoder, image_encoder), **how)
    return Result(extraction_content(extraction), extraction_text(extraction))


@main.group()
def cache() -> None:
    """Look at a feature cache."""


@cache.command()
@cache_option
@reporting
def info(cache: Path) -> Result:
    """Show what a cache holds and how it was made."""
    from .cache_schema import FeatureCache, cache_text, describe_cache

    description = describe_cache(FeatureCache.open(cache))
    return Result(description, cache_text(description))


@cache.command()
@cache_option
@reporting
def verify(cache: Path) -> Result:
    """Compare every stored byte with the manifest; exit code 1 if anything differs."""
    from dataclasses import asdict

    from .cache_schema import verification_text, verify_cache

    result = verify_cache(cache)
    content = {"cache": str(cache), "passed": result.passed, **asdict(result)}
    return Result(content, verification_text(result), 0 if result.passed else 1)


if __name__ == "__main__":
    main()
