"""Is any modality lazy? AUROC of a linear probe on each jointly trained encoder, beside that of a unimodal model.

    python benchmarks/laziness_probe.py [--cache CACHE] [--method concat] [--preset default]

A modality is lazy if the encoder that was trained together with the others says less of the label than one trained
alone: a claim about laziness activation needs a difference of .02 or more. The probe is a logistic regression on the
embeddings of the training part; both are tested on the test fold, on the samples that have the modality.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import torch
from omnifuse.cache_schema import FeatureCache
from omnifuse.fusion.batches import load
from omnifuse.fusion.config import make_config
from omnifuse.fusion.folds import default_workers, torch_threads
from omnifuse.fusion.metrics import auroc
from omnifuse.fusion.model import Model
from omnifuse.fusion.preparation import prepare
from omnifuse.fusion.run import train
from sklearn.linear_model import LogisticRegression


def main() -> None:
    """Print one JSON line per modality."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("demo/cache"), help="Default: that of `make demo`.")
    parser.add_argument("--task", default="mortality")
    parser.add_argument("--method", default="concat")
    parser.add_argument("--preset", default="default")
    options = parser.parse_args()
    cohort = load(FeatureCache.open(options.cache), options.task)
    names = cohort.modalities
    place = {sample: number for number, sample in enumerate(cohort.sample_id)}
    probes: dict[str, list[float | None]] = {name: [] for name in names}
    alone: dict[str, list[float | None]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as temporary, torch_threads(1):
        joint, unimodal = Path(temporary) / "joint", Path(temporary) / "unimodal"
        config = make_config(options.method, options.preset, task=options.task)
        train(options.cache, config, joint, default_workers("cpu"))
        train(options.cache, make_config("unimodal", task=options.task), unimodal, default_workers("cpu"))
        prepared = prepare(cohort, config.encoder)
        parts = pl.read_parquet(joint / "splits.parquet")
        said = pl.read_parquet(unimodal / "predictions.parquet")
        for fold in range(config.folds):
            model = Model.load(joint / "folds" / str(fold), config, cohort.task, prepared)
            with torch.no_grad():
                everyone = model.inputs(cohort, prepared).batch(torch.arange(len(cohort)))
                embeddings = model.method.encode(everyone).embeddings.numpy()  # [N, M, D]
            of_fold = parts.filter(fold=fold)
            rows = {
                part: np.array([place[sample] for sample in of_fold.filter(part=part)["sample_id"]])
                for part in ("train", "test")
            }
            tested = said.filter(fold=fold)
            for m, name in enumerate(names):
                fit, test = (samples[cohort.presence[samples, m]] for samples in rows.values())
                probe = LogisticRegression(C=0.1, max_iter=1000).fit(embeddings[fit, m], cohort.y[fit, 0])
                probes[name].append(auroc(cohort.y[test, 0], probe.decision_function(embeddings[test, m])))
                has = tested.filter(pl.col(f"{name}.present"))
                alone[name].append(auroc(has["y"].to_numpy().astype(float), has[f"{name}.p"].to_numpy()))
    for name in names:
        probe, single = (float(np.mean(values)) for values in (probes[name], alone[name]))
        print(json.dumps({"modality": name, "probe": probe, "unimodal": single, "lost": single - probe}))


if __name__ == "__main__":
    main()
