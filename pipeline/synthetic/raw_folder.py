"""A synthetic raw folder of any layout."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...cache_schema import InputError
from .cohort import SynthSettings
from .law import Law
from .lung import write_lung
from .write import write_cohort


def write_raw(
    out: Path,
    layout: Any,
    stays: int,
    seed: int,
    *,
    events_per_stay: int,
    images: int | None = None,
    without: Sequence[str] = (),
    ecg: bool = False,
    release: Any = "2.2",
) -> tuple[str, str]:
    """Write a cohort of ``stays`` in the layout ``mimic4``, ``mimic3`` or ``lung``; see :class:`SynthSettings`.

    ``without`` names planted problems that are left out: missing, imbalance, void; ``ecg`` adds electrocardiograms to
    ``mimic4``, ``release`` is that of its tables. Returns the name of the data set that reads it, and what its samples
    are.
    """
    if layout != "lung":
        law = Law("missing" not in without, "imbalance" not in without, "void" not in without)
        write_cohort(out, SynthSettings(stays, seed, layout, events_per_stay, images, law, ecg, release))
        return "synthetic", "stays"
    if images is not None or without or ecg or release != "2.2":
        raise InputError(
            "--images, --without, --ecg and --release are for the MIMIC-shaped cohorts; leave them out with lung."
        )
    write_lung(out, stays, seed)
    return "lung", "patients"
