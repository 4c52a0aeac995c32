"""Tables for other programs: CSV that reads back, LaTeX that sets what was meant."""

import csv
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omnifuse.fusion.report import write_report
from omnifuse.fusion.report.blocks import Bar, Dot, Measure, Section, Table, Text
from omnifuse.fusion.report.export import escape_latex, write_csv, write_latex, write_tables

LATEX = r"""% Needs \usepackage{booktabs}.
\begin{table}
\centering
\caption{Costs \& gains}
\label{tab:costs}
\begin{tabular}{lrl}
\toprule
\_name & share of 5 \% & words \\
\midrule
{[}a{]} & 0.861 {[}0.845,~0.874{]} & yes \\
{*}b & $-$0.010 $\pm$~0.002 & no \\
all & -- & yes \\
\bottomrule
\end{tabular}
\end{table}
"""


def costs() -> Table:
    return Table(
        "Costs & gains",
        ("_name", "share of 5 %", "", "words"),
        (
            ("[a]", Measure("0.861", 0.8612, "[0.845,\N{NO-BREAK SPACE}0.874]"), Bar(0.5), Dot(filled=True)),
            ("*b", Measure("−0.010", -0.01, "±\N{NO-BREAK SPACE}0.002"), Bar(0.1), Dot(filled=False)),
        ),
        words=("words",),
        total=("all", "–", Bar(1.0), "yes"),
    )


def rows_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


def test_latex_is_a_booktabs_table_with_caption_and_label(tmp_path: Path) -> None:
    write_latex(tmp_path / "costs.tex", costs())
    assert (tmp_path / "costs.tex").read_text() == LATEX


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\input{/etc}", r"\textbackslash{}input\{/etc\}"),
        ("a_b & 5% #1 $x$", r"a\_b \& 5\% \#1 \$x\$"),
        ("~^<>|", r"\textasciitilde{}\textasciicircum{}\textless{}\textgreater{}\textbar{}"),
        ("1 ≤ 2 × 3 → 6", r"1 $\leq$ 2 $\times$ 3 $\to$ 6"),
        ("née Łuc", "née Łuc"),
    ],
)
def test_every_special_character_is_set_as_itself(text: str, expected: str) -> None:
    assert escape_latex(text) == expected


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_survive_csv_exactly(tmp_path_factory: pytest.TempPathFactory, numbers: list[float]) -> None:
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    write_csv(path, ["x"], [[number] for number in numbers])
    assert [float(row[0]) for row in rows_of(path)[1:]] == numbers


def test_texts_survive_csv_and_nothing_is_an_empty_cell(tmp_path: Path) -> None:
    write_csv(tmp_path / "x.csv", ["a,b", 'c"d'], [["line\nbreak", None], ["影像", 3], ["a\rb", "c\r\nd"]])
    rows = [["a,b", 'c"d'], ["line\nbreak", ""], ["影像", "3"], ["a\nb", "c\nd"]]
    assert rows_of(tmp_path / "x.csv") == rows


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\n=1", "＝1+1"])
def test_a_class_named_like_a_formula_is_a_text_to_a_spreadsheet(tmp_path: Path, name: str) -> None:
    write_csv(tmp_path / "x.csv", [name, "AUROC"], [[name, -0.5], ["1-2", 3]])
    assert rows_of(tmp_path / "x.csv") == [[f"'{name}", "AUROC"], [f"'{name}", "-0.5"], ["1-2", "3"]]


def test_a_table_that_could_not_be_written_leaves_the_one_before_it(tmp_path: Path) -> None:
    def rows() -> Iterator[list[str]]:
        yield ["new"]
        raise OSError(28, "No space left on device")

    write_csv(tmp_path / "x.csv", ["a"], [["old"]])
    with pytest.raises(OSError, match="No space left"):
        write_csv(tmp_path / "x.csv", ["a"], rows())
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"] and rows_of(tmp_path / "x.csv") == [["a"], ["old"]]


def test_tables_of_a_page_are_files_named_after_their_captions(tmp_path: Path) -> None:
    empty = Table("Empty", ("a",), ())
    write_tables([Section("x", "X", (Text("words"), costs(), empty))], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["costs-gains.csv", "costs-gains.tex"]
    assert rows_of(tmp_path / "costs-gains.csv")[1:] == [
        ["[a]", "0.861 [0.845,\N{NO-BREAK SPACE}0.874]", "yes"],
        ["*b", "−0.010 ±\N{NO-BREAK SPACE}0.002", "no"],
        ["all", "–", "yes"],
    ]


def test_report_of_a_run_leaves_its_tables_without_ids(run: Path) -> None:
    write_report(run)
    folds = rows_of(run / "tables/test-part-of-each-fold.csv")
    assert folds[0][:3] == ["fold", "samples", "positive"]
    assert [row[:2] for row in folds[1:]] == [[str(k), "240"] for k in range(5)]
    assert rows_of(run / "tables/which-modalities-the-samples-have.csv")[0][:3] == ["combination", "samples", "share"]
    ids = pl.read_parquet(run / "predictions.parquet")["sample_id"]
    written = "".join(path.read_text() for path in (run / "tables").iterdir())
    assert not [name for name in ids if name in written]
