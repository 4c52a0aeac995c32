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
import torch
from missing_modalities import Fold, trained
from omnifuse.cache_schema import FeatureCache
from omnifuse.fusion.inputs.batches import Cohort
from omnifuse.fusion.inputs.loading import load
from omnifuse.fusion.scores.metrics import auroc
from omnifuse.fusion.training.config import make_config
from omnifuse.fusion.training.folds import torch_threads
from omnifuse.fusion.training.loop import loop as training
from sklearn.linear_model import LogisticRegression


def probe(cohort: Cohort, fold: Fold, m: int) -> float | None:
    """Return the test AUROC of a logistic regression on the embeddings of modality m."""
    with torch.no_grad():
        everyone = fold.inputs.batch(torch.arange(len(cohort)))
        embeddings = fold.method.encode(everyone).embeddings[:, m].numpy()  # [N, D]
    fit, test = (part.numpy()[cohort.presence[part, m]] for part in (fold.train, fold.test))
    regression = LogisticRegression(C=0.1, max_iter=1000).fit(embeddings[fit], cohort.y[fit, 0])
    return auroc(cohort.y[test, 0], regression.decision_function(embeddings[test]))


def alone(cohort: Cohort, fold: Fold, m: int) -> float | None:
    """Return the test AUROC of the unimodal model of modality m."""
    said = training.predict(fold.method, fold.inputs, fold.test).modality_probability
    assert said is not None
    has = cohort.presence[fold.test, m]
    return auroc(cohort.y[fold.test][has, 0], said[:, m].numpy()[has])


def main() -> None:
    """Print one JSON line per modality."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("demo/cache"), help="Default: that of `make demo`.")
    parser.add_argument("--method", default="concat")
    parser.add_argument("--preset", default="default")
    options = parser.parse_args()
    cohort = load(FeatureCache.open(options.cache), "mortality")
    configs = (make_config(options.method, options.preset), make_config("unimodal"))
    with tempfile.TemporaryDirectory() as temporary, torch_threads(1):
        joint, unimodal = (trained(cohort, options.cache, c, Path(temporary) / c.method) for c in configs)
        for m, name in enumerate(cohort.modalities):
            probed = float(np.mean([probe(cohort, fold, m) for fold in joint]))
            single = float(np.mean([alone(cohort, fold, m) for fold in unimodal]))
            print(json.dumps({"modality": name, "probe": probed, "unimodal": single, "lost": single - probed}))


if __name__ == "__main__":
    main()
