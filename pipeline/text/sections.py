"""Which part of a radiology report is encoded.

Reports of MIMIC-CXR are sections under headers such as ``FINDINGS:`` at the start of a line. The words before other
colons (``LUNGS:``, ``PORTABLE CHEST:``) are part of the running text.
"""

import re
from typing import Literal

from ..source import UnreadableItem

Kind = Literal["findings", "impression", "other", ""]

HEADER = re.compile(
    r"^[ \t]*(?:(?P<head>[A-Z][A-Za-z ,()/&-]{2,60}?)[ \t]*:"  # FINDINGS: text
    r"|(?P<line>FINDINGS|IMPRESSION|(?:FINAL REPORT|WET READ|ADDENDUM)\b[^\n:]*)[ \t]*$)",  # alone on its line
    re.MULTILINE,
)
RULE = re.compile(r"_{5,}")
"""A line drawn between parts of a report; the shorter ``___`` stands for a removed name."""

OTHER_SECTIONS = re.compile(
    r"EXAM|STUDY|INDICATION|HISTORY|REASON|CLINICAL|TECHNIQUE|COMPARISON|CONTRAST|DOSE|DATE|PROCEDURE"
    r"|RECOMMENDATION|NOTIFICATION|WET READ|ADDENDUM|REPORT"
)
PARAGRAPH = re.compile(r"\n[ \t]*\n")
MAX_WORDS_IN_MIXED_CASE = 3
"""``Findings and impression:`` is a header; a sentence that happens to have a colon is not."""


def findings(text: str) -> str:
    """Return the text of a report to encode, in one line.

    The findings sections, joined, wherever they stand (addenda, ``FINDINGS AND IMPRESSION:``); without any, the
    impression; without that, the paragraphs that stand under no header, which in unstructured reports follow the last
    one; without those, everything but the headers.

    Raises
    ------
    UnreadableItem
        If there is no text at all.
    """
    sections = _sections(RULE.sub(" ", text))
    candidates = (
        " ".join(body for kind, body in sections if kind == "findings"),
        " ".join(body for kind, body in sections if kind == "impression"),
        " ".join(_without_first_paragraph(body) if kind else body for kind, body in sections),
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
        if new := _kind(match["head"] or match["line"]):
            sections.append((kind, text[start : match.start()]))
            kind, start = new, match.end()
    return [*sections, (kind, text[start:])]


def _kind(head: str) -> Kind:
    """Return what kind of section a header opens, nothing if it opens none."""
    if not head.isupper() and len(head.split()) > MAX_WORDS_IN_MIXED_CASE:
        return ""
    name = head.upper()
    if "FINDING" in name:
        return "findings"
    if "IMPRESSION" in name or "CONCLUSION" in name:
        return "impression"
    return "other" if OTHER_SECTIONS.search(name) else ""


def _without_first_paragraph(body: str) -> str:
    """Drop the paragraph that belongs to a header such as ``INDICATION:``."""
    return " ".join(PARAGRAPH.split(body.strip())[1:])
