"""The command line: parse, call the library, print. Heavy imports happen inside the commands."""

import os
from functools import partial
from pathlib import Path

import click

from . import caches, models, records
from .options import PATH, Commands
from .results import Result, reporting


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="omnifuse")
def main() -> None:
    """Encode clinical records once; train multimodal models on the cache in minutes.

    For research, not for clinical decisions.
    """
    # Read when torch is imported. Threads that wait by spinning made a training beside another job three times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@click.command()
@click.option("--out", type=PATH, default=Path("demo"), show_default=True, help="Folder for everything that it makes.")
@click.option("--stays", type=click.IntRange(min=100), default=1200, show_default=True, help="ICU stays.")
@click.option("--seed", default=0, show_default=True, help="Decides cohort and training.")
@reporting("The same command starts the demo over.")
def demo(out: Path, stays: int, seed: int) -> Result:
    """Try it all on a synthetic cohort.

    Writes raw files, extracts a cache, trains three models and writes a report.
    """
    from ..demo import demo_text, run_demo

    finished = run_demo(out, stays, seed, partial(click.echo, err=True))
    return Result(finished.to_json(), demo_text(finished))


for command in (
    demo,
    records.doctor,
    records.synth,
    records.extract,
    records.check,
    records.variables,
    models.train,
    models.predict,
    models.methods,
    models.study,
    models.report,
    caches.cache,
):
    main.add_command(command)
