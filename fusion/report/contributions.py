"""What each modality contributed: its own probability, its weight, and how often it had to be imputed."""

from collections.abc import Iterator

import numpy as np

from ..runs.run import Run
from ..runs.stored_predictions import ModalityColumns
from ..scores import curves as scores
from ..scores.curves import Bools, Floats
from ..words import count, number, percent
from .blocks import Block, Figure, Figures, Section, Table, Text
from .figures import own_figure, weights_figure


def contributions_section(run: Run) -> Section | None:
    """Return the chapter on the modalities; None if the predictions say nothing of them."""
    if not run.tested.modalities:
        return None
    return Section("modalities", "What each modality contributed", tuple(_blocks(run)))


def _blocks(run: Run) -> Iterator[Block]:
    modalities = run.tested.modalities
    imputed = np.any([x.imputed for x in modalities.values() if x.imputed is not None], axis=0)
    if np.any(imputed):
        yield Text(
            f"{percent(imputed.sum(), imputed.size)} of the predictions rest in part on a modality that was imputed, "
            "that is, estimated from the others."
        )
    words = run.metrics.method_words.weight
    if words and any(x.weight is not None for x in modalities.values()):
        yield Text(words)
    figures = tuple(_figures(run))
    if figures:
        yield Figures(figures)
    yield _table(run)


def _figures(run: Run) -> Iterator[Figure]:
    y, p = run.tested.y[:, 0], run.tested.p[:, 0]
    modalities = run.tested.modalities
    own = {name: _own_and_fused(y, p, modality) for name, modality in modalities.items()}
    defined = {name: (alone, fused) for name, (alone, fused) in own.items() if alone is not None and fused is not None}
    if defined:
        yield own_figure(defined)
    weights = {name: _weights(y, x.weight, x.present) for name, x in modalities.items() if x.weight is not None}
    if any(len(values) for pair in weights.values() for values in pair):
        yield weights_figure(weights)


def _own_and_fused(y: Floats, p: Floats, modality: ModalityColumns) -> tuple[float | None, float | None]:
    """AUROC of the modality's own and of the fused probability on the samples that have the modality."""
    if modality.probability is None:
        return None, None
    rows = modality.present & np.isfinite(modality.probability)
    return scores.auroc(y[rows], modality.probability[rows]), scores.auroc(y[rows], p[rows])


def _weights(y: Floats, weight: Floats, present: Bools) -> tuple[Floats, Floats]:
    rows = present & np.isfinite(weight)
    return weight[rows & (y == 0)], weight[rows & (y == 1)]


def _table(run: Run) -> Table:
    y, p = run.tested.y[:, 0], run.tested.p[:, 0]
    modalities = run.tested.modalities
    columns = {"modality": list(modalities)}
    columns["samples with it"] = [count(int(x.present.sum())) for x in modalities.values()]
    columns["share"] = [percent(x.present.sum(), x.present.size) for x in modalities.values()]
    if any(x.imputed is not None and x.imputed.any() for x in modalities.values()):
        columns["imputed"] = [_share(x.imputed) for x in modalities.values()]
    if any(x.probability is not None for x in modalities.values()):
        own, fused = zip(*(_own_and_fused(y, p, x) for x in modalities.values()), strict=True)
        columns["AUROC alone"] = [number(score) for score in own]
        columns["AUROC fused"] = [number(score) for score in fused]
    if any(x.weight is not None for x in modalities.values()):
        columns["median weight"] = [_median(x) for x in modalities.values()]
    return Table("Each modality", tuple(columns), tuple(zip(*columns.values(), strict=True)))


def _share(imputed: Bools | None) -> str:
    return number(None) if imputed is None else percent(imputed.sum(), imputed.size)


def _median(modality: ModalityColumns) -> str:
    if modality.weight is None:
        return number(None)
    values = modality.weight[modality.present & np.isfinite(modality.weight)]
    return number(float(np.median(values)) if len(values) else None)
