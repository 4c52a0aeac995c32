"""The words by which tables say that a value is missing, wherever one may stand: ids, labels, texts, numbers, parts."""

import polars as pl

MISSING = (
    "", "NA", "na", "N/A", "n/a", "#N/A", "#NA", "<NA>", "NaN", "nan", "NAN", "-nan", "-NaN", "NaT", "NULL", "null",
    "None", ".", "\\N", "#NV",
)  # fmt: skip
"""What R, pandas, SQL, Excel, SAS and Stata write, in their spelling alone: ``Na`` is sodium, ``none`` an answer, and
``Null`` a family name."""

FORMULA_ERRORS = ("#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!")
"""What a spreadsheet shows where a formula has failed: neither a value nor the statement that there is none."""


def trimmed(text: pl.Expr) -> pl.Expr:
    """Return texts without the white space around them, null where that is all."""
    return text.str.strip_chars().replace("", None)


def known(text: pl.Expr) -> pl.Expr:
    """Return texts without the white space around them, null where they say that the value is missing."""
    stripped = text.str.strip_chars()
    return pl.when(~stripped.is_in(MISSING)).then(stripped).otherwise(None)
