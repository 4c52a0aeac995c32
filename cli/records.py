"""Commands that make raw records into a cache, or say what is there. Heavy imports happen inside the commands."""

from pathlib import Path
from typing import Any

import click

from .data_sets import DataSetCommand, PresetCommand
from .options import PATH, Choice, cache_option, encoder_options
from .results import Result, reporting

PROBLEMS = ("missing", "imbalance", "void")  # what the synthetic cohort plants


def every_core() -> int:
    """Return how many cores this process may use."""
    from ..processes import cores

    return cores()


@click.command()
@encoder_options
@click.option("--raw", type=PATH, help="A folder of raw files: which data set it is, and what of it is there.")
@reporting()
def doctor(
    text_encoder: tuple[str, ...], image_encoder: tuple[str, ...], encoder: tuple[str, ...], raw: Path | None
) -> Result:
    """Check packages, weights, data.

    Each problem comes with its mend; exit code 1 if there is any.
    """
    from ..pipeline.check import checks_text
    from ..pipeline.core.encoders import Encoders
    from ..pipeline.doctor import examine

    checks = examine(Encoders.parse(text_encoder, image_encoder, others=encoder), raw)
    passed = all(check.state != "problem" for check in checks)
    content = {"passed": passed, "checks": [vars(check) for check in checks]}
    return Result(content, checks_text(checks), 0 if passed else 1)


@click.command()
@click.option("--out", type=PATH, required=True, help="New folder for the raw files.")
@click.option("--stays", default=500, show_default=True, help="ICU stays of the cohort, or patients.")
@click.option("--seed", default=0, show_default=True)
@click.option("--layout", type=Choice(["mimic4", "mimic3", "lung"]), default="mimic4", show_default=True)
@click.option("--events-per-stay", default=300, show_default=True, help="Rows in CHARTEVENTS for each stay.")
@click.option("--images", type=int, help="Write at most this many chest images.  [default: all]")
@click.option("--ecg", is_flag=True, help="Write electrocardiograms, too (mimic4).")
@click.option("--release", type=Choice(["2.2", "3.1"]), default="2.2", show_default=True, help="Of mimic4.")
@click.option("--without", multiple=True, type=Choice(PROBLEMS), help="Leave a planted problem out; may be repeated.")
@reporting("Nothing is in place; the same command starts over.")
def synth(out: Path, stays: int, seed: int, layout: str, **how: Any) -> Result:
    """Write a synthetic raw folder.

    It is shaped like MIMIC and planted with missing, imbalanced and void modalities; or of lung patients.
    """
    from ..pipeline.synthetic.raw_folder import write_raw
    from ..progress import next_text

    dataset, whom = write_raw(out, layout, stays, seed, **how)
    after = next_text("omnifuse", "extract", "--dataset", dataset, "--raw", out)
    return Result({"raw": str(out), whom: stays}, f"Wrote {stays:,} {whom} to {out}.\n{after}")


@click.command(cls=PresetCommand)
@click.option("--dataset", required=True, metavar="NAME", help="One of those below.")
@click.option(
    "--preset", metavar="NAME", help="Stands for the options that make a published cohort; those given go before."
)
@click.option("--strict", is_flag=True, help="With --preset: exit code 2 unless every expected number is found.")
@click.option("--raw", type=PATH, help="Raw files.  [default: $OMNIFUSE_DATA/DATASET, then ./data/DATASET]")
@cache_option
@encoder_options
@click.option(
    "--splits",
    multiple=True,
    type=PATH,
    help="Table of subject_id and split (train, val, test), or folder of testset.csv and valset.csv; may be repeated.",
)
@click.option("--workers", type=click.IntRange(min=0), default=every_core, help="Processes that read.  [default: all]")
@click.option("--device", default="", metavar="NAME", help="Such as cuda:0,1 or cpu.  [default: the first GPU, or cpu]")
@click.option("--scheduler", metavar="URL", help="A Dask scheduler, such as tcp://host:8786, whose workers encode.")
@click.option("--parts", metavar="URL", help="Where those workers leave what they encoded, if not on a shared disk.")
@click.option("--reuse", type=PATH, metavar="CACHE", help="Take items over that an older cache has encoded already.")
@click.option("--drop-items", is_flag=True, help="Delete the encoded parts after the commit.")
@click.option("--pseudonymise", is_flag=True, help="Replace ids by hashes with a secret key, kept in CACHE.key.")
@click.option("--dry-run", is_flag=True, help="Check the files, say what would be done, write nothing.")
@reporting("Parts that were encoded are kept; the same command goes on from there.")
def extract(
    dataset: str, raw: Path | None, cache: Path, options: dict[str, Any], preset: str | None, strict: bool, **how: Any
) -> Result:
    """Turn raw records into a cache.

    Killed at any time, the same command goes on from there. `omnifuse extract --dataset NAME --help` shows the options
    of a data set.
    """
    if strict and preset is None:
        raise click.UsageError("--strict is of a --preset.")
    from ..pipeline.library import extract, refuse_other_mimic
    from ..pipeline.summary import outcome

    if preset is None:
        return Result(*outcome(extract(dataset, raw, cache, **how, **options)))
    from ..cache_schema import FeatureCache
    from ..progress import next_text
    from ..reproductions.comparison import beside
    from ..reproductions.reproduction import read_reproduction

    of = read_reproduction(preset)
    refuse_other_mimic(of.mimic, preset, raw)
    content, text = outcome(extract(dataset, raw, cache, **how, **options))
    if how["dry_run"]:
        return Result(content, text)
    found = [beside(FeatureCache.open(cache), of, task) for task in of.tasks]
    for one in found if strict else ():
        one.refuse_difference()
    said = "\n\n".join([text, *map(str, found), next_text("omnifuse", "study", "--preset", preset, "--cache", cache)])
    return Result({**content, "preset": [one.to_json() for one in found]}, said)


@click.command(cls=DataSetCommand, dataset="files", only=("columns", "events", "label", "split", "keep"))
@click.argument("samples", type=PATH, metavar="TABLE")
@click.option("--out", type=PATH, metavar="YAML", help="New file for the draft of --columns.")
@reporting()
def check(samples: Path, out: Path | None, options: dict[str, Any]) -> Result:
    """List all problems of your own table.

    Says what each column would become in `extract --dataset files`, and drafts its YAML; exit code 1 if there are
    problems.
    """
    from ..cache_schema import InputError
    from ..pipeline.sources import make_options
    from ..pipeline.sources.files.check import check_table, check_text

    if out is not None and out.exists():
        raise InputError(f"{out} exists already; name a new file with --out.")
    found = check_table(make_options("files", {"samples": samples, **options}))
    if out is not None:
        out.write_text(found.yaml, encoding="utf-8")
    return Result(found.to_json(), check_text(found), 1 if found.problems else 0)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--raw", type=PATH, help="Count their rows in a folder of MIMIC, too.")
@reporting()
def variables(names: tuple[str, ...], raw: Path | None) -> Result:
    """List the variables of MIMIC, or all about those named."""
    from ..pipeline.sources.mimic.concepts.describe import describe, describe_text

    described = describe(names, raw)
    return Result(described, describe_text(names, described))
