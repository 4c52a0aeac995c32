"""Every method on one cache by cross-validation: means over seeds, what seeds differ by, and differences to concat.

    python benchmarks/compare_methods.py [--cache CACHE] [--methods concat,late] [--seeds 5] [--set KEY=VALUE]

Encoders, budget and seeds are the same for all of them; each seed cuts folds of its own. Everything is of the mean over
folds and seeds: the standard deviation over seeds, the 95 % interval (other patients and other trainings), and the
difference to the reference with Holm's p over the table and the verdict, as in a study. One JSON line a method is
printed, then one table. With ``--out FOLDER`` runs are kept, as METHOD-SEED or METHOD_PRESET-SEED, and not trained
again. With ``--set search.trials=4`` every method gets the same search; one that names no settings to search over is
left out. What a training costs is measured by method_cost.py.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
from omnifuse.cache_schema import FeatureCache
from omnifuse.fusion.methods import METHODS
from omnifuse.fusion.runs.folder import RunFolder
from omnifuse.fusion.runs.plan import first_task
from omnifuse.fusion.runs.train import train
from omnifuse.fusion.scores.paired import holm
from omnifuse.fusion.study.cell import Cell, Scope
from omnifuse.fusion.study.finished import FinishedCell, FinishedStudy, compare, pooled, sd_over_seeds
from omnifuse.fusion.study.results import Estimate
from omnifuse.fusion.study.verdict import verdict
from omnifuse.fusion.training.config import make_config
from omnifuse.fusion.training.search import space_of


def trained(
    study: FinishedStudy, cache: FeatureCache, wanted: str, overrides: list[str], workers: int
) -> list[FinishedCell]:
    """Train one method with every seed, unless its run is in the folder of the study; return the runs."""
    scope, runs = study.scope, []
    name, _, preset = wanted.partition(":")
    for seed in scope.seeds:
        path = study.folder / f"{wanted.replace(':', '_')}-{seed}"
        if not RunFolder(path).is_finished:
            train(cache, make_config(name, preset or "default", overrides, seed=seed), path, workers)
        runs.append(FinishedCell(path, cell=Cell(wanted, scope.modalities, scope.task, scope.folds, seed)))
    return runs


def measured(study: FinishedStudy, runs: Sequence[FinishedCell]) -> dict[str, Any]:
    """Return the areas of a method with their intervals, and the standard deviation of the AUROC over seeds."""
    areas = {measure: asdict(pooled(runs, study, measure)) for measure in ("auroc", "auprc")}
    return {"method": runs[0].cell.method, **areas, "sd over seeds": sd_over_seeds(runs)}


def table(study: FinishedStudy, runs: dict[str, list[FinishedCell]], reference: str) -> str:
    """Return the results as a Markdown table."""
    found = {wanted: compare(of, runs[reference], study) for wanted, of in runs.items() if wanted != reference}
    adjusted = dict(zip(found, holm([one.p if one else None for one in found.values()]), strict=True))
    of_method = "| method | AUROC | sd over seeds | 95 % interval | AUPRC "
    lines = [
        f"{of_method}| minus {reference} | 95 % interval | p, Holm | verdict |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for wanted, of in runs.items():
        area, sd, precision = pooled(of, study), sd_over_seeds(of), pooled(of, study, "auprc")
        cells = [f"`{wanted}`", f"{area.value:.3f}", "–" if sd is None else f"{sd:.4f}", interval(area)]
        cells.append(f"{precision.value:.3f}")
        one, p = found.get(wanted), adjusted.get(wanted)
        if one is not None and p is not None:
            difference = one.difference
            shown = f"{p:.3f}" if p >= 0.0005 else "< 0.001"
            word = verdict(one, p, study.scope.margin)
            cells += [f"{difference.value:+.4f}", interval(difference, "+.4f"), shown, word]
        else:
            cells += ["–"] * 4
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def interval(of: Estimate, form: str = ".3f") -> str:
    """Return the bounds of an interval."""
    return f"{of.low:{form}} to {of.high:{form}}"


def main() -> None:
    """Print one JSON line per method and preset, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("demo/cache"), help="Default: that of `make demo`.")
    parser.add_argument("--methods", default=",".join(METHODS.names()), help="NAME or NAME:PRESET, by commas.")
    parser.add_argument("--reference", default="concat", help="The method that the others are compared with.")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, help="Folder of the runs; by default they are not kept.")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    cache = FeatureCache.open(options.cache)
    samples = cache.samples
    subject = samples["subject_id"].rank("dense").cast(pl.Int64).rename("subject")
    config = make_config(overrides=options.overrides)
    scope = Scope(first_task(cache), tuple(cache.modalities), config.folds, tuple(range(options.seeds)))
    runs = {}
    with tempfile.TemporaryDirectory() as folder:
        study = FinishedStudy(options.out or Path(folder), scope, pl.DataFrame([samples["sample_id"], subject]))
        for wanted in dict.fromkeys([options.reference, *options.methods.split(",")]):
            name, _, preset = wanted.partition(":")
            config = make_config(name, preset or "default", options.overrides)
            if config.search.trials and not space_of(config):
                continue
            runs[wanted] = trained(study, cache, wanted, options.overrides, options.workers)
            print(json.dumps(measured(study, runs[wanted])), flush=True)
        print(table(study, runs, options.reference))


if __name__ == "__main__":
    main()
