"""Logistic regression of scikit-learn on the means of every modality, cross-validated by patient.

    python examples/scikit_learn.py [--cache demo/cache] [--task mortality]

Medians and scales are fitted inside each fold, on its training patients alone.
"""

import argparse
import warnings

import numpy as np
from omnifuse import FeatureCache
from omnifuse.cache_schema import Modality
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def means(modality: Modality) -> np.ndarray:
    """Return one row a sample ``[N, D]``: the mean of its known values, NaN where the modality is missing."""
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # means of nothing are NaN, as they should
        return np.stack([np.nanmean(modality[i], axis=0, dtype=np.float32) for i in range(len(modality))])


def main() -> None:
    """Print the AUROC over the patients of all test folds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", default="demo/cache")
    parser.add_argument("--task", default="mortality")
    options = parser.parse_args()

    cache = FeatureCache.open(options.cache)
    y = cache.task(options.task).y[:, 0]
    x = np.hstack([means(modality) for modality in cache.task_inputs(options.task).values()])  # [N, columns]
    known = ~np.isnan(y)
    x, y, patients = x[known], y[known], cache.samples["subject_id"].to_numpy()[known]

    model = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=0.01, max_iter=1000),
    )
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    predicted = cross_val_predict(model, x, y, groups=patients, cv=folds, method="predict_proba")[:, 1]
    print(f"{len(y):,} samples, {x.shape[1]:,} columns: AUROC {roc_auc_score(y, predicted):.3f}")


if __name__ == "__main__":
    main()
