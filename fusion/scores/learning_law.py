"""What more patients would bring: the law through the points of a learning curve, and where it leads.

Figueroa et al., BMC Medical Informatics and Decision Making 12:8, 2012: performance follows an inverse power of the
number of training samples. Three numbers through a handful of points say little far beyond the last of them.
"""

from __future__ import annotations

import numpy as np

from .metrics import FloatArray

EXPONENTS = np.linspace(0.1, 2.0, 39)
"""Powers that are tried; near 0 the curve is that of a logarithm, at 2 it has all but ended."""


def extrapolated(sizes: FloatArray, values: FloatArray, at: FloatArray, higher_is_better: bool) -> FloatArray:
    """Return the values of curves [..., P], measured at P ``sizes``, at other sizes [Q] by their laws: [..., Q].

    The law ``a + b n^-c`` has the least squares of all ``c`` of `EXPONENTS`. More patients make nothing worse: where
    ``b`` would say so, the curve is flat. NaN for a curve with an unknown value.
    """
    curves = values.reshape(-1, len(sizes))  # [B, P]
    best = np.full(len(curves), np.inf)
    found = np.full((len(curves), len(at)), np.nan)
    for exponent in EXPONENTS:
        x = sizes**-exponent  # [P]
        centred = x - x.mean()
        slope = (curves @ centred) / (centred @ centred)  # [B]
        slope = np.minimum(slope, 0.0) if higher_is_better else np.maximum(slope, 0.0)
        level = curves.mean(axis=1) - slope * x.mean()
        error = ((curves - level[:, None] - slope[:, None] * x) ** 2).sum(axis=1)
        better = error < best
        best = np.where(better, error, best)
        found[better] = (level[:, None] + slope[:, None] * at**-exponent)[better]
    return found.reshape(*values.shape[:-1], len(at))
