"""Gradient boosting of scikit-learn on the last values of a time series, with what is missing left missing.

    python examples/gradient_boosting.py [--cache demo/cache] [--task mortality] [--modality ehr]

XGBoost and LightGBM read the same matrix.
"""

import argparse

import numpy as np
from omnifuse import FeatureCache
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

LEAST = 20
"""Samples in which a column must be known."""


def main() -> None:
    """Print the AUROC over the patients of all test folds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", default="demo/cache")
    parser.add_argument("--task", default="mortality")
    parser.add_argument("--modality", default="ehr")
    options = parser.parse_args()

    cache = FeatureCache.open(options.cache)
    y = cache.task(options.task).y[:, 0]
    [series] = cache.task_inputs(options.task, [options.modality]).values()
    last = np.full((len(series), series.dim), np.nan, np.float32)  # [N, D]
    last[series.present] = series.values[series.offsets[1:][series.present] - 1]  # rows are in order of time
    last = last[:, (~np.isnan(last)).sum(axis=0) >= LEAST]
    known = ~np.isnan(y)
    patients = cache.samples["subject_id"].to_numpy()[known]

    model = HistGradientBoostingClassifier(max_iter=100, learning_rate=0.05, random_state=0)
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    predicted = cross_val_predict(model, last[known], y[known], groups=patients, cv=folds, method="predict_proba")
    print(f"{known.sum():,} samples, {last.shape[1]} columns: AUROC {roc_auc_score(y[known], predicted[:, 1]):.3f}")


if __name__ == "__main__":
    main()
