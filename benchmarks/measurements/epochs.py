"""One epoch of OmniFuse beside the same fusion in a plain loop, and beside a loop that has the encoders in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from .caches import cache_folder
from .measure import Child, Measured, in_turns, ratios, summary
from .row import Family, Figure, Found, Row, Setting

STAYS, VALIDATION = 4000, 200
"""Stays of the cache, and those of them that are left out of the training."""

MINED, OF_STAYS = 4096, 20_000
"""The look at all combinations takes so many samples of so many stays; here as large a part."""

SHARE = 0.1
"""Of the plain loop's batches so many are run in a turn, and the time scaled up."""

HAVING = 0.8
"""Stays with a report, and with an image."""

ROWS = {
    "epoch": Row(
        "an epoch of OmniFuse, its look at all combinations included",
        "DataLoader with 2 workers, padded batches, samples from memory",
        {"clock": Figure("times faster", at_least=5), "cpu": Figure("times less CPU")},
        "Not known yet.",
    ),
    "encoders": Row(
        "the same",
        "the same with the encoders in the loop, float32",
        {"clock": Figure("times faster", at_least=200)},
        "The plain epoch and what its texts and images take by the rows above, added; it was not run.",
    ),
}


UNITS = {"clock": "seconds", "cpu": "cpu_seconds"}


def settings() -> Any:
    """Return the configuration of both loops, an epoch with a recurrent encoder."""
    from omnifuse.fusion.training.config import make_config

    mined = f"fit.mining_rows={MINED * (STAYS - VALIDATION) // OF_STAYS}"
    overrides = ["fit.epochs=1", "encoder.input_dropout=0", "encoder.timeseries=recurrent", mined]
    return make_config("omnifuse", overrides=overrides)


class Ours:
    """The loop of the package on the one thread with which it trains a fold."""

    def __init__(self, cache: str, stays: int) -> None:
        import train_epoch
        from omnifuse.fusion.training.folds import torch_threads

        self._module, self._threads = train_epoch, torch_threads
        self._cache, self._stays, self._config = Path(cache), stays, settings()

    def epoch(self) -> dict[str, float]:
        """Train an epoch; return its own seconds, without loading."""
        with self._threads(self._config.threads):
            found = self._module.ours(self._cache, self._config, self._stays)
        return {unit: found[f"epoch_{unit}"] for unit in self._module.UNITS}


class Plain:
    """The loop of a first version."""

    def __init__(self, cache: str, stays: int) -> None:
        import train_epoch

        self._module, self._stays, self._config = train_epoch, stays, settings()
        self._cache = Path(cache)
        self._data = train_epoch.PlainDataset(self._cache, in_memory=True)

    def epoch(self) -> dict[str, float]:
        """Train a share of an epoch; return the seconds of a whole one."""
        method = self._module.plain_model(self._cache, self._config)
        found = self._module.plain(self._data, method, self._config, self._stays, SHARE)
        return {unit: found[f"epoch_{unit}"] for unit in self._module.UNITS}


def measure(setting: Setting) -> Mapping[str, Found]:
    """Measure both loops in turns."""
    cache, stays = cache_folder(setting, STAYS), STAYS - VALIDATION
    with (
        Child("measurements.epochs:Ours", cache=str(cache), stays=stays) as ours,
        Child("measurements.epochs:Plain", cache=str(cache), stays=stays) as plain,
    ):
        versions = {"plain": lambda _: _epoch(plain), "ours": lambda _: _epoch(ours)}
        taken = in_turns(range(setting.turns), versions)
    encoding = _encoding_seconds(setting, stays)
    found = {
        "epoch": Found(
            {name: ratios(taken["plain"], taken["ours"], unit) for name, unit in UNITS.items()},
            summary(taken["ours"]),
            summary(taken["plain"]),
            f"{stays:,} stays; of the plain epoch {SHARE:.0%} of the batches are run; ours is on one thread. Both look "
            f"at as large a part of the samples in all combinations as with {OF_STAYS:,} stays.",
        )
    }
    if encoding is None:
        return found | {"encoders": Found(missing="It needs the rows of texts and images in the same run.")}
    whole = [Measured(one.seconds + encoding, one.cpu_seconds, one.peak_mib) for one in taken["plain"]]
    note = f"Encoding {HAVING:.0%} of {stays:,} reports and images takes the plain loops {encoding:,.0f} s."
    return found | {"encoders": Found({"clock": ratios(whole, taken["ours"])}, note=note)}


def _epoch(child: Child) -> Measured:
    """Return what an epoch took by its own clock."""
    measured = child.ask("epoch")
    return Measured(measured.value["seconds"], measured.value["cpu_seconds"], measured.peak_mib)


def _encoding_seconds(setting: Setting, stays: int) -> float | None:
    """Return what the plain loops take for the reports and images of an epoch, by the rows above."""
    found = [setting.earlier.get(row) for row in ("texts-float32", "images-float32")]
    if any(one is None for one in found):
        return None
    return float(sum(HAVING * stays * median(one.plain["seconds"]) / one.plain["items"] for one in found if one))


FAMILY = Family("epochs", ROWS, measure)
