"""Missing-rate curves: how well a finished run predicts when more and more samples lack a modality.

(Wu et al. 2025, figures 4 to 6, as far as modalities are missing in the test alone.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from ..inputs.missingness import MissingConfig, draw_hidden
from ..runs.replay import FloatArray, Replay
from ..scores.measures import KINDS, of_kind

RANDOM = "random"
"""Name of the curve along which each sample loses one of its own modalities."""

MEASURED = ("auroc", "auprc", "log_loss")
"""Of classes; of other tasks every measure is."""


def missing_curves(replay: Replay, rates: Sequence[float], draws: int, seed: int | None = None) -> pl.DataFrame:
    """Predict the test samples with a modality hidden from a share of them, for each modality and for a random one.

    Who loses something is drawn as in a run with ``missing.protocol=test``: of the samples that can, a share of
    ``rate`` loses one modality, nobody the last one, and whoever loses something at one rate loses the same at every
    higher one. A modality that no tested sample can lose has no curve.

    Parameters
    ----------
    replay : the run
    rates : shares in [0, 1]
    draws : how often to draw at each rate; at rate 0 there is nothing to draw, and one row
    seed : seed of the draws, ``missing.seed`` of a run; by default the seed of the run's training

    Returns
    -------
    Columns ``hidden`` (a modality, or ``random``), ``rate``, ``draw``, and ``auroc``, ``auprc``, ``log_loss``, or the
    measures of quantities and times: means over folds, as in metrics.json.

    Raises
    ------
    InputError
        For a rate that is no share, or fewer draws than one.
    """
    answers = _answers(replay)
    seed, kind = _seed(replay, seed), replay.task.kind
    measured = MEASURED if kind in KINDS else tuple(of_kind(kind))
    rows: list[dict[str, Any]] = []
    for modality in (*replay.modalities, None):
        if not _can_be_lost(replay, modality):
            continue
        for rate in sorted(set(rates)):
            config = MissingConfig(rate, "test", modality, seed, draws)
            for draw in range(draws if rate else 1):
                scores = replay.scores(_drawn(replay, answers, config, draw))
                key = {"hidden": modality or RANDOM, "rate": rate, "draw": draw}
                rows.append({**key, **{name: scores[name] for name in measured}})
    keys = {"hidden": pl.String, "rate": pl.Float64, "draw": pl.Int64}
    return pl.DataFrame(rows, schema={**keys, **dict.fromkeys(measured, pl.Float64)})


def drawn_predictions(replay: Replay, rate: float, draws: int, seed: int | None = None) -> pl.DataFrame:
    """Predict the test samples in several draws of which of them lose one of their modalities.

    Arguments as in `missing_curves`. The draws replace those that the training may have made of its own samples: give a
    replay of the complete ones.

    Returns
    -------
    A row for each draw and tested sample: ``draw``, ``sample_id`` and a probability for each label or class, ``p_0``,
    ``p_1``, …
    """
    answers = _answers(replay)
    tested = np.flatnonzero(replay.fold >= 0)
    config = MissingConfig(rate, "test", None, _seed(replay, seed), draws)
    tables = []
    for draw in range(draws):
        p = _drawn(replay, answers, config, draw)[tested]
        columns = {f"p_{k}": p[:, k] for k in range(p.shape[1])}
        table = pl.DataFrame({"sample_id": replay.samples[tested], **columns})
        tables.append(table.select(pl.lit(draw, pl.Int64).alias("draw"), pl.all()))
    return pl.concat(tables)


def _seed(replay: Replay, seed: int | None) -> int:
    return replay.run.config.seed if seed is None else seed


def _answers(replay: Replay) -> FloatArray:
    """Return what is predicted without each modality, and last with all of them: [M + 1, N, K].

    Nobody loses more than one, so that every draw is made of these.
    """
    without = [replay.predict(hidden) for hidden in np.eye(len(replay.modalities), dtype=bool)]
    return np.stack([*without, replay.predict()])


def _can_be_lost(replay: Replay, modality: str | None) -> bool:
    most = draw_hidden(MissingConfig(1.0, modality=modality), replay.presence, replay.modalities)
    return bool(most[replay.fold >= 0].any())


def _drawn(replay: Replay, answers: FloatArray, config: MissingConfig, draw: int) -> FloatArray:
    """Return what is predicted of all samples in a draw, [N, K]."""
    hidden = draw_hidden(config, replay.presence, replay.modalities, draw)
    lost = np.where(hidden.any(axis=1), hidden.argmax(axis=1), len(replay.modalities))
    drawn: FloatArray = answers[lost, np.arange(len(lost))]
    return drawn
