"""Matthews correlation."""

from typing import Any

import numpy as np
from omnifuse.fusion.scores.measures import Measure, over_labels
from omnifuse.fusion.scores.metrics import both_classes


def matthews(y: Any, p: Any) -> float | None:
    """Return the correlation of the outcome with a probability of at least one half, 0 if that is never so."""
    known = ~np.isnan(y)
    outcome, said = y[known], p[known] >= 0.5
    if not both_classes(outcome):
        return None
    return float(np.corrcoef(outcome, said)[0, 1]) if both_classes(said.astype(float)) else 0.0


MCC = Measure("Matthews", over_labels(matthews), higher_is_better=True, words="correlation of outcome and answer.")
