"""Which part of a radiology report is encoded.

Reports of MIMIC-CXR are sections under headers such as ``FINDINGS:`` at the start of a line. The words before other
colons (``LUNGS:``) are part of the running text.
"""

import re
from difflib import get_close_matches
from functools import lru_cache
from typing import Literal

from ..source import UnreadableItem

Kind = Literal["findings", "views", "impression", "reading", "other", ""]

HEADER = re.compile(
    r"^[ \t]*(?:(?P<head>[A-Z][A-Za-z_ ,()/&-]{2,60}?|findings|impression|findings and impression)[ \t]*:"  # with colon
    r"|(?P<line>FINDINGS|Findings|IMPRESSION|Impression"  # alone on its line
    r"|(?:FINAL REPORT|FINAL ADDENDUM|WET READ|ADDENDUM)\b[^\n:]*)[ \t]*$"
    r"|(?P<open>FINDINGS|IMPRESSION)[ \t]+(?=[A-Z][a-z]))",  # before a sentence
    re.MULTILINE,
)
RULE = re.compile(r"_{5,}")
"""A line drawn between parts of a report; the shorter ``___`` stands for a removed name."""

KIND_OF_WORD: dict[str, Kind] = {
    **dict.fromkeys(("FINDINGS", "FINDING"), "findings"),
    **dict.fromkeys(("IMPRESSION", "CONCLUSION"), "impression"),
    **dict.fromkeys(("WET", "WETREAD", "ADDENDUM"), "reading"),
    **dict.fromkeys(("EXAM", "EXAMINATION", "STUDY", "TECHNIQUE", "PROCEDURE", "CONTRAST", "DOSE", "DATE"), "other"),
    **dict.fromkeys(("INDICATION", "HISTORY", "REASON", "CLINICAL", "COMPARISON"), "other"),
    **dict.fromkeys(("RECOMMENDATION", "NOTIFICATION", "REPORT"), "other"),
}
"""The first of these kinds that any word of a header has is that of the header."""

LIKENESS = 0.87
"""Of a word to a known one (``difflib``): IMPRESSON, FINIDNGS and COMPARISONS pass, COMPRESSION and REPORTED do not."""

VIEWS = re.compile(r"\b(?:CHEST|PORTABLE|VIEWS?|FRONTAL|LATERAL|AP|PA|RADIOGRAPHS?)\b")
"""Some reports describe the images under the name of the examination: ``CHEST, TWO VIEWS:``."""

PARAGRAPH = re.compile(r"\n[ \t]*\n")
MAX_WORDS_IN_MIXED_CASE = 3
"""``Findings and impression:`` is a header; a sentence that happens to have a colon is not."""


def findings(text: str) -> str:
    """Return the text of a report to encode, in one line.

    The findings sections, joined, wherever they stand (addenda, ``FINDINGS AND IMPRESSION:``); without any, what stands
    under the names of views; without that, the impression; without that, the paragraphs that stand under no header,
    which in unstructured reports follow the last one; without those, preliminary readings and addenda; without those,
    everything but the headers.

    Raises
    ------
    UnreadableItem
        If there is no text at all.
    """
    sections = _sections(RULE.sub(" ", text))
    of_kind = {best: " ".join(body for kind, body in sections if kind == best) for best, _ in sections}
    candidates = (
        *(of_kind.get(kind, "") for kind in ("findings", "views", "impression")),
        " ".join(_without_first_paragraph(body) if kind else body for kind, body in sections),
        of_kind.get("reading", ""),
        " ".join(body for _, body in sections),
    )
    for candidate in candidates:
        if folded := " ".join(candidate.split()):
            return folded
    raise UnreadableItem("empty report")


def _sections(text: str) -> list[tuple[Kind, str]]:
    """Cut a report at its headers into kind and body; what stands before the first has no kind."""
    sections: list[tuple[Kind, str]] = []
    kind: Kind = ""
    start = 0
    for match in HEADER.finditer(text):
        new = _kind(match["head"] or match["line"] or match["open"])
        if new and not (new == "views" and kind in ("findings", "impression")):
            sections.append((kind, text[start : match.start()]))
            kind, start = new, match.end()
    return [*sections, (kind, text[start:])]


@lru_cache(maxsize=4096)
def _kind(head: str) -> Kind:
    """Return what kind of section a header opens, nothing if it opens none."""
    if not head.isupper() and len(head.split()) > MAX_WORDS_IN_MIXED_CASE:
        return ""
    words = re.findall("[A-Z]+", head.upper())
    near = (get_close_matches(word, KIND_OF_WORD, n=1, cutoff=LIKENESS) for word in words)
    kinds = {KIND_OF_WORD[known] for matches in near for known in matches}
    if kinds:
        return next(kind for kind in KIND_OF_WORD.values() if kind in kinds)
    return "views" if head.isupper() and VIEWS.search(head) else ""


def _without_first_paragraph(body: str) -> str:
    """Drop the paragraph that belongs to a header such as ``INDICATION:``."""
    return " ".join(PARAGRAPH.split(body.strip())[1:])
