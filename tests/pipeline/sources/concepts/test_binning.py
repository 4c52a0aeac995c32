"""Concept events as rows of a stay, in closed form."""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from omnifuse.pipeline.sources.mimic.concepts.binning import SetBins, SetColumns
from omnifuse.pipeline.sources.mimic.concepts.definitions import Concept
from omnifuse.pipeline.sources.mimic.concepts.reading import EVENT

IN = 1_000_000
NAN = np.nan


def concept(name: str = "x", kind: Any = "numeric", *aggregates: Any, **said: Any) -> Concept:
    return Concept("mine", name, {"labevents": (1,)}, kind, aggregates=aggregates or ("last",), **said)


def event(
    time: float, value: float, known: float | None = None, end: float | None = None, **more: Any
) -> dict[str, Any]:
    """Return an event of subject 7, with times in hours since the admission to the unit."""
    known = time if known is None else known
    hours = {
        "time": time,
        "known": known,
        "end": end,
        "open_end": more.pop("open_end", None),
    }
    seconds = {name: None if hour is None else round(hour * 3600) + IN for name, hour in hours.items()}
    stops = {
        name: None if name not in more else [round(hour * 3600) + IN for hour in more.pop(name)]
        for name in ("stops", "stops_known")
    }
    seconds |= stops
    return {"subject_id": 7, "concept": 0, "value": value, "row": 0, "spread": False, **seconds, **more}


def rows(
    concepts: list[Concept], *events: dict[str, Any], length: float | None = 8.0, since: float | None = 0.0,
    available: Any = "storetime",
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:  # fmt: skip
    """Return times and values of the one stay, from bins of two hours."""
    stays = pl.DataFrame(
        {"sample": [0], "stay_id": [70], "subject_id": [7], "intime": [IN]},
    ).with_columns(
        since=pl.lit(None if since is None else IN + round(since * 3600), pl.Int64),
        los_hours=pl.lit(length, pl.Float64),
    )  # fmt: skip
    frame = pl.DataFrame(events, schema=EVENT).sort("time")
    blocks = list(SetBins(concepts, 0, stays, 2.0, available).blocks(frame))
    if not blocks:
        return np.zeros(0, np.float32), np.zeros((0, 0), np.float32)
    (block,) = blocks
    assert block.sample_ids.tolist() == [70]
    assert block.lengths.tolist() == [len(block.time)]
    return block.time, block.values


def test_a_value_is_in_the_row_in_which_it_was_known() -> None:
    time, values = rows([concept()], event(0.5, 3, known=2.5), event(5, 4))
    assert time.tolist() == [2, 4, 6, 8]
    np.testing.assert_array_equal(values.T, [[NAN, 3, 4, 4], [0, 1, 1, 0]])
    _, at_once = rows([concept()], event(0.5, 3, known=2.5), event(5, 4), available="charttime")
    np.testing.assert_array_equal(at_once.T, [[3, 3, 4, 4], [1, 0, 1, 0]])


def test_values_of_other_times_than_the_stay_are_not_there() -> None:
    _, values = rows([concept()], event(-1, 3), event(-1, 5, known=1), event(7, 4, known=9), event(9, 6), event(8, 2))
    np.testing.assert_array_equal(values.T, [[NAN, NAN, NAN, 2], [0, 0, 0, 1]])


def test_a_stay_without_any_value_has_no_rows() -> None:
    assert rows([concept()], event(-1, 3), event(9, 4))[0].tolist() == []


def test_history_has_rows_where_something_happened_and_is_carried_into_the_stay() -> None:
    time, values = rows([concept()], event(-30, 1), event(-5, 2), event(-1, 3), event(3, 4), length=4, since=-6)
    assert time.tolist() == [-4, 0, 2, 4]
    np.testing.assert_array_equal(values.T, [[2, 3, 3, 4], [1, 1, 0, 1]])
    time, _ = rows([concept()], event(-3000, 1), length=4, since=None)
    assert time.tolist() == [-3000, 2, 4]


def test_a_stay_of_unknown_length_has_rows_to_its_last_event() -> None:
    assert rows([concept()], event(1, 3), event(4.5, 4), length=None)[0].tolist() == [2, 4, 6]


def test_columns_are_called_after_concept_aggregate_and_level() -> None:
    made = SetColumns.of([
        concept("a", "numeric", "mean", "time_since_last", unit="mg"),
        concept("b", "categorical", "last", levels=("x", "y")),
        concept("c", "interval-rate", "any", unit="mg/h"),
    ])  # fmt: skip
    assert [(column.name, column.unit, column.variable, column.role) for column in made.columns] == [
        ("a:mean", "mg", "a:mean", "value"),
        ("a:time_since_last", "h", "a:time_since_last", "value"),
        ("b->x", "", "b", "onehot"),
        ("b->y", "", "b", "onehot"),
        ("c", "", "c", "value"),
        ("mask->a:mean", "", "a:mean", "mask"),
        ("mask->a:time_since_last", "", "a:time_since_last", "mask"),
        ("mask->b", "", "b", "mask"),
        ("mask->c", "", "c", "mask"),
    ]


def test_levels_are_columns_and_are_carried() -> None:
    _, values = rows([concept("b", "categorical", "last", levels=("x", "y"))], event(1, 1), event(5, 0))
    np.testing.assert_array_equal(values, [[0, 1, 1], [0, 1, 0], [1, 0, 1], [1, 0, 0]])


def test_an_output_that_was_not_measured_is_not_zero() -> None:
    _, values = rows([concept("u", "output", "sum", "count")], event(1, 50), event(1.5, 60), event(6, 70))
    np.testing.assert_array_equal(values[:, :2], [[110, 2], [NAN, 0], [70, 1], [NAN, 0]])


def test_a_rate_is_its_mean_over_the_bin() -> None:
    rate = concept("r", "interval-rate", "mean", "max", "any")
    _, values = rows([rate], event(1, 0.4, end=5), event(4.5, 0.1, end=5))
    np.testing.assert_allclose(values[:, :3], [[0.2, 0.4, 1], [0.4, 0.4, 1], [0.225, 0.4, 1], [0, 0, 0]], rtol=1e-6)
    np.testing.assert_array_equal(values[:, 3:], [[1, 1, 1], [1, 1, 1], [1, 1, 1], [0, 0, 0]])


def test_a_rate_counts_from_the_bin_in_which_it_was_known() -> None:
    _, values = rows([concept("r", "interval-rate", "mean")], event(1, 0.4, known=3, end=5))
    np.testing.assert_allclose(values.T, [[0, 0.4, 0.2, 0], [0, 1, 1, 0]], rtol=1e-6)


def test_a_rate_goes_on_while_its_end_is_not_known() -> None:
    held = event(1, 0.4, end=2.5, open_end=5, stops=[2.5], stops_known=[4.5])
    _, values = rows([concept("r", "interval-rate", "mean")], held)
    np.testing.assert_allclose(values.T, [[0.2, 0.4, 0, 0], [1, 1, 0, 0]], rtol=1e-6)
    _, values = rows(
        [concept("r", "interval-rate", "mean")],
        event(1, 0.4, end=2.5, open_end=5, stops=[2.5, 3], stops_known=[2.6, 3]),
    )
    np.testing.assert_allclose(values.T, [[0.2, 0.1, 0, 0], [1, 1, 0, 0]], rtol=1e-6)
    _, values = rows([concept("r", "interval-rate", "mean")], held, available="charttime")
    np.testing.assert_allclose(values.T, [[0.2, 0.1, 0, 0], [1, 1, 0, 0]], rtol=1e-6)


def test_an_amount_is_divided_among_the_bins_if_its_rate_is_known() -> None:
    amount = concept("a", "interval-amount", "sum")
    _, values = rows([amount], event(1, 400, end=5, spread=True))
    np.testing.assert_allclose(values[:, 0], [100, 200, 100, 0], rtol=1e-6)
    _, late = rows([amount], event(1, 400, known=3.5, end=5, spread=True))
    np.testing.assert_allclose(late[:, 0], [0, 300, 100, 0], rtol=1e-6)
    _, whole = rows([amount], event(1, 400, end=5))
    np.testing.assert_array_equal(whole[:, 0], [0, 0, 400, 0])
    _, instant = rows([amount], event(1.99, 5, end=2.0), event(3, 6, end=3, known=7))
    np.testing.assert_array_equal(instant[:, 0], [5, 0, 0, 6])


def test_an_interval_counts_as_far_as_it_lies_in_the_stay() -> None:
    _, values = rows([concept("r", "interval-rate", "mean")], event(-3, 1.0, end=1), event(7, 1.0, end=20))
    np.testing.assert_array_equal(values[:, 0], [0.5, 0, 0, 0.5])


def test_each_stay_of_a_patient_takes_what_lies_in_its_time() -> None:
    stays = pl.DataFrame(
        {"sample": [0, 1], "stay_id": [70, 71], "subject_id": [7, 7], "intime": [IN, IN + 36_000],
         "since": [IN, IN + 36_000], "los_hours": [2.0, 2.0]}
    )  # fmt: skip
    frame = pl.DataFrame([event(1, 3), event(5, 4), event(11, 5)], schema=EVENT)
    (block,) = SetBins([concept()], 0, stays, 2.0, "storetime").blocks(frame)
    assert block.sample_ids.tolist() == [70, 71]
    np.testing.assert_array_equal(block.values, [[3, 1], [5, 1]])


def test_sets_take_only_their_own_concepts() -> None:
    stays = pl.DataFrame(
        {"sample": [0], "stay_id": [70], "subject_id": [7], "intime": [IN], "since": [IN], "los_hours": [2.0]}
    )
    frame = pl.DataFrame([event(1, 3), event(1, 9, concept=1), event(1, 7, concept=2)], schema=EVENT)
    (block,) = SetBins([concept()], 1, stays, 2.0, "storetime").blocks(frame)
    np.testing.assert_array_equal(block.values, [[9, 1]])
