"""Which part of a report is encoded, on reports of the shapes that MIMIC-CXR has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.pipeline.source import UnreadableItem
from omnifuse.pipeline.text.sections import findings

HEAD = "          FINAL REPORT\n EXAMINATION:  CHEST (PA AND LAT)\n\n INDICATION:  ___F with cough\n\n"


VARIANTS = {
    "findings end at the next section": (
        " FINDINGS: \n \n The heart is\n normal.  Lungs are clear.\n \n IMPRESSION: \n \n No pneumonia.\n",
        "The heart is normal. Lungs are clear.",
    ),
    "without findings the impression is taken": (
        " COMPARISON:  None.\n\n IMPRESSION:  No acute process.\n",
        "No acute process.",
    ),
    "empty findings count as none": (" FINDINGS: \n\n IMPRESSION:  Stable.\n", "Stable."),
    "findings after the impression": (" IMPRESSION:  Stable.\n\n FINDINGS:  Clear.\n", "Clear."),
    "comparison after the findings": (
        " FINDINGS:  Clear.\n\n COMPARISON:  ___.\n\n IMPRESSION:  Normal.\n",
        "Clear.",
    ),
    "recommendations and notifications end the impression": (
        " IMPRESSION:  Nodule.\n\n RECOMMENDATION(S):  CT.\n\n NOTIFICATION:  Dr. ___ by phone at 8:20.\n",
        "Nodule.",
    ),
    "several findings are joined in order": (
        " FINDINGS:  First.\n\n IMPRESSION:  None.\n ______\n ADDENDUM:  Reread.\n\n FINDINGS:  Second.\n",
        "First. Second.",
    ),
    "an addendum above the report": (
        " ADDENDUM  Discussed with Dr. ___.\n______________________________\n FINAL REPORT\n FINDINGS:  Clear.\n",
        "Clear.",
    ),
    "a preliminary reading above the final one": (
        " WET READ: ___ 8:20 PM\n  Effusion?\n______________\n FINAL REPORT\n IMPRESSION:  No effusion.",
        "No effusion.",
    ),
    "a preliminary reading alone": (" WET READ: ___ 8:20 PM\n No pneumothorax.\n", "___ 8:20 PM No pneumothorax."),
    "headings inside the findings belong to the text": (
        " FINDINGS:\n LUNGS: Clear.\n CHEST WALL: Normal.\n RECOMMENDATION: CT.\n",
        "LUNGS: Clear. CHEST WALL: Normal.",
    ),
    "findings under the name of the views": (
        " CHEST, TWO VIEWS:  The heart is large.\n\n IMPRESSION:  Cardiomegaly.\n",
        "The heart is large.",
    ),
    "the name of the views above the other sections": (
        " PORTABLE CHEST RADIOGRAPH, ___:\n\n COMPARISON:  ___.\n\n IMPRESSION:  Normal.\n",
        "Normal.",
    ),
    "paragraphs after the last header": (
        " COMPARISON:  Radiograph of ___.\n\n The tube ends above the carina.\n\n No effusion.\n",
        "The tube ends above the carina. No effusion.",
    ),
    "a sentence with a colon is no header": (
        " FINDINGS:  Two devices.\n Comparison with the earlier study shows this: no change.\n",
        "Two devices. Comparison with the earlier study shows this: no change.",
    ),
    "a sentence with the word is no header": (
        " FINDINGS:  Clear.\n Findings were discussed with Dr. ___.\n These findings\n are new.\n",
        "Clear. Findings were discussed with Dr. ___. These findings are new.",
    ),
    "lines of numbers": (
        " FINDINGS:  Nodules, in mm:\n  1.  4 x 5\n  2.  10 x 12   RUL\n\n IMPRESSION:\n 1. Nodules.\n",
        "Nodules, in mm: 1. 4 x 5 2. 10 x 12 RUL",
    ),
    "removed names stay": (" FINDINGS:  ___ tube.\n\n ___\n", "___ tube. ___"),
}


@pytest.mark.parametrize(("body", "expected"), VARIANTS.values(), ids=VARIANTS)
def test_what_is_encoded_of_a_report(body: str, expected: str) -> None:
    assert findings(HEAD + body) == expected


@pytest.mark.parametrize(
    "header",
    [
        "FINDINGS:",
        "FINDINGS :",
        "Findings:",
        "findings:",
        "FINDINGS\n",
        "Findings\n",
        "FINDINGS",  # and the sentence in the same line
        "FINDINGS AND IMPRESSION:",
        "Findings and impression:",
        "FINDINGS/IMPRESSION:",
        "FINDING:",
        "FINIDNGS:",  # misspellings that occur
        "FINDNGS:",
    ],
)
def test_spellings_of_the_header(header: str) -> None:
    for gap in (" ", "\n\n "):
        text = f"{HEAD} {header}{gap}Clear lungs.\n\n COMPARISION:  ___.\n"
        if header != "FINDINGS" or gap == " ":
            assert findings(text) == "Clear lungs."


@pytest.mark.parametrize("header", ["IMPRESSION:", "Impression:", "IMPRESSON:", "CONCLUSION:", "IMPRESSION"])
def test_spellings_of_the_impression(header: str) -> None:
    assert findings(f"{HEAD} {header} No pneumonia.\n") == "No pneumonia."


def test_a_report_without_any_header_is_taken_whole() -> None:
    assert findings("The heart is large.\n\nNo effusion.\n") == "The heart is large. No effusion."


@pytest.mark.parametrize("report", ["", " \n \n", "   FINAL REPORT\n", " FINDINGS:\n\n IMPRESSION:\n", "_________\n"])
def test_a_report_without_text_is_unreadable(report: str) -> None:
    with pytest.raises(UnreadableItem, match="empty report"):
        findings(report)


@given(st.text())
def test_whitespace_is_folded_whatever_the_text(text: str) -> None:
    try:
        section = findings(text)
    except UnreadableItem:
        return
    assert section
    assert section == " ".join(section.split())
