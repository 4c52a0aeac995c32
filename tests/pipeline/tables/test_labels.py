"""Labels of a user's table: classes, quantities and times to an event, each said or told by the values."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omnifuse.cache_schema import InputError, Task
from omnifuse.pipeline.tables.labels import read_task

TABLE = Path("samples.csv")
NAN = np.nan


def task(label: str, **columns: list[str | None]) -> Task:
    table = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    return read_task(table, label, TABLE, pl.int_range(2, len(table) + 2, eager=True))


def refusal(label: str, **columns: list[str | None]) -> str:
    with pytest.raises(InputError) as refused:
        task(label, **columns)
    return str(refused.value)


class TestQuantities:
    def test_decimals_are_a_quantity_unknown_where_empty(self) -> None:
        found = task("los", los=["1.5", "2", "", "12.25"])
        assert (found.kind, found.labels) == ("regression", ("los",))
        np.testing.assert_array_equal(found.y, [[1.5], [2], [NAN], [12.25]])

    def test_decimal_commas_and_powers_of_ten_are_numbers_too(self) -> None:
        np.testing.assert_array_equal(task("los", los=["1,5", "2,25", "12"]).y, np.array([[1.5], [2.25], [12]], "f4"))
        np.testing.assert_array_equal(
            task("los", los=["1.5", "1e3", "2.5E-1"]).y, np.array([[1.5], [1000], [0.25]], "f4")
        )

    def test_grades_with_halves_are_classes_unless_it_is_said(self) -> None:
        grades = ["0", "0.5", "1", "2"] * 3
        assert task("cdr", cdr=[*grades]).labels == ("0", "0.5", "1", "2")
        assert task("cdr:regression", cdr=[*grades]).kind == "regression"

    def test_one_value_is_nothing_to_predict(self) -> None:
        assert refusal("los", los=["5.5", "", "5.5"]).endswith(
            "los is 5.5 wherever it is known; there is nothing to predict."
        )

    def test_of_many_whole_numbers_it_is_asked_and_the_answer_is_taken(self) -> None:
        days = [str(number) for number in range(12)]
        assert "12 different numbers. If it is a quantity, say so: --label los:regression" in refusal(
            "los", los=[*days]
        )
        assert task("los:regression", los=[*days]).y[:, 0].tolist() == list(range(12))
        assert len(task("los:multiclass", los=[*days]).labels) == 12

    def test_several_are_one_task(self) -> None:
        found = task("scores=a, b:regression", a=["1", "2"], b=["3", ""])
        assert (found.name, found.kind, found.labels) == ("scores", "regression", ("a", "b"))
        np.testing.assert_array_equal(found.y, [[1, 3], [2, NAN]])

    def test_a_column_whose_name_ends_like_a_kind_is_itself(self) -> None:
        table = pl.DataFrame({"a:regression": ["0", "1"]})
        with pytest.raises(InputError, match="The label 'a:regression': use letters"):
            read_task(table, "a:regression", TABLE, pl.Series([2, 3]))

    def test_a_word_among_decimals_is_no_class_but_named_with_its_row(self) -> None:
        days = [f"{number}.5" for number in range(20)]
        assert "row 22: los is 'unknown'; expected a number" in refusal("los", los=[*days, "unknown"])

    @pytest.mark.parametrize("value", ["long", "1e39", "-1e39", "inf", "nan?"])
    def test_what_is_no_number_of_32_bits_is_refused_with_row_and_value(self, value: str) -> None:
        said = refusal("los:regression", los=["1.5", value, "2.5"])
        assert said.startswith(f"samples.csv, row 3: los is '{value}'; expected a number of at most 3.4e+38")


class TestTimesToAnEvent:
    def test_two_columns_are_one_task(self) -> None:
        found = task("death", death_time=["5", "0", "", "7.5"], death_event=["1", "0", "", "false"])
        assert (found.name, found.kind, found.labels) == ("death", "survival", ("time", "event"))
        np.testing.assert_array_equal(found.y, [[5, 1], [0, 0], [NAN, NAN], [7.5, 0]])

    def test_a_column_of_the_name_itself_comes_first(self) -> None:
        columns: dict[str, list[str | None]] = {
            "death": ["0", "1"],
            "death_time": ["5", "6"],
            "death_event": ["1", "0"],
        }
        assert task("death", **columns).kind == "binary"
        assert task("death:survival", **columns).kind == "survival"

    @pytest.mark.parametrize(
        ("time", "event", "message"),
        [
            (["5", "-1"], ["1", "0"], "row 3: death_time is '-1'; expected a time from 0 to 3.4e"),
            (["5", "soon"], ["1", "0"], "row 3: death_time is 'soon'; expected a time from 0 to 3.4e"),
            (["5", "1e39"], ["1", "0"], "row 3: death_time is '1e39'; expected a time from 0 to 3.4e"),
            (["5", "6"], ["2", "0"], "row 2: death_event is '2'; expected 0, 1 or nothing"),
            (["5", "6"], ["1", ""], "row 3: death_time is 6 and death_event is empty. Give both"),
            (["", ""], ["1", "0"], "row 2: death_event is 1 and death_time is empty (2 rows are so). Give both"),
        ],
    )
    def test_what_cannot_be_meant_is_refused_with_row_and_value(
        self, time: list[str | None], event: list[str | None], message: str
    ) -> None:
        assert message in refusal("death", death_time=time, death_event=event)

    def test_a_missing_half_is_named(self) -> None:
        assert "has no column 'death_event'" in refusal("death:survival", death_time=["5"])
        assert "has no column 'death_event'" in refusal("death", death_time=["5"])


def test_classes_and_several_labels_are_what_they_were() -> None:
    assert task("died", died=["0", "1", ""]).kind == "binary"
    assert task("grade", grade=["0", "1", "2"]).labels == ("0", "1", "2")
    assert task("both=a,b", a=["0", "1"], b=["1", ""]).kind == "multilabel"
    assert task("one=a", a=["0", "1"]).kind == "multilabel"
    assert "row 3: b is '0.5'; expected 0, 1 or nothing" in refusal("both=a,b", a=["0", "1"], b=["1", "0.5"])
