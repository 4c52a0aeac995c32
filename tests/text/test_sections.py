"""Which part of a report is encoded, on reports of the shapes that MIMIC-CXR has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.pipeline.source import UnreadableItem
from omnifuse.pipeline.text.sections import findings

HEAD = "          FINAL REPORT\n EXAMINATION:  CHEST (PA AND LAT)\n\n INDICATION:  ___F with cough\n\n"


def test_findings_end_at_the_next_section() -> None:
    report = HEAD + " FINDINGS: \n \n The heart is\n normal.  Lungs are clear.\n \n IMPRESSION: \n \n No pneumonia.\n"
    assert findings(report) == "The heart is normal. Lungs are clear."


def test_without_findings_the_impression_is_taken() -> None:
    assert findings(HEAD + " COMPARISON:  None.\n\n IMPRESSION:  No acute process.\n") == "No acute process."


def test_empty_findings_count_as_none() -> None:
    assert findings(HEAD + " FINDINGS: \n\n IMPRESSION:  Stable.\n") == "Stable."


@pytest.mark.parametrize("header", ["FINDINGS AND IMPRESSION:", "FINDINGS/IMPRESSION:", "Findings:", "FINDINGS"])
def test_spellings_of_the_header(header: str) -> None:
    assert findings(f"{HEAD} {header}\n\n Clear lungs.\n") == "Clear lungs."


def test_findings_of_an_addendum_are_joined_in_order() -> None:
    report = HEAD + " FINDINGS:  First.\n\n IMPRESSION:  None.\n ______\n ADDENDUM:  Reread.\n\n FINDINGS:  Second.\n"
    assert findings(report) == "First. Second."


def test_headings_inside_the_findings_belong_to_the_text() -> None:
    report = HEAD + " FINDINGS:\n LUNGS: Clear.\n HEART: Normal.\n RECOMMENDATION: CT.\n"
    assert findings(report) == "LUNGS: Clear. HEART: Normal."


def test_a_report_without_sections_gives_the_paragraphs_after_the_last_header() -> None:
    report = HEAD + " COMPARISON:  Radiograph of ___.\n\n The tube ends above the carina.\n\n No effusion.\n"
    assert findings(report) == "The tube ends above the carina. No effusion."


def test_the_name_of_the_view_opens_the_text() -> None:
    report = HEAD + " PORTABLE CHEST:  The heart is large.\n"
    assert findings(report) == "PORTABLE CHEST: The heart is large."


def test_a_sentence_with_a_colon_is_no_header() -> None:
    report = HEAD + " FINDINGS:  Two devices.\n Comparison with the earlier study shows this: no change.\n"
    assert findings(report).endswith("shows this: no change.")


def test_a_lone_paragraph_under_a_header_is_better_than_nothing() -> None:
    assert findings(" WET READ: ___ 8:20 PM\n No pneumothorax.\n") == "___ 8:20 PM No pneumothorax."


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
