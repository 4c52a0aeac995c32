"""Which rows samples have: the bins before t0 in which something happened, then every bin from t0 on."""

from dataclasses import dataclass

import numpy as np

from .bins import EPSILON, Floats, Integers

SPAN = 1 << 32
"""More bins than any sample has before t0."""


def bin_before_or_after(hours: Floats, bin_hours: float) -> Integers:
    """Return the bin of times ``[n]``: from 0 on as :func:`.bin_index`, -1 for the last ``bin_hours`` before t0.

    Like the others, those are open on the left and closed on the right; what is at t0 itself lies in bin 0.
    """
    before = np.ceil(hours / bin_hours - EPSILON) - 1
    bins: Integers = np.where(hours < 0, np.minimum(before, -1), np.maximum(before, 0)).astype(np.int64)
    return bins


@dataclass(frozen=True)
class BinRows:
    """Rows of some samples, numbered from 0.

    ``lengths`` ``[n]`` are their numbers of rows and ``ends`` ``[R]`` the hours since t0 at which these end.
    """

    lengths: Integers
    ends: Floats
    _early: Integers
    _early_counts: Integers

    @classmethod
    def of(cls, sample: Integers, bins: Integers, counts: Integers, bin_hours: float) -> "BinRows":
        """Return the rows of samples that have events in bins (both ``[m]``) and ``counts`` ``[n]`` bins from t0 on."""
        before = bins < 0
        early = np.unique(_key(sample[before], bins[before]))
        early_counts = np.bincount(early // SPAN, minlength=len(counts))
        lengths = early_counts + counts
        first = np.cumsum(lengths) - lengths
        within = np.arange(lengths.sum()) - np.repeat(first + early_counts, lengths)  # negative for the early ones
        ends = (within + 1) * bin_hours
        ends[within < 0] = (early % SPAN - SPAN + 1) * bin_hours
        return cls(lengths, ends, early, early_counts)

    def row(self, sample: Integers, bins: Integers) -> Integers:
        """Return the rows ``[m]`` of bins of samples, which must be among those that the rows were made of."""
        first = np.cumsum(self.lengths) - self.lengths
        late = first[sample] + self._early_counts[sample] + bins
        before = np.cumsum(self._early_counts) - self._early_counts
        early = first[sample] + np.searchsorted(self._early, _key(sample, np.minimum(bins, -1))) - before[sample]
        return np.where(bins < 0, early, late)


def _key(sample: Integers, bins: Integers) -> Integers:
    """Return one integer for each negative bin of a sample, in their order."""
    return sample * SPAN + (SPAN + bins)
