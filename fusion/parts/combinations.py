"""Combinations of modalities: which there are, how they are called, and predictions under each.

All ``2**M - 1`` combinations are evaluated in one batched pass over embeddings that were encoded once. Above six
modalities only singles, the full set and full sets without one modality are, ``2 * M + 1`` in all.
"""

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ...cache_schema import InputError

MOST_MODALITIES = 6  # up to which every combination is evaluated
_ROWS_PER_PASS = 8192


def combination_table(modalities: int) -> Tensor:
    """Return the combinations as bool [C, M], small ones first and the full set last; none is empty."""
    sizes = [1, modalities - 1, modalities] if modalities > MOST_MODALITIES else range(1, modalities + 1)
    chosen = [c for size in sizes for c in itertools.combinations(range(modalities), size)]
    return torch.tensor([[m in c for m in range(modalities)] for c in chosen])


def largest_within(present: Tensor, table: Tensor) -> Tensor:
    """Return for each sample (bool [B, M]) the last row of ``table`` (bool [C, M]) that it has all of, -1 if none."""
    has_all = (present.unsqueeze(1) | ~table.to(present.device)).all(-1)  # [B, C]
    number = torch.arange(1, len(table) + 1, device=present.device)
    largest: Tensor = (has_all * number).amax(1) - 1
    return largest


def combination_name(shown: Tensor, names: Sequence[str]) -> str:
    """Sorted names of the modalities of ``shown`` (bool [M]), such as ``"cxr+ehr"``."""
    return "+".join(sorted(name for name, is_shown in zip(names, shown.tolist(), strict=True) if is_shown))


def combination_called(name: str, names: Sequence[str], table: Tensor) -> int:
    """Row of ``table`` (bool [C, M]) with this name, in any order of modalities; `InputError` if there is none."""
    known = [combination_name(shown, names) for shown in table]
    wanted = "+".join(sorted(part.strip() for part in name.split("+")))
    if wanted not in known:
        raise InputError(f"There is no combination {name!r} of modalities; there are: {', '.join(known)}.")
    return known.index(wanted)


def every_combination(
    predict: Callable[[Tensor, Tensor], tuple[Tensor, ...]], embeddings: Tensor, present: Tensor, table: Tensor
) -> tuple[Tensor, ...]:
    """Predict each sample under each combination of the modalities that it has.

    Parameters
    ----------
    predict : maps embeddings [n, M, D] and shown modalities bool [n, M] to outputs [n, ...]
    embeddings : float [B, M, D]
    present : bool [B, M]
    table : bool [C, M]

    Returns
    -------
    each output as [C, B, ...]; where a sample lacks a modality of the combination, that under the rest of it
    """
    combinations, step = len(table), max(1, _ROWS_PER_PASS // len(table))
    passes = []
    for part, there in zip(torch.split(embeddings, step), torch.split(present, step), strict=True):
        used = (table.unsqueeze(1) & there).flatten(0, 1)  # [C * b, M]
        outputs = predict(part.repeat(combinations, 1, 1), used)
        passes.append([output.view(combinations, len(part), *output.shape[1:]) for output in outputs])
    return tuple(torch.cat(parts, dim=1) for parts in zip(*passes, strict=True))
