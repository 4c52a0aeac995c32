"""How far long work is: lines every half minute off a terminal, none of processes whose parent shows it, words."""

import time

import pytest
from omnifuse.progress import Lines, duration, line_text, progress, quiet_workers


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omnifuse.progress.LINE_SECONDS", 0.05)


@pytest.mark.parametrize(
    ("done", "total", "seconds", "text"),
    [
        (0, 40, 30, "cxr: 0 of 40 images in 30 s"),
        (10, 40, 30, "cxr: 10 of 40 images in 30 s, 20.0 a minute, about 2 min left"),
        (3000, 9000, 120, "cxr: 3,000 of 9,000 images in 2 min, 25.0 a second, about 4 min left"),
        (3000, None, 30, "cxr: 3,000 images in 30 s, 100.0 a second"),
    ],
)
def test_a_line_says_how_far_how_fast_and_how_long(done: int, total: int | None, seconds: float, text: str) -> None:
    assert line_text("cxr", done, total, "images", seconds) == text


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (5300, "88 min"), (5400, "1.5 h")]
)
def test_a_time_is_said_in_the_unit_that_suits_it(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_off_a_terminal_lines_come_whether_or_not_anything_was_done(
    quick: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress(name="study", total=2, unit="cells") as bar:
        time.sleep(0.3)
        bar.update()
        time.sleep(0.3)
    first, *_, last = capsys.readouterr().err.splitlines()
    assert first.startswith("study: 0 of 2 cells in 0 s")
    assert last.startswith("study: 1 of 2 cells in ") and last.endswith(" left")
    time.sleep(0.2)
    assert capsys.readouterr() == ("", "")  # it has ended


def test_items_are_yielded_and_counted(quick: None, capsys: pytest.CaptureFixture[str]) -> None:
    lines = progress(range(3), "ehr", unit="samples")
    assert isinstance(lines, Lines) and (lines.total, list(lines), lines.n) == (3, [0, 1, 2], 3)
    assert list(progress(iter("ab"), "ehr")) == ["a", "b"]
    assert capsys.readouterr() == ("", "")  # done before the first line was due


def test_an_error_ends_the_lines(quick: None, capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        for _ in progress(range(3), "ehr"):
            raise ValueError

    with pytest.raises(ValueError):
        work()
    time.sleep(0.2)
    assert capsys.readouterr().err == ""


def test_workers_whose_parent_shows_it_are_quiet(quick: None, capsys: pytest.CaptureFixture[str]) -> None:
    with quiet_workers(), progress(name="fold", total=2):
        time.sleep(0.2)
    assert capsys.readouterr().err == ""


def test_a_terminal_has_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert list(progress(range(3), "ehr", unit="samples")) == [0, 1, 2]
    assert "ehr: 100%" in capsys.readouterr().err
