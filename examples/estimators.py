"""A fusion method as an estimator of scikit-learn: in a pipeline, cross-validated by patient, and on arrays.

    python examples/estimators.py [--cache demo/cache] [--task mortality] [--method concat]

Nothing is written to disk; scales are fitted inside each fold, on its training patients alone.
"""

import argparse
import warnings

import numpy as np
from omnifuse import FeatureCache, FusionClassifier
from omnifuse.cache_schema import Modality
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def means(modality: Modality) -> np.ndarray:
    """Return one row a sample ``[N, D]``: the mean of its known values, NaN where the modality is missing."""
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # means of nothing are NaN, as they should
        return np.stack([np.nanmean(modality[i], axis=0, dtype=np.float32) for i in range(len(modality))])


def main() -> None:
    """Print the AUROC of a table whose columns are several modalities, and what the modalities themselves give."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", default="demo/cache")
    parser.add_argument("--task", default="mortality")
    parser.add_argument("--method", default="concat")
    options = parser.parse_args()

    cache = FeatureCache.open(options.cache)
    y = cache.task(options.task).y[:, 0]
    known = np.flatnonzero(~np.isnan(y))
    y, patients = y[known].astype(int), cache.samples["subject_id"].to_numpy()[known]
    inputs = {name: modality.take(known) for name, modality in cache.task_inputs(options.task).items()}

    parts = {name: means(modality) for name, modality in inputs.items()}  # each [N, D]
    ends = np.cumsum([part.shape[1] for part in parts.values()])
    columns = {name: range(end - part.shape[1], end) for (name, part), end in zip(parts.items(), ends, strict=True)}
    model = make_pipeline(StandardScaler(), FusionClassifier(options.method, modalities=columns))
    folds = StratifiedGroupKFold(3, shuffle=True, random_state=0)
    areas = cross_val_score(model, np.hstack(list(parts.values())), y, groups=patients, cv=folds, scoring="roc_auc")
    print(f"means of {', '.join(parts)} as one table: AUROC {areas.mean():.3f} in {len(areas)} folds")

    # the modalities themselves: any number of rows a sample, none where it is missing
    train, test = next(folds.split(y, y, patients))
    model = FusionClassifier(options.method)
    model.fit({name: rows.take(train) for name, rows in inputs.items()}, y[train], groups=patients[train])
    accuracy = model.score({name: rows.take(test) for name, rows in inputs.items()}, y[test])
    print(f"all rows of {', '.join(inputs)}: accuracy {accuracy:.2f} of {len(test):,} samples held out")


if __name__ == "__main__":
    main()
