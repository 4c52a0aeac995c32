"""The planted law of the synthetic cohort: who dies, and what each modality shows of it.

Four latent causes ``z0..z3`` are standard normal. ``z0`` is shared by all modalities, ``z1``, ``z2`` and ``z3``
belong to one modality each (in the order of `MODALITIES`):

    logit P(y = 1 | z) = b + w0 z0 + w1 z1 + w2 z2 + w3 z3 + w12 z1 z2

The product makes every sum of single-modality scores insufficient. Modality m shows a planted statistic

    t_m = kappa_m C_m (g_m z0, z_m) + sigma_m eps,        eps ~ N(0, I_2)

where ``kappa_m = 0`` (with probability pi_m) makes it void without anybody being told, and ``C_m = +-1`` is shown by
a second cue of the same modality if it is signed ("hard": the statistic alone says nothing). It is there with

    P(r_m = 1 | z) = kept_m (1 - mu_m) (1 - sigmoid(a_m + gamma_m z0))

so ``mu_m`` is missing completely at random, ``a_m, gamma_m`` missing not at random, and ``kept_m`` what a limit on
the number of images left.

Of several images or reports of a stay the last of the first 48 hours is the one meant here; see `radiology`.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri

from ...cache_schema.errors import InputError

MODALITIES = ("ehr", "cxr", "rep")
UNIFORMS = 20
"""Uniform numbers that one sample needs: 4 causes, 6 noises, and kappa, C and r of 3 modalities, and the label."""

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Signal:
    """What one modality tells, how often, and how clearly."""

    weight: float
    """w_m: weight of the modality's own cause in the label."""
    gain: float
    """g_m: how strongly the shared cause shows; what makes modalities redundant."""
    noise: float
    """sigma_m: standard deviation of the noise on both numbers of the statistic."""
    signed: bool = False
    """Whether C_m is drawn from +-1 and shown by a second cue; else C_m = 1."""
    void_rate: float = 0.0
    """pi_m: probability that the modality shows noise only."""
    missing_rate: float = 0.0
    """mu_m: probability of being missing completely at random."""
    mnar_rate: float = 0.0
    """sigmoid(a_m): probability of being missing not at random for a patient with z0 = 0."""
    mnar_slope: float = 0.0
    """gamma_m: log-odds of that per unit of z0."""
    kept: float = 1.0
    """Share of what would be available that was written; below 1 only where the number of files was limited."""


@dataclass(frozen=True)
class Law:
    """The planted law with the three problems of the paper as switches; all off is the negative control.

    ``ehr`` is the dominant, easy modality and ``cxr`` the hard complementary one unless `imbalance` is off.
    """

    missing: bool = True
    """Modalities are missing, at random and not at random."""
    imbalance: bool = True
    """One modality is dominant and easy, another complementary and hard; off: all three are like `balanced`."""
    void: bool = True
    """Modalities are sometimes there but uninformative."""
    intercept: float = -2.45
    shared_weight: float = 0.5
    product_weight: float = 0.8
    ehr: Signal = Signal(weight=1.1, gain=0.8, noise=0.4, void_rate=0.15)
    cxr: Signal = Signal(
        weight=1.0, gain=0.6, noise=0.5, signed=True, void_rate=0.25, missing_rate=0.1, mnar_rate=0.1, mnar_slope=-0.7
    )
    rep: Signal = Signal(
        weight=1.1, gain=0.6, noise=0.5, void_rate=0.25, missing_rate=0.1, mnar_rate=0.1, mnar_slope=0.7
    )
    balanced: Signal = Signal(weight=1.07, gain=0.65, noise=0.45)

    def __post_init__(self) -> None:
        if self.ehr.signed or self.balanced.signed:
            raise InputError("only cxr and rep can be signed: the EHR has no second cue to show the sign")

    def signals(self) -> tuple[Signal, Signal, Signal]:
        """Return the signals of `MODALITIES` with the switches applied."""
        ehr, cxr, rep = (self._switched(signal) for signal in (self.ehr, self.cxr, self.rep))
        return ehr, cxr, rep

    def _switched(self, signal: Signal) -> Signal:
        if not self.imbalance:
            fair = self.balanced
            signal = replace(signal, weight=fair.weight, gain=fair.gain, noise=fair.noise, signed=False)
        if not self.void:
            signal = replace(signal, void_rate=0.0)
        if not self.missing:
            signal = replace(signal, missing_rate=0.0, mnar_rate=0.0, mnar_slope=0.0)
        return signal

    def with_kept(self, **shares: float) -> Self:
        """Return the law in which only a share of a modality's items is written, e.g. ``with_kept(cxr=0.4)``."""
        return replace(self, **{name: replace(getattr(self, name), kept=share) for name, share in shares.items()})

    def log_odds(self, z: FloatArray) -> FloatArray:
        """Return logit P(y = 1 | z) [n] for latent causes z [n, 4]."""
        weights = [self.shared_weight, *(signal.weight for signal in self.signals())]
        return np.asarray(self.intercept + z @ np.array(weights) + self.product_weight * z[:, 1] * z[:, 2])

    def to_dict(self) -> dict[str, Any]:
        """Return all parameters as plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the law that `to_dict` described."""
        parts: dict[str, Any] = {
            name: Signal(**value) if isinstance(value, dict) else value for name, value in values.items()
        }
        return cls(**parts)


@dataclass(frozen=True)
class Draw:
    """Samples from the law; axis 1 of length 3 is `MODALITIES`."""

    latent: FloatArray
    """z [n, 4]."""
    informative: BoolArray
    """kappa [n, 3]: false where the modality is void."""
    sign: FloatArray
    """C [n, 3]: +1 or -1."""
    statistic: FloatArray
    """t [n, 3, 2]: the shared and the own number that each modality shows."""
    available: BoolArray
    """r [n, 3]."""
    label: BoolArray
    """y [n]: true for a death."""

    def rows(self, index: IntArray | slice) -> "Draw":
        """Return some of the samples."""
        return Draw(**{name: value[index] for name, value in vars(self).items()})


def available_probability(signal: Signal, z0: FloatArray) -> FloatArray:
    """Return P(r_m = 1 | z0), of the shape of z0."""
    at_random = signal.kept * (1 - signal.missing_rate)
    return np.asarray(at_random * expit(-(logit(signal.mnar_rate) + signal.mnar_slope * z0)))


def sample(law: Law, uniforms: FloatArray) -> Draw:
    """Map uniform numbers in (0, 1) [n, UNIFORMS] to n samples of the law.

    Taking the uniforms rather than a generator lets the same function serve pseudo-random cohorts and
    quasi-random integration.
    """
    z, noise, kappa, side, there, outcome = np.split(uniforms, np.cumsum([4, 6, 3, 3, 3]), axis=1)
    z, noise = ndtri(z), ndtri(noise).reshape(-1, 3, 2)
    signals = law.signals()
    gain, sigma, void_rate, signed = (
        np.array([getattr(signal, name) for signal in signals]) for name in ("gain", "noise", "void_rate", "signed")
    )
    informative = kappa >= void_rate
    sign = np.where(signed & (side < 0.5), -1.0, 1.0)
    shown = np.stack([gain * z[:, :1], z[:, 1:]], axis=-1)  # [n, 3, 2]
    return Draw(
        latent=z,
        informative=informative,
        sign=sign,
        statistic=(informative * sign)[..., None] * shown + sigma[:, None] * noise,
        available=there < np.column_stack([available_probability(signal, z[:, 0]) for signal in signals]),
        label=outcome[:, 0] < expit(law.log_odds(z)),
    )
