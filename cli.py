"""The command line: parse, call the library, print. Heavy imports happen inside the commands."""

import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial, wraps
from pathlib import Path
from typing import Any, NamedTuple

import click

PATH: Any = click.Path(path_type=Path)

PROBLEMS = ("missing", "imbalance", "void")
"""What the synthetic cohort plants."""

LONGEST_LINE, MOST_LINES = 1000, 100
"""Characters of a line, and lines, of an error message."""


class Result(NamedTuple):
    """What a command found: for a machine, for a person, and the exit code."""

    content: dict[str, Any]
    text: str
    exit_code: int = 0


def reporting(kept: str = "") -> Callable[[Callable[..., Result]], Callable[..., None]]:
    """Print a command's result, as JSON with ``--json``, and turn errors into one message and an exit code.

    ``kept`` says what is left of the work of a command that was stopped, by an interrupt or a full disk.
    """

    def decorate(command: Callable[..., Result]) -> Callable[..., None]:
        @click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output, nothing else.")
        @wraps(command)
        def run(*, as_json: bool, **options: Any) -> None:
            logging.basicConfig(level=logging.WARNING if as_json else logging.INFO, format="%(message)s", force=True)
            logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # of a full disk each writer of zarr would say so
            try:
                result = attempt(partial(command, **options), kept)
            except KeyboardInterrupt:
                result = failure(f"Interrupted. {kept}".rstrip(), 130)
            show(result, as_json)
            sys.exit(result.exit_code)

        return run

    return decorate


def attempt(command: Callable[[], Result], kept: str) -> Result:
    """Return a command's result, or what went wrong; an error that is no message to a person goes on."""
    try:
        return command()
    except Exception as error:
        from .cache_schema import OmniFuseError, system_reason

        if isinstance(error, OmniFuseError):
            return failure(f"Error: {error}", error.exit_code)
        if (reason := system_reason(error)) is None:
            raise
        place = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        return failure(f"Error: {place}{reason}. {kept}".rstrip(), 2)


def show(result: Result, as_json: bool) -> None:
    """Print a result: JSON or text on standard output, errors in words on standard error."""
    if as_json:
        click.echo(json.dumps(result.content, ensure_ascii=False))
    else:
        click.echo(result.text, err="error" in result.content)


def failure(message: str, exit_code: int) -> Result:
    """Return the result of a command that could not do its work; a line that echoes long input is cut."""
    lines = [line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} ..." for line in message.splitlines()]
    text = "\n".join([*lines[:MOST_LINES], *(["..."] if len(lines) > MOST_LINES else [])])
    return Result({"error": text, "exit_code": exit_code}, text, exit_code)


class Commands(click.Group):
    """Commands whose errors of usage are JSON, too, where ``--json`` is given."""

    def main(self, args: Sequence[str] | None = None, **extra: Any) -> Any:  # type: ignore[override]
        """Run the command that the arguments name."""
        given = sys.argv[1:] if args is None else list(args)
        if "--json" not in given:
            return super().main(given, **extra)
        try:
            return super().main(given, **{**extra, "standalone_mode": False})
        except click.ClickException as error:
            show(failure(f"Error: {error.format_message()}", error.exit_code), as_json=True)
            sys.exit(error.exit_code)


def split_names(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Parse a comma-separated list of names."""
    return tuple(name.strip() for name in value.split(",") if name.strip()) if value else None


def memory_size(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    """Parse a number of bytes such as 500MB or 1.5GB."""
    if value is None:
        return None
    units = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
    number, unit = value[:-2], value[-2:].upper()
    try:
        if (size := int(float(number) * units[unit])) < 0:
            raise ValueError
        return size
    except (KeyError, ValueError, OverflowError) as error:
        raise click.BadParameter(f"{value!r} is no size; write a number and KB, MB, GB or TB, such as 8GB.") from error


cache_option = click.option("--cache", type=PATH, default=Path("cache"), show_default=True, help="The feature cache.")
label_option = click.option(
    "--label", "labels", multiple=True, metavar="COL|NAME=COL,COL", help="What to predict, one or several labels."
)
split_option = click.option("--split", metavar="COL", help="Column of train, validation, test.")
keep_option = click.option("--keep", callback=split_names, metavar="A,B", help="Columns to store that no model sees.")
modalities_option = click.option("--modalities", callback=split_names, metavar="A,B", help="Default: all there are.")
text_encoder_option = click.option(
    "--text-encoder",
    multiple=True,
    metavar="ID|DIR|random",
    help="One, and any others as NAME=ID.  [default: bert-base-uncased; of --dataset lung: bert-base-chinese]",
)
image_encoder_option = click.option(
    "--image-encoder",
    multiple=True,
    metavar="resnet34|FILE|LIBRARY:MODEL|random",
    help="One, and any others as NAME=...; LIBRARY is torchvision, timm or xrv.  [default: resnet34]",
)
encoder_option = click.option(
    "--encoder",
    multiple=True,
    metavar="CONTENT=ID",
    help="Of items that are neither texts nor images, from an installed package; any others as CONTENT.NAME=ID.",
)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="omnifuse")
def main() -> None:
    """Encode clinical records once; train multimodal models on the cache in minutes.

    For research, not for clinical decisions.
    """
    # Read when torch is imported. Threads that wait by spinning made a training beside another job three times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@main.command()
@click.option("--out", type=PATH, default=Path("demo"), show_default=True, help="Folder for everything that it makes.")
@click.option("--stays", type=click.IntRange(min=100), default=1200, show_default=True, help="ICU stays.")
@click.option("--seed", default=0, show_default=True, help="Decides cohort and training.")
@reporting("The same command starts the demo over.")
def demo(out: Path, stays: int, seed: int) -> Result:
    """Try it all on a synthetic cohort.

    Writes raw files, extracts a cache, trains three models and writes a report.
    """
    from .demo import demo_text, run_demo

    finished = run_demo(out, stays, seed, partial(click.echo, err=True))
    return Result(finished.to_json(), demo_text(finished))


@main.command()
@text_encoder_option
@image_encoder_option
@encoder_option
@click.option("--raw", type=PATH, help="A folder of raw files: which data set it is, and what of it is there.")
@reporting()
def doctor(
    text_encoder: tuple[str, ...], image_encoder: tuple[str, ...], encoder: tuple[str, ...], raw: Path | None
) -> Result:
    """Check packages, weights, data.

    Each problem comes with its mend; exit code 1 if there is any.
    """
    from .pipeline.check import checks_text
    from .pipeline.core.encoders import Encoders
    from .pipeline.doctor import examine

    checks = examine(Encoders.parse(text_encoder, image_encoder, others=encoder), raw)
    passed = all(check.state != "problem" for check in checks)
    content = {"passed": passed, "checks": [vars(check) for check in checks]}
    return Result(content, checks_text(checks), 0 if passed else 1)


@main.command()
@click.option("--out", type=PATH, required=True, help="New folder for the raw files.")
@click.option("--stays", default=500, show_default=True, help="ICU stays of the cohort, or patients.")
@click.option("--seed", default=0, show_default=True)
@click.option("--layout", type=click.Choice(["mimic4", "mimic3", "lung"]), default="mimic4", show_default=True)
@click.option("--events-per-stay", default=300, show_default=True, help="Rows in CHARTEVENTS for each stay.")
@click.option("--images", type=int, help="Write at most this many chest images.  [default: all]")
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(PROBLEMS),
    help="Leave one of the planted problems out; may be repeated.",
)
@reporting("Nothing is in place; the same command starts over.")
def synth(
    out: Path, stays: int, seed: int, layout: Any, events_per_stay: int, images: int | None, without: tuple[str, ...]
) -> Result:
    """Write a synthetic raw folder.

    It is shaped like MIMIC and planted with missing, imbalanced and void modalities; or of lung patients.
    """
    from .cache_schema import InputError
    from .pipeline.synthetic import Law, SynthSettings, write_cohort
    from .pipeline.synthetic.lung import write_lung
    from .progress import next_text

    dataset, whom = ("lung", "patients") if layout == "lung" else ("synthetic", "stays")
    if layout != "lung":
        law = Law("missing" not in without, "imbalance" not in without, "void" not in without)
        write_cohort(out, SynthSettings(stays, seed, layout, events_per_stay, images, law))
    elif images is None and not without:
        write_lung(out, stays, seed)
    else:
        raise InputError("--images and --without are for the MIMIC-shaped cohorts; leave them out with lung.")
    after = next_text("omnifuse", "extract", "--dataset", dataset, "--raw", out)
    return Result({"raw": str(out), whom: stays}, f"Wrote {stays:,} {whom} to {out}.\n{after}")


@main.command()
@click.option("--dataset", required=True, help="mimic, physionet2012, lung, meds, synthetic, or files.")
@click.option("--raw", type=PATH, help="Raw files.  [default: $OMNIFUSE_DATA/DATASET, then ./data/DATASET]")
@cache_option
@modalities_option
@click.option(
    "--profile",
    type=click.Choice(["clean", "benchmark"]),
    default="clean",
    show_default=True,
    help="Mended values, or those of the published MIMIC-III benchmark, oddities included.",
)
@click.option("--bin-hours", default=2.0, show_default=True, help="Width of an EHR bin.")
@text_encoder_option
@image_encoder_option
@encoder_option
@click.option("--limit", type=int, help="Only the first samples, in order of their id.")
@click.option(
    "--without-rule",
    "without",
    multiple=True,
    metavar="NAME",
    help="Switch a rule of the clean profile off; may be repeated.",
)
@click.option(
    "--splits",
    multiple=True,
    type=PATH,
    help="Table of subject_id and split (train, val, test), or folder of testset.csv and valset.csv; may be repeated.",
)
@click.option("--samples", type=PATH, metavar="TABLE", help="Your own table, for --dataset files; labels, for meds.")
@click.option("--columns", type=PATH, metavar="YAML", help="What the columns of --samples are; codes to use, for meds.")
@click.option("--window-hours", type=float, help="How far --dataset meds looks back.  [default: 48]")
@click.option("--events", multiple=True, metavar="NAME=FILE", help="A long table of events beside --samples.")
@label_option
@split_option
@keep_option
@click.option("--workers", type=click.IntRange(min=0), default=1, show_default=True, help="Processes that read items.")
@click.option("--scheduler", metavar="URL", help="A Dask scheduler, such as tcp://host:8786, whose workers encode.")
@click.option("--parts", metavar="URL", help="Where those workers leave what they encoded, if not on a shared disk.")
@click.option("--reuse", type=PATH, metavar="CACHE", help="Take items over that an older cache has encoded already.")
@click.option("--drop-items", is_flag=True, help="Delete the encoded parts after the commit.")
@click.option(
    "--pseudonymise", is_flag=True, help="Replace ids by hashes with a secret key, which is kept in CACHE.key."
)
@click.option("--dry-run", is_flag=True, help="Check the files, say what would be done, write nothing.")
@reporting("Parts that were encoded are kept; the same command goes on from there.")
def extract(
    dataset: str,
    raw: Path | None,
    cache: Path,
    modalities: tuple[str, ...] | None,
    profile: str,
    bin_hours: float,
    limit: int | None,
    without: tuple[str, ...],
    splits: tuple[Path, ...],
    samples: Path | None,
    columns: Path | None,
    window_hours: float | None,
    events: tuple[str, ...],
    labels: tuple[str, ...],
    split: str | None,
    keep: tuple[str, ...] | None,
    text_encoder: tuple[str, ...],
    image_encoder: tuple[str, ...],
    encoder: tuple[str, ...],
    workers: int,
    scheduler: str | None,
    parts: str | None,
    pseudonymise: bool,
    **how: Any,
) -> Result:
    """Turn raw records into a cache.

    Killed at any time, the same command goes on from there.
    """
    from .pipeline.core.encode import Machines
    from .pipeline.core.encoders import DEFAULT_TEXT, Encoders
    from .pipeline.core.stages import extract
    from .pipeline.pseudonym_key import secret_key
    from .pipeline.sources import DEFAULT_TEXT_ENCODERS, SourceOptions, TableOptions, open_dataset, raw_folder
    from .pipeline.sources.pairs import named_files
    from .pipeline.summary import outcome

    folder = raw_folder(dataset, raw, samples)
    table = TableOptions(samples, columns, labels, split, keep or (), named_files("--events", events))
    key = secret_key(cache, keep=not how["dry_run"]) if pseudonymise else None
    options = SourceOptions(modalities, profile, bin_hours, limit, without, splits, table, window_hours, key)
    source = open_dataset(dataset, folder, options)
    encoders = Encoders.parse(text_encoder, image_encoder, DEFAULT_TEXT_ENCODERS.get(dataset, DEFAULT_TEXT), encoder)
    extraction = extract(source, cache, encoders, Machines(workers, scheduler, parts), **how)
    return Result(*outcome(extraction))


@main.command()
@click.argument("samples", type=PATH, metavar="TABLE")
@click.option("--columns", type=PATH, metavar="YAML", help="What the columns are, as of extract.")
@click.option("--events", multiple=True, metavar="NAME=FILE", help="A long table of events beside it.")
@label_option
@split_option
@keep_option
@click.option("--out", type=PATH, metavar="YAML", help="New file for the draft of --columns.")
@reporting()
def check(
    samples: Path,
    columns: Path | None,
    events: tuple[str, ...],
    labels: tuple[str, ...],
    split: str | None,
    keep: tuple[str, ...] | None,
    out: Path | None,
) -> Result:
    """List all problems of your own table.

    Says what each column would become in `extract --dataset files`, and drafts its YAML; exit code 1 if there are
    problems.
    """
    from .cache_schema import InputError
    from .pipeline.sources.files.check import check_table, check_text
    from .pipeline.sources.pairs import named_files
    from .pipeline.tables.sample_table import SampleColumns

    if out is not None and out.exists():
        raise InputError(f"{out} exists already; name a new file with --out.")
    found = check_table(samples, columns, SampleColumns(labels, split, keep or ()), named_files("--events", events))
    if out is not None:
        out.write_text(found.yaml, encoding="utf-8")
    return Result(found.to_json(), check_text(found), 1 if found.problems else 0)


@main.command()
@cache_option
@click.option("--task", help="Default: the cache's first with one prediction a sample.")
@click.option("--method", help="See `omnifuse methods`.  [default: omnifuse; of --preset best: stacking]")
@modalities_option
@click.option("--preset", default="default", show_default=True, help="Settings of a method by name.")
@click.option("--folds", type=click.IntRange(min=2), default=5, show_default=True, help="Folds by patient.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--device", default="cpu", show_default=True, help="A torch device, such as cuda.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Any setting; may be repeated.")
@click.option("--run", type=PATH, help="New folder for the run.  [default: runs/[TASK-]METHOD]")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Folds trained at once, in a process each; results stay the same.  [default: one for each core]",
)
@click.option(
    "--memory-limit",
    callback=memory_size,
    metavar="SIZE",
    help="Such as 8GB; rows for which that has no room stay on disk.  [default: half of the free memory for rows]",
)
@reporting("Folds that were finished are kept; the same command goes on with the others.")
def train(
    cache: Path,
    run: Path | None,
    workers: int | None,
    memory_limit: int | None,
    method: str | None,
    preset: str,
    overrides: tuple[str, ...],
    **settings: Any,
) -> Result:
    """Train and test a method.

    By cross-validation over patients, or on the cache's own split; writes a run folder with a report.
    """
    from .fusion.report import write_report
    from .fusion.report.page import REPORT
    from .fusion.runs.describe import run_text
    from .fusion.runs.train import train
    from .fusion.training.config import make_config
    from .fusion.training.folds import default_workers
    from .progress import next_text

    config = make_config(method, preset, overrides, **settings)
    wanted = run or Path("runs") / "-".join(name for name in (config.task, config.method) if name)
    at_once = workers or default_workers(config.device)
    made = train(cache, config, wanted, at_once, memory_limit, numbered=run is None, report=write_report)
    text = f"{run_text(made.metrics)}\nRun: {made.path}\nReport: {made.path / REPORT}"
    after = next_text("omnifuse", "report", made.path, "--patients")
    return Result({**made.metrics.to_json(), "run": str(made.path)}, f"{text}\n{after}")


@main.command()
@click.option("--run", type=PATH, required=True, help="Folder of a finished run.")
@cache_option
@click.option("--drop", callback=split_names, metavar="A,B", help="Modalities to hide.")
@click.option("--device", help="A torch device, such as cuda.  [default: that of the training]")
@click.option(
    "--out",
    type=PATH,
    default=Path("predictions.parquet"),
    show_default=True,
    help="A file ending in .parquet, .csv or .json, which says how it is written.",
)
@reporting("Nothing was written; give the same command again.")
def predict(run: Path, cache: Path, drop: tuple[str, ...] | None, device: str | None, out: Path) -> Result:
    """Predict a cache with a run.

    A sample is predicted by the mean of the run's models; of a subject that the run was trained on, by the model of the
    fold that tested it. For research, not for clinical decisions.
    """
    from .fusion.runs.answer import check_ending
    from .fusion.runs.run import load_run

    check_ending(out)
    answer = load_run(run, device).answer(cache, drop or ())
    answer.write(out)
    content = {"run": str(run), "cache": str(cache), "out": str(out), **answer.to_json()}
    text = f"Wrote {answer.table.height:,} predictions to {out}: {answer}. For research, not for clinical decisions."
    return Result(content, text)


@main.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@reporting()
def methods(names: tuple[str, ...]) -> Result:
    """List the methods, or all about those named."""
    from .fusion.methods.index import index, index_text

    if not names:
        entries = index()
        return Result({"methods": [entry._asdict() for entry in entries]}, index_text(entries))
    from .fusion.runs.describe import describe_methods, methods_text

    described = describe_methods(names)
    return Result({"methods": described}, methods_text(described))


@main.command()
@cache_option
@click.option("--task", help="Default: the cache's first with one prediction a sample.")
@modalities_option
@click.option("--preset", default="quick", show_default=True, metavar="NAME|FILE", help="A grid by name, or as YAML.")
@click.option("--out", type=PATH, default=Path("study"), show_default=True, help="Folder; one that exists goes on.")
@click.option("--workers", type=click.IntRange(min=1), help="Cells trained at once.  [default: one for each core]")
@click.option("--scheduler", metavar="URL", help="A Dask scheduler, such as tcp://host:8786, whose workers train.")
@click.option("--dry-run", is_flag=True, help="Say what would be trained and how long it may take.")
@reporting("Cells that were finished are kept; the same command goes on with the others.")
def study(
    cache: Path,
    task: str | None,
    modalities: tuple[str, ...] | None,
    preset: str,
    out: Path,
    workers: int | None,
    scheduler: str | None,
    dry_run: bool,
) -> Result:
    """Run a grid of trainings and report on it.

    Presets: quick, paper, paper-full, baselines. Stopped at any time, the same command goes on from there.
    """
    from .cluster import cluster
    from .fusion.report import write_study
    from .fusion.study.describe import failures_text, plan_content, plan_text
    from .fusion.study.grid import read_grid
    from .fusion.study.overview import study_results
    from .fusion.study.run import plan_study, run_study
    from .fusion.training.folds import default_workers

    plan = plan_study(cache, read_grid(preset), out, task, modalities)
    workers = workers or default_workers("cpu")
    content = plan_content(plan, workers)
    if dry_run:
        return Result(content, plan_text(content))
    click.echo(plan_text(content), err=True)
    with cluster(scheduler) if scheduler else nullcontext() as executor:
        failed = run_study(plan, workers, executor)
    if len(failed) == content["cells"]:  # a report has nothing to show, and the reasons must not be lost
        return Result(
            {**content, "failed": failed, "report": None}, f"{failures_text(failed)}No report: all failed.", 1
        )
    report = write_study(study_results(out), out)
    content |= {"failed": failed, "report": str(report)}
    return Result(content, f"{failures_text(failed)}Report: {report}", 1 if failed else 0)


@main.command()
@click.argument("folder", type=PATH, metavar="RUN|STUDY")
@click.option("--patients", is_flag=True, help="Of a run, also a page to look at single samples. It holds their ids.")
@click.option("--against", type=PATH, metavar="STUDY", help="Another study, on another cache, to set beside this one.")
@reporting("Every page and table is a whole one; the same command makes the others.")
def report(folder: Path, patients: bool, against: Path | None) -> Result:
    """Write the HTML report of a run or a study."""
    from .cache_schema import InputError
    from .fusion.report import write_patients, write_report, write_study
    from .fusion.study.overview import is_study, study_results

    if against is not None and not is_study(folder):
        raise InputError(f"{folder} is no study, and --against sets two studies side by side; leave it out.")
    path = write_study(study_results(folder, against), folder) if is_study(folder) else write_report(folder)
    content = {"report": str(path)}
    if patients:
        content["patients"] = str(write_patients(folder))
    return Result(content, "\n".join(f"Wrote {written}" for written in content.values()))


@main.group()
def cache() -> None:
    """Import, export, inspect, compare or verify a cache."""


@cache.command("import")
@click.option("--samples", type=PATH, required=True, help="Table of sample_id, subject_id, labels.")
@click.option(
    "--features",
    multiple=True,
    required=True,
    metavar="NAME=FILE[#PART]|FILE",
    help="Numbers with sample ids, one modality; repeat it. FILE alone: every modality of a MuData file or an export.",
)
@label_option
@split_option
@keep_option
@cache_option
@reporting("The same command goes on from there.")
def import_features(
    samples: Path,
    features: tuple[str, ...],
    labels: tuple[str, ...],
    split: str | None,
    keep: tuple[str, ...] | None,
    cache: Path,
) -> Result:
    """Make a cache of your own features, joined by sample_id; a sample without a row lacks the modality.

    Tables are .csv, .tsv, .parquet, matrices .npz, .npy, .h5, .h5ad, .h5mu; a folder has a file SAMPLE_ID.h5 for each
    sample. PART says what of a file is meant, such as cells.h5ad#obsm/X_pca. Exports of a cache come back as they were.
    """
    from .pipeline.core.encoders import Encoders
    from .pipeline.core.stages import extract
    from .pipeline.sources.imported import ImportedDataSet, with_every_modality
    from .pipeline.sources.pairs import named_files
    from .pipeline.summary import outcome

    files = named_files("--features", with_every_modality(features))
    source = ImportedDataSet(samples, files, labels, split, keep or ())
    extraction = extract(source, cache, Encoders())
    return Result(*outcome(extraction))


@cache.command()
@cache_option
@reporting()
def info(cache: Path) -> Result:
    """Show what a cache holds and how it was made."""
    from .cache_schema import cache_text
    from .pipeline.summary import cache_content

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
    from .cache_schema import FeatureCache

    FeatureCache.open(cache).export(form, out, modalities)
    return Result({"cache": str(cache), "format": form, "out": str(out)}, f"Wrote {out}")


@cache.command()
@click.argument("other", type=PATH)
@cache_option
@reporting()
def diff(other: Path, cache: Path) -> Result:
    """Say how another cache differs.

    Compared are settings, inputs, samples and arrays; exit code 1 if anything is not the same.
    """
    from .cache_schema import FeatureCache, compare_caches, comparison_text

    result = compare_caches(FeatureCache.open(cache), FeatureCache.open(other))
    content = {"cache": str(cache), "other": str(other), **result.to_json()}
    return Result(content, comparison_text(result), 0 if result.same else 1)


@cache.command()
@cache_option
@reporting()
def verify(cache: Path) -> Result:
    """Compare every stored byte with the manifest; exit code 1 if anything differs."""
    from dataclasses import asdict

    from .cache_schema import verification_text, verify_cache

    result = verify_cache(cache)
    content = {"cache": str(cache), "passed": result.passed, **asdict(result)}
    return Result(content, verification_text(result), 0 if result.passed else 1)


if __name__ == "__main__":
    main()
