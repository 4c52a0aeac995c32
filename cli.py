"""The command line: parse, call the library, print. Heavy imports happen inside the commands."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import click

from .terminal import (
    PATH,
    Choice,
    Commands,
    DataSetCommand,
    Result,
    StudyCommand,
    cache_option,
    encoder_options,
    memory_size,
    modalities_option,
    reporting,
    split_names,
)

PROBLEMS = ("missing", "imbalance", "void")  # what the synthetic cohort plants


def every_core() -> int:
    """Return how many cores this process may use."""
    from .processes import cores

    return cores()


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
@encoder_options
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
    from .pipeline.synthetic.raw_folder import write_raw
    from .progress import next_text

    dataset, whom = write_raw(out, layout, stays, seed, **how)
    after = next_text("omnifuse", "extract", "--dataset", dataset, "--raw", out)
    return Result({"raw": str(out), whom: stays}, f"Wrote {stays:,} {whom} to {out}.\n{after}")


@main.command(cls=DataSetCommand)
@click.option("--dataset", required=True, metavar="NAME", help="One of those below.")
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
def extract(dataset: str, raw: Path | None, cache: Path, options: dict[str, Any], **how: Any) -> Result:
    """Turn raw records into a cache.

    Killed at any time, the same command goes on from there. `omnifuse extract --dataset NAME --help` shows the options
    of a data set.
    """
    from .pipeline.library import extract
    from .pipeline.summary import outcome

    return Result(*outcome(extract(dataset, raw, cache, **how, **options)))


@main.command(cls=DataSetCommand, dataset="files", only=("columns", "events", "label", "split", "keep"))
@click.argument("samples", type=PATH, metavar="TABLE")
@click.option("--out", type=PATH, metavar="YAML", help="New file for the draft of --columns.")
@reporting()
def check(samples: Path, out: Path | None, options: dict[str, Any]) -> Result:
    """List all problems of your own table.

    Says what each column would become in `extract --dataset files`, and drafts its YAML; exit code 1 if there are
    problems.
    """
    from .cache_schema import InputError
    from .pipeline.sources import make_options
    from .pipeline.sources.files.check import check_table, check_text

    if out is not None and out.exists():
        raise InputError(f"{out} exists already; name a new file with --out.")
    found = check_table(make_options("files", {"samples": samples, **options}))
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
    cache: Path, run: Path | None, workers: int | None, memory_limit: int | None, method: str | None, preset: str,
    overrides: tuple[str, ...], **settings: Any,
) -> Result:  # fmt: skip
    """Train and test a method.

    By cross-validation over patients, or on the cache's own split; writes a run folder with a report.
    """
    from .fusion.library import train_config
    from .fusion.report.page import REPORT
    from .fusion.runs.describe import run_text
    from .fusion.training.config import make_config
    from .fusion.training.folds import default_workers
    from .progress import next_text

    config = make_config(method, preset, overrides, **settings)
    made = train_config(cache, config, run, workers or default_workers(config.device), memory_limit, report=True)
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
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--raw", type=PATH, help="Count their rows in a folder of MIMIC, too.")
@reporting()
def variables(names: tuple[str, ...], raw: Path | None) -> Result:
    """List the variables of MIMIC, or all about those named."""
    from .pipeline.sources.mimic.concepts.describe import describe, describe_text

    described = describe(names, raw)
    return Result(described, describe_text(names, described))


@main.command(cls=StudyCommand)
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
    cache: Path, preset: str, out: Path, workers: int | None, scheduler: str | None, dry_run: bool, **data: Any
) -> Result:
    """Run a grid of trainings and report on it.

    Stopped at any time, the same command goes on from there.
    """
    from .fusion.library import study_plan
    from .fusion.study.describe import failures_text, plan_content, plan_text
    from .fusion.study.grid import read_grid
    from .fusion.study.run import plan_study
    from .fusion.training.folds import default_workers

    plan = plan_study(cache, read_grid(preset), out, **data)
    workers = workers or default_workers("cpu")
    content = plan_content(plan, workers)
    if dry_run:
        return Result(content, plan_text(content))
    click.echo(plan_text(content), err=True)
    done = study_plan(plan, workers, scheduler)
    report = None if done.report is None else str(done.report)
    text = failures_text(done.failed) + (f"Report: {report}" if report else "No report: all failed.")
    return Result({**content, "failed": done.failed, "report": report}, text, 1 if done.failed else 0)


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


@cache.command("import", cls=DataSetCommand, dataset="imported")
@cache_option
@reporting("The same command goes on from there.")
def import_features(cache: Path, options: dict[str, Any]) -> Result:
    """Make a cache of your own features, joined by sample_id; a sample without a row lacks the modality.

    Tables are .csv, .tsv, .parquet, matrices .npz, .npy, .h5, .h5ad, .h5mu; a folder has a file SAMPLE_ID.h5 for each
    sample. PART says what of a file is meant, such as cells.h5ad#obsm/X_pca. Exports of a cache come back as they were.
    """
    from .pipeline.core.encoders import Encoders
    from .pipeline.core.stages import extract
    from .pipeline.sources import open_dataset
    from .pipeline.summary import outcome

    return Result(*outcome(extract(open_dataset("imported", options=options), cache, Encoders())))


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
