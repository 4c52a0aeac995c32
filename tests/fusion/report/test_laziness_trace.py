"""The trace of TLA in words."""

import polars as pl
import pytest
from omnifuse.fusion.report.blocks import Figures, Text, tables
from omnifuse.fusion.report.laziness_trace import (
    _blocks,
    choices_in_words,
    effect_in_words,
    gist,
    validation_in_words,
    verdict,
)


def trace_of(choices: list[str], combinations: tuple[str, ...] = ("cxr", "ehr", "cxr+ehr")) -> pl.DataFrame:
    """One fold; the chosen combination has distance 0.9, the others 0.4."""
    rows = [
        (0, epoch, name, 0.9 if name == chosen else 0.4, 0.1 if "+" in name else None, name == chosen)
        for epoch, chosen in enumerate(choices)
        for name in combinations
    ]
    schema = {"fold": int, "epoch": int, "combination": str, "distance": float, "excess": float, "chosen": bool}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_choices_are_counted() -> None:
    words = choices_in_words(trace_of(["cxr"] * 20 + ["ehr"] * 4))
    assert words.startswith("In 20 of 24 epochs the chosen combination was cxr.")
    assert "0.900, of the others 0.400" in words


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        (["cxr"] * 10, "TLA acted as a constant extra weight on cxr: compare with exactly that constant"),
        (["cxr"] * 9 + ["ehr"], "TLA acted almost as a constant extra weight on cxr:"),
        (["cxr+ehr"] * 10, "TLA acted as a constant extra weight on samples seen with cxr + ehr:"),
        (["cxr", "ehr", "cxr"], "The choice moved between combinations: cxr (2) and ehr (1)."),
        ([""] * 3, ""),
    ],
)
def test_verdict(choices: list[str], expected: str) -> None:
    assert verdict(trace_of(choices)).startswith(expected)


def test_nothing_chosen() -> None:
    assert choices_in_words(trace_of([""])) == "No combination was ever chosen, so TLA had no effect."


def test_choices_of_several_folds() -> None:
    one = trace_of(["cxr", "cxr"])
    words = choices_in_words(pl.concat([one, one.with_columns(fold=pl.lit(1, dtype=pl.Int64))]))
    assert words.startswith("In 4 of 4 choices (2 folds, up to 2 epochs) the chosen combination was cxr.")


@pytest.mark.parametrize("combinations", [("cxr",), ("cxr", "ehr", "cxr+ehr")])
def test_excess_is_drawn_only_where_it_exists(combinations: tuple[str, ...]) -> None:
    drawn = [
        block.figures for block in _blocks(trace_of(["cxr"], combinations), acted=True) if isinstance(block, Figures)
    ]
    assert [len(figures) for figures in drawn] == [1 if len(combinations) == 1 else 2]


def test_combinations_that_tie_stand_in_the_order_of_their_names() -> None:
    names = ("pet", "ct", "rep", "ehr", "cxr")
    (table,) = tables(_blocks(trace_of(["rep"] * 3, names), acted=True))
    assert [row[0] for row in table.rows] == ["rep", "ct", "cxr", "ehr", "pet"]


def test_a_trace_that_only_watched_claims_nothing() -> None:
    trace = trace_of(["cxr"] * 3)
    texts = [block.text for block in _blocks(trace, acted=False) if isinstance(block, Text)]
    texts.append(gist(trace, acted=False))
    assert any("the trace only watched" in text for text in texts)
    assert not any("constant extra weight" in text for text in texts)


def test_what_activation_did_is_told_beside_what_happened_without_it() -> None:
    """cxr is chosen after both epochs, so it is active in the second."""
    second = pl.col("epoch") == 1
    trace = trace_of(["cxr", "cxr"]).with_columns(
        active=second & (pl.col("combination") == "cxr"),
        share=pl.lit(0.25),
        change=pl.when(second).then(pl.when(pl.col("combination") == "cxr").then(-0.02).otherwise(-0.01)),
    )
    words = effect_in_words(trace)
    assert words.startswith("TLA acted on 25.0")
    assert "changed by −0.0200 an epoch, that of the others by −0.0100" in words
    assert effect_in_words(trace.filter(epoch=0)) == ""
    assert effect_in_words(trace_of(["cxr"])) == ""


def test_validation_samples_are_compared_where_there_are_some() -> None:
    trace = trace_of(["cxr", "ehr"])
    assert validation_in_words(trace) == ""
    elsewhere = trace.with_columns(validation_distance=pl.when(pl.col("combination") == "cxr").then(0.9).otherwise(0.4))
    assert validation_in_words(elsewhere).startswith("In 1 of 2 cases")
