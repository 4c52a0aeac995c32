"""Radiology reports: what the report modality shows of its planted statistic.

FINDINGS begins with 16 short statements of one telling word each. Eight are about air, and the shared number of the
statistic decides how many of them are of the worse kind; eight are about fluid and follow the own number. A signed
report with C = -1 negates all 16, so that the words alone say nothing. Everything else is independent of the label.
"""

from collections.abc import Iterator

import numpy as np

from .law import BoolArray, FloatArray, IntArray

SLOTS = 8
"""Statements per number of the statistic."""
STEPS = 1.6
"""Worse statements per unit of the statistic; what lies beyond +-2.5 is cut off."""
WORSE = (("opacity", "consolidation", "infiltrate"), ("effusion", "edema", "congestion"))
BETTER = (("clarity", "expansion", "aeration"), ("dryness", "sharpness", "stability"))
"""Telling words about air and about fluid."""
NEGATION = "no"
PLACES = (
    ("left base", "right base", "left apex", "right apex", "left middle", "right middle", "lingula", "center"),
    ("left angle", "right angle", "fissure", "left border", "right border", "aortic arch", "left edge", "right edge"),
)
REASONS = ("shortness of breath", "fever and cough", "chest pain", "line placement", "hypoxia", "altered mental status")
REMARKS = ("The tube ends above the carina.", "The heart size is as before.", "The bones are intact.")
IMPRESSIONS = ("As described above.", "Correlation with the clinical course is advised.", "Comparison is limited.")
PAGE = """                                 FINAL REPORT
 EXAMINATION:  CHEST ({view})

 INDICATION:  ___ year old patient with {reason}  // please evaluate

 COMPARISON:  ___.

 FINDINGS:

 {findings}

 IMPRESSION:

 {impression}
"""


def worse_counts(statistic: FloatArray) -> IntArray:
    """Return how many of the eight statements are of the worse kind, for numbers of the statistic of any shape."""
    return np.clip(np.rint(SLOTS / 2 + STEPS * statistic), 0, SLOTS).astype(np.int64)


def write_reports(views: list[str], statistic: FloatArray, sign: FloatArray, rng: np.random.Generator) -> Iterator[str]:
    """Yield the texts of n reports.

    Parameters
    ----------
    views: the projection that EXAMINATION names, [n].
    statistic: the planted statistic, [n, 2].
    sign: C, [n].
    """
    shape = (len(views), 2, SLOTS)
    is_worse = rng.random(shape).argsort(axis=2) < worse_counts(statistic)[..., None]  # as many as counted, anywhere
    place = rng.random(shape).argsort(axis=2)
    word = rng.integers(0, 3, shape)
    reason, remark, impression = (rng.integers(0, len(texts), shape[0]) for texts in (REASONS, REMARKS, IMPRESSIONS))
    for n, view in enumerate(views):
        prefix = f"{NEGATION} " if sign[n] < 0 else ""
        findings = [_sentence(f, prefix, is_worse[n, f], place[n, f], word[n, f]) for f in (0, 1)]
        yield PAGE.format(
            view=view,
            reason=REASONS[reason[n]],
            findings=" ".join([*findings, REMARKS[remark[n]]]),
            impression=IMPRESSIONS[impression[n]],
        )


def _sentence(family: int, prefix: str, is_worse: BoolArray, place: IntArray, word: IntArray) -> str:
    """Join the eight statements about air (family 0) or fluid (family 1)."""
    kinds = (BETTER[family], WORSE[family])
    slots = zip(is_worse.astype(int), word, place, strict=True)
    told = [f"{prefix}{kinds[bad][w]} at {PLACES[family][p]}" for bad, w, p in slots]
    return ", ".join(told).capitalize() + "."
