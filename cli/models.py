"""Commands that train on a cache, and ask what was trained. Heavy imports happen inside the commands."""

from pathlib import Path
from typing import Any

import click

from .options import (
    PATH,
    StudyCommand,
    align_option,
    cache_option,
    device_option,
    drop_option,
    memory_size,
    modalities_option,
    part_or_share,
    run_option,
)
from .results import Result, reporting


@click.command()
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
    from ..fusion.library import train_config
    from ..fusion.report.page import REPORT
    from ..fusion.runs.describe import run_text
    from ..fusion.training.config import make_config
    from ..fusion.training.folds import default_workers
    from ..progress import next_text

    config = make_config(method, preset, overrides, **settings)
    made = train_config(cache, config, run, workers or default_workers(config.device), memory_limit, report=True)
    text = f"{run_text(made.metrics)}\nRun: {made.path}\nReport: {made.path / REPORT}"
    after = next_text("omnifuse", "report", made.path, "--patients")
    return Result({**made.metrics.to_json(), "run": str(made.path)}, f"{text}\n{after}")


@click.command()
@run_option
@cache_option
@align_option
@drop_option
@device_option
@click.option(
    "--out",
    type=PATH,
    default=Path("predictions.parquet"),
    show_default=True,
    help="A file ending in .parquet, .csv or .json, which says how it is written.",
)
@reporting("Nothing was written; give the same command again.")
def predict(
    run: Path, cache: Path, align: Path | None, drop: tuple[str, ...] | None, device: str | None, out: Path
) -> Result:
    """Predict a cache with a run.

    A sample is predicted by the mean of the run's models; of a subject that the run was trained on, by the model of the
    fold that tested it. Beside a prediction stands the set of answers, or the bounds of a quantity, that is to hold the
    truth for nine of ten samples (docs/trust.md). For research, not for clinical decisions.
    """
    from ..fusion.runs.aligned import aligned
    from ..fusion.runs.answer import check_ending
    from ..fusion.runs.run import load_run

    check_ending(out)
    opened = load_run(run, device)
    answer = opened.answer(aligned(opened, cache, align) if align else cache, drop or ())
    answer.write(out)
    content = {"run": str(run), "cache": str(cache), "out": str(out), **answer.to_json()}
    text = f"Wrote {answer.table.height:,} predictions to {out}: {answer}. For research, not for clinical decisions."
    return Result(content, text)


@click.command()
@run_option
@cache_option
@align_option
@drop_option
@device_option
@click.option(
    "--recalibrate",
    callback=part_or_share,
    metavar="PART|SHARE",
    help="Correct the probabilities by a part of the cache's split, or a share of its patients; judged by the others.",
)
@click.option("--out", type=PATH, help="New folder for a page with both sites, its tables and the predictions.")
@reporting("Nothing was written; give the same command again.")
def evaluate(
    run: Path, cache: Path, align: Path | None, drop: tuple[str, ...] | None, device: str | None,
    recalibrate: str | float | None, out: Path | None,
) -> Result:  # fmt: skip
    """Compare a run with the labels of a cache.

    Such as that of another hospital: every measure with its interval beside that of the training, calibration, groups,
    and what is different there. For research, not for clinical decisions.
    """
    from ..fusion.external.describe import evaluation_text
    from ..fusion.library import load_run
    from ..fusion.report.external import PAGE
    from ..fusion.runs.aligned import aligned

    opened = load_run(run, device)
    found = opened.evaluate(aligned(opened, cache, align) if align else cache, drop or (), recalibrate, out)
    page = None if out is None else str(out / PAGE)
    text = evaluation_text(found) + (f"\nReport: {page}" if page else "")
    return Result({**found.to_json(), "report": page}, text)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@reporting()
def methods(names: tuple[str, ...]) -> Result:
    """List the methods, or all about those named."""
    from ..fusion.methods.index import index, index_text

    if not names:
        entries = index()
        return Result({"methods": [entry._asdict() for entry in entries]}, index_text(entries))
    from ..fusion.runs.describe import describe_methods, methods_text

    described = describe_methods(names)
    return Result({"methods": described}, methods_text(described))


@click.command(cls=StudyCommand)
@cache_option
@click.option("--task", help="Default: the cache's first with one prediction a sample.")
@modalities_option
@click.option("--preset", default="quick", show_default=True, metavar="NAME|FILE", help="A grid by name, or as YAML.")
@click.option("--out", type=PATH, default=Path("study"), show_default=True, help="Folder; one that exists goes on.")
@click.option("--workers", type=click.IntRange(min=1), help="Cells trained at once.  [default: one for each core]")
@click.option("--scheduler", metavar="URL", help="A Dask scheduler, such as tcp://host:8786, whose workers train.")
@click.option("--dry-run", is_flag=True, help="Say what would be trained and how long it may take.")
@click.option("--strict", is_flag=True, help="Of a publication: train only if every expected number is found.")
@reporting("Cells that were finished are kept; the same command goes on with the others.")
def study(
    cache: Path, preset: str, out: Path, workers: int | None, scheduler: str | None, dry_run: bool, strict: bool,
    **data: Any,
) -> Result:  # fmt: skip
    """Run a grid of trainings and report on it.

    Stopped at any time, the same command goes on from there.
    """
    from ..fusion.library import study_plan
    from ..fusion.study.describe import failures_text, plan_content, plan_text
    from ..fusion.study.grid import read_grid
    from ..fusion.study.run import plan_study, refuse_difference
    from ..fusion.training.folds import default_workers

    plan = plan_study(cache, read_grid(preset), out, **data)
    if strict:
        refuse_difference(plan)
    workers = workers or default_workers("cpu")
    content = plan_content(plan, workers)
    if dry_run:
        return Result(content, plan_text(content))
    click.echo(plan_text(content), err=True)
    done = study_plan(plan, workers, scheduler)
    report = None if done.report is None else str(done.report)
    text = failures_text(done.failed) + (f"Report: {report}" if report else "No report: all failed.")
    return Result({**content, "failed": done.failed, "report": report}, text, 1 if done.failed else 0)


@click.command()
@click.argument("folder", type=PATH, metavar="RUN|STUDY")
@click.option("--patients", is_flag=True, help="Of a run, also a page to look at single samples. It holds their ids.")
@click.option("--against", type=PATH, metavar="STUDY", help="Another study, on another cache, to set beside this one.")
@click.option("--paper", type=PATH, metavar="DIR", help="Write what a paper needs into a new folder, and nothing else.")
@reporting("Every page and table is a whole one; the same command makes the others.")
def report(folder: Path, patients: bool, against: Path | None, paper: Path | None) -> Result:
    """Write the HTML report of a run or a study."""
    from ..cache_schema import InputError

    if paper is not None:
        from ..fusion.paper import write_paper

        written = write_paper(folder, paper)
        files = sorted(path.relative_to(written).as_posix() for path in written.rglob("*") if path.is_file())
        return Result(
            {"paper": str(written), "files": files}, f"Wrote {len(files)} files to {written}; see README.md there."
        )
    from ..fusion.report import write_patients, write_report, write_study
    from ..fusion.study.overview import is_study, study_results

    if against is not None and not is_study(folder):
        raise InputError(f"{folder} is no study, and --against sets two studies side by side; leave it out.")
    path = write_study(study_results(folder, against), folder) if is_study(folder) else write_report(folder)
    content = {"report": str(path)}
    if patients:
        content["patients"] = str(write_patients(folder))
    return Result(content, "\n".join(f"Wrote {written}" for written in content.values()))
