"""Every method on one cache: AUROC, AUPRC and their spread by cross-validation.

    python benchmarks/compare_methods.py [--cache CACHE] [--methods concat,late] [--seeds 1] [--set KEY=VALUE]

Folds, encoders, budget and seeds are the same for all of them. Fold means, the standard deviation over folds, and the
bootstrap interval of the pooled predictions are printed as JSON lines, then all as one table. With
``--set search.trials=4`` every method gets the same search; one that names no settings to search over is left out.
What a training costs is measured by method_cost.py.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from omnifuse.fusion import methods
from omnifuse.fusion.config import make_config
from omnifuse.fusion.run import train
from omnifuse.fusion.search import space_of


def measured(cache: Path, name: str, preset: str, seeds: int, overrides: list[str], workers: int) -> dict[str, Any]:
    """Train one method with every seed; return means over folds and seeds, and the interval of the first seed."""
    runs = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            config = make_config(name, preset, overrides, seed=seed)
            runs.append(train(cache, config, Path(folder) / "run", workers))
    scores = {
        score: float(np.mean([fold[score] for run in runs for fold in run["folds"]])) for score in ("auroc", "auprc")
    }
    return {
        "method": name if preset == "default" else f"{name} {preset}",
        **scores,
        "sd over folds": float(np.mean([run["auroc"]["sd"] or 0.0 for run in runs])),
        "ci": runs[0]["auroc"]["ci"],
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Return the results as a Markdown table."""
    lines = ["| method | AUROC | interval (pooled) | AUPRC |", "|---|---|---|---|"]
    for row in rows:
        low, high = row["ci"] or (np.nan, np.nan)
        lines.append(f"| `{row['method']}` | {row['auroc']:.3f} | {low:.3f}-{high:.3f} | {row['auprc']:.3f} |")
    return "\n".join(lines)


def main() -> None:
    """Print one JSON line per method and preset, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("demo/cache"), help="Default: that of `make demo`.")
    parser.add_argument("--methods", default=",".join(methods.names()), help="NAME or NAME:PRESET, by commas.")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    rows = []
    for wanted in options.methods.split(","):
        name, _, preset = wanted.partition(":")
        config = make_config(name, preset or "default", options.overrides)
        if config.search.trials and not space_of(config):
            continue
        rows.append(
            measured(options.cache, name, preset or "default", options.seeds, options.overrides, options.workers)
        )
        print(json.dumps(rows[-1]), flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
