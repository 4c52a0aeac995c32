"""The report of a study: what the page says, how its figures are drawn, and that the files hold the raw values."""

import csv
import html
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from omnifuse.fusion.report import write_study
from omnifuse.fusion.report.study import raw_values, shown_table
from omnifuse.fusion.report.study_figures import shared_limits, study_figure
from omnifuse.fusion.study.results import (
    Chapter,
    Column,
    Estimate,
    Note,
    ResultFigure,
    ResultTable,
    Series,
    StudyResults,
)


@pytest.fixture(scope="module")
def folder(results: StudyResults, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(results, tmp_path_factory.mktemp("study")).parent


@pytest.fixture(scope="module")
def source(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def table_of(*values: object, decimals: int = 3, signed: bool = False) -> ResultTable:
    rows = tuple((f"row {i}", value) for i, value in enumerate(values))
    return ResultTable("scores", "Scores", "", (Column("row"), Column("score", decimals, signed)), rows)


def lines_of(count: int) -> ResultFigure:
    series = tuple(Series(f"series {i}", (0.0, 1.0), (i, i + 1.0), (i, i + 0.5), (i, i + 2.0)) for i in range(count))
    return ResultFigure("x", "Title", "Caption.", "share", "AUROC", series)


def test_page_reads_from_warnings_to_the_command(results: StudyResults, source: str) -> None:
    text = html.unescape(source)
    parts = [
        results.title, *results.made, *results.caveats, results.answer, "Every method, best first", "Best AUROC",
        results.lead, "Before you believe these numbers", *results.notes,
        *(chapter.title for chapter in results.chapters), "What the names mean", "How to repeat this", results.repeat,
        "5f" * 32, results.grid,
    ]  # fmt: skip
    places = [text.rindex(part) for part in parts]
    assert places == sorted(places)
    assert all(f'<a href="#{chapter.anchor}">' in source for chapter in results.chapters)


def test_key_figures_show_sign_decimals_and_uncertainty(source: str) -> None:
    text = html.unescape(source).replace("\N{NO-BREAK SPACE}", " ")
    for shown in ("0.861", "+0.011", "720", "12.2"):
        assert f'<span class="value">{shown}</span>' in text
    assert "95 % interval [−0.003, 0.021]; same test rows" in text
    assert "± 0.5; percent" in text


def test_page_needs_no_network_and_runs_one_script(source: str) -> None:
    assert not re.search(r"(?i)(https?:)?//\w", source)
    assert source.count("<script") == 1
    assert "default-src 'none'" in source


def test_warnings_stand_out(source: str) -> None:
    assert '<p class="warning">The masks are random; in a hospital they are not.</p>' in source


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Estimate(0.86149, 0.8454, 0.8736), ("0.861", "[0.845, 0.874]")),
        (Estimate(0.5, sd=0.0184), ("0.500", "± 0.018")),
        (Estimate(0.5), ("0.500", "")),
        (-0.01, ("−0.010", "")),
        (12345, ("12,345", "")),
    ],
)
def test_numbers_are_rounded_only_for_the_eye(value: object, expected: tuple[str, str]) -> None:
    cell = shown_table(table_of(value)).rows[0][1]
    assert (cell.text, cell.uncertainty.replace("\N{NO-BREAK SPACE}", " ")) == expected
    assert cell.value == (value.value if isinstance(value, Estimate) else value)


@pytest.mark.parametrize("value", [None, Estimate(None), Estimate(None, 0.1, 0.2), math.nan])
def test_what_is_not_defined_is_a_dash(value: object) -> None:
    cell = shown_table(table_of(value, 0.5)).rows[0][1]
    assert (cell if isinstance(cell, str) else cell.text) == "–"


@pytest.mark.parametrize("value", [None, Estimate(None)])
def test_a_column_in_which_nothing_is_known_is_left_out(value: object) -> None:
    assert shown_table(table_of(value, value)).columns == ("row",)


def test_differences_show_their_sign() -> None:
    rows = shown_table(table_of(0.0123, -0.0123, decimals=2, signed=True)).rows
    assert [row[1].text for row in rows] == ["+0.01", "−0.01"]


def test_a_column_of_words_is_set_as_words_and_a_mixed_one_is_not() -> None:
    assert shown_table(table_of("neural", None)).words == ("row", "score")
    assert shown_table(table_of("not fitted", 0.5)).words == ("row",)


def test_tables_sort_by_the_unrounded_number(source: str) -> None:
    assert 'data-value="0.8614">0.861 <small>[0.845,' in source


def test_raw_values_give_every_part_of_an_estimate_its_column() -> None:
    table = table_of(Estimate(0.5, 0.25, 0.75), 3, None, Estimate(0.125, sd=0.0625), "none")
    assert raw_values(table) == (
        ["row", "score", "score low", "score high", "score sd"],
        [
            ["row 0", 0.5, 0.25, 0.75, None],
            ["row 1", 3, None, None, None],
            ["row 2", None, None, None, None],
            ["row 3", 0.125, None, None, 0.0625],
            ["row 4", "none", None, None, None],
        ],
    )


def test_raw_values_without_uncertainty_have_one_column() -> None:
    assert raw_values(table_of(0.5, Estimate(0.25)))[0] == ["row", "score"]


def test_csv_reads_back_as_the_raw_values(results: StudyResults, folder: Path) -> None:
    table = next(item for item in results.chapters[0].items if isinstance(item, ResultTable))
    with (folder / "tables/methods.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    estimates = [row[1] for row in table.rows]
    assert [float(row["AUROC"]) for row in rows] == [estimate.value for estimate in estimates]
    assert [float(row["AUROC high"]) for row in rows] == [estimate.high for estimate in estimates]
    assert rows[-1]["AUPRC"] == rows[-1]["AUPRC sd"] == ""
    assert [int(row["parameters"]) for row in rows] == [row[4] for row in table.rows]


def test_every_table_has_its_files_and_the_page_names_them(folder: Path, source: str) -> None:
    names = {f"{name}.{kind}" for name in ("ranking", "methods", "patterns") for kind in ("csv", "tex")}
    assert {path.name for path in (folder / "tables").iterdir()} == names
    assert all(f'href="tables/{name}"' in source for name in names)
    assert r"late\_weighted & 0.840 {[}0.824,~0.853{]} &" in (folder / "tables/methods.tex").read_text()


def test_same_results_give_the_same_bytes(results: StudyResults, folder: Path, source: str) -> None:
    assert write_study(results, folder).read_text(encoding="utf-8") == source


def test_hostile_texts_stay_texts(results: StudyResults, tmp_path: Path) -> None:
    attack = '</svg></script><script>alert("x")</script>'
    table = ResultTable("t", attack, attack, (Column(attack),), ((attack,),))
    figures = [
        ResultFigure(
            f"f{kind}",
            attack,
            attack,
            attack,
            attack,
            2 * (Series(attack, (0.0,), (1.0,), (0.5,), (2.0,), attack),),
            kind,
        )
        for kind in ("lines", "points", "intervals")
    ]
    hostile = replace(
        results, name=attack, title=attack, lead=attack, notes=(attack,), repeat=attack, facts=((attack, attack),),
        chapters=(Chapter("a", attack, (Note(attack), table, *figures)),),
    )  # fmt: skip
    page = write_study(hostile, tmp_path).read_text(encoding="utf-8")
    assert page.count("<script") == page.count("</script>") == 1
    assert page.count("<svg") == page.count("</svg>") == 3


def test_a_table_without_rows_and_a_figure_without_series_are_written(results: StudyResults, tmp_path: Path) -> None:
    empty = ResultTable("empty", "Nothing yet", "", (Column("method"),), ())
    blank = ResultFigure("blank", "Nothing yet", "", "", "", (), "intervals")
    write_study(replace(results, chapters=(Chapter("a", "A", (empty, blank)),), notes=(), numbers=()), tmp_path)
    assert (tmp_path / "tables/empty.csv").read_text() == "method\n"
    assert "Before you believe" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_ten_series_are_told_apart_by_colour_and_marker() -> None:
    svg = study_figure(lines_of(10)).svg
    assert [f"series {i}<" in svg for i in range(10)] == 10 * [True]
    assert len(set(re.findall(r"<path id=\"(m\w+)\"", svg))) >= 10


def test_few_bands_are_areas_and_many_are_bars() -> None:
    assert study_figure(lines_of(4)).svg.count("fill-opacity") == 4
    assert "fill-opacity" not in study_figure(lines_of(5)).svg


def height_of(svg: str) -> float:
    match = re.search(r'viewBox="0 0 \S+ (\S+)"', svg)
    assert match
    return float(match[1])


def test_intervals_grow_with_their_number_and_show_values() -> None:
    def intervals(count: int, reference: float | None) -> str:
        series = tuple(Series(f"row {i}", (0.0,), (0.0124,), (0.0,), (0.02,)) for i in range(count))
        return study_figure(ResultFigure("x", "T", "C.", "gain", "", series, "intervals", reference)).svg

    assert height_of(intervals(12, None)) - height_of(intervals(2, None)) == pytest.approx(10 * 40)
    assert ">+0.012<" in intervals(1, 0.0)
    assert ">gain<" in intervals(1, 0.0)
    assert "+0.01" not in intervals(1, None)


def test_a_map_with_many_names_takes_the_whole_width() -> None:
    def plane(count: int) -> ResultFigure:
        series = tuple(Series(f"name{i}", (float(i),), (0.0,), group="g") for i in range(count))
        return ResultFigure("x", "T", "C.", "", "", series, "points")

    assert not study_figure(plane(3)).wide
    figure = study_figure(plane(20))
    assert figure.wide
    assert all(f">name{i}<" in figure.svg for i in range(20))


def test_figures_of_the_same_quantity_share_their_y_axis() -> None:
    low, high = (
        ResultFigure("x", "T", "C.", "share", "AUROC", (Series("s", (0.0, 1.0), (bottom, bottom + 0.2)),))
        for bottom in (0.5, 0.7)
    )
    assert shared_limits(low, [low, high]) == shared_limits(high, [low, high])
    assert shared_limits(low, [low, high]) == pytest.approx((0.48, 0.92))
    assert shared_limits(low, [low]) is None
    assert shared_limits(low, [low, replace(high, y_label="loss")]) is None


def test_perfect_is_a_line_and_not_a_method() -> None:
    plain = lines_of(2)
    drawn = study_figure(replace(plain, diagonal="perfect calibration"))
    assert ">perfect calibration<" in drawn.svg.replace("\n", "")
    assert len(set(re.findall(r"<path id=\"(m\w+)\"", drawn.svg))) == len(
        set(re.findall(r"<path id=\"(m\w+)\"", study_figure(plain).svg))
    )


def test_long_explanations_and_folded_tables_wait_for_a_reader(results: StudyResults, tmp_path: Path) -> None:
    folded = [
        ResultTable(name, f"Table {name}", "Short.", (Column("a"),), (("x",),), folded=True) for name in ("one", "two")
    ]
    page = write_study(replace(results, chapters=(Chapter("c", "C", tuple(folded)),)), tmp_path).read_text("utf-8")
    assert "<summary>Table one; Table two</summary>" in page
    assert page.index("<summary>How to read it</summary>") < page.index("Long ago")
    assert "<summary>How to read it</summary><p>Short." not in page
    assert (tmp_path / "tables/two.csv").is_file()
