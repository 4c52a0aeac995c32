"""What the page on speed says follows from the measurements; nothing is timed here."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def measurements(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The package of the benchmarks, which is not installed."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import measurements.measure
    import measurements.page
    import measurements.texts

    yield measurements
    for name in [name for name in sys.modules if name.partition(".")[0] in ("measurements", "performance")]:
        del sys.modules[name]


def run(values: list[float], **more: Any) -> dict[str, Any]:
    """A run with one row, ``row``, of which the figure ``clock`` has these values."""
    version = {"seconds": [2.0, 4.0], "cpu_seconds": [3.0, 3.0], "peak_mib": 1000, "items": 10}
    found = {"figures": {"clock": values}, "ours": version, "plain": {}, "note": "Ten items.", "missing": ""}
    machine = {"processor": "P", "cores": 2, "memory_gib": 8, "system": "S", "python": "3", "gpu": None, "packages": {}}
    return {
        "when": "2026-01-01", "quick": False, "load_before": 0.1, "seconds": 60, "machine": machine,
        "limits": {"disk_read": 1.0}, "peaks": {"float32": 1e11}, "rows": {"row": found}, **more,
    }  # fmt: skip


def family(measurements: ModuleType, **bounds: float) -> Any:
    row = measurements.row
    figures = {"clock": row.Figure("times faster", **bounds)}
    return row.Family("rows", {"row": row.Row("a row", "plain", figures, "The sky.")}, lambda setting: {})


def test_a_spread_is_median_least_and_greatest(measurements: ModuleType) -> None:
    assert measurements.measure.spread([5.0, 1.0, 2.0]) == (2.0, 1.0, 5.0)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_exponent_of_a_power_is_found(measurements: ModuleType, power: float) -> None:
    sizes = [1, 2, 4, 8]
    assert measurements.measure.exponent(sizes, [3 * size**power for size in sizes]) == pytest.approx(power)


def test_ratios_are_taken_block_by_block_less_the_start_of_ours(measurements: ModuleType) -> None:
    measure = measurements.measure
    plain = [measure.Measured(10.0, 20.0, 1), measure.Measured(12.0, 20.0, 1)]
    ours = [measure.Measured(7.0, 6.0, 1), measure.Measured(5.0, 12.0, 1)]
    start = [measure.Measured(2.0, 2.0, 1), measure.Measured(3.0, 4.0, 1)]
    net = measure.without_start(ours, start)
    assert measure.ratios(plain, net) == [2.0, 4.0]
    assert measure.ratios(plain, net, "cpu_seconds") == [5.0, 2.0]


def test_versions_take_turns_block_by_block(measurements: ModuleType) -> None:
    said: list[str] = []
    versions = {name: lambda block, name=name: said.append(f"{name}{block}") for name in ("plain", "ours")}
    measurements.measure.in_turns([1, 2], versions)
    assert said == ["plain1", "ours1", "plain2", "ours2"]


@pytest.mark.parametrize(
    ("bounds", "met", "short"),
    [
        ({"at_least": 3.0}, "**no**", True),
        ({"at_least": 2.0}, "yes", False),
        ({"at_most": 2.0}, "**no**", True),
        ({}, "–", False),
    ],
)
def test_the_median_of_all_runs_decides_and_what_limits_a_row_is_said_where_it_falls_short(
    measurements: ModuleType, bounds: dict[str, float], met: str, short: bool
) -> None:
    page = measurements.page.render([run([2.5, 2.0]), run([9.0])], [family(measurements, **bounds)])
    (line,) = [line for line in page.splitlines() if line.startswith("| **a row**, beside plain")]
    assert "| 300.0 ms each |" in line
    assert "**2.5×** times faster (2.0× to 9.0×)" in line
    assert line.endswith(f"| {met} |")
    assert ("The sky." in page) is short
    assert ("All goals are met." in page) is not short


def test_a_row_that_was_not_measured_says_why(measurements: ModuleType) -> None:
    missing = {"figures": {}, "ours": {}, "plain": {}, "note": "", "missing": "No GPU."}
    page = measurements.page.render([run([1.0], rows={"row": missing})], [family(measurements, at_least=8)])
    assert "| **a row**, beside plain | | | not measured: No GPU. | ≥ 8× | – |" in page


@pytest.mark.parametrize(("load", "warned"), [(0.1, False), (4.0, True)])
def test_a_busy_machine_is_said(measurements: ModuleType, load: float, warned: bool) -> None:
    page = measurements.page.render([run([1.0], load_before=load)], [family(measurements)])
    assert ("nothing here is final" in page) is warned


@pytest.mark.parametrize(("value", "form", "expected"), [
    (0.005, "share", "0.5%"), (0.61, "share", "61%"), (2.54, "times", "2.5×"), (231.4, "times", "231×"),
    (0.99996, "number", "0.99996"), (1.04, "number", "1.04"),
])  # fmt: skip
def test_figures_are_written_as_precisely_as_they_matter(
    measurements: ModuleType, value: float, form: str, expected: str
) -> None:
    assert measurements.page.written(value, form) == expected


def test_reports_are_of_the_lengths_that_the_row_names(measurements: ModuleType) -> None:
    texts = measurements.texts
    reports = texts.reports(1000)
    lengths = [len(report.split()) + texts.SPECIAL for report in reports]
    assert sum(lengths) / len(lengths) == pytest.approx(75, abs=2)
    assert max(lengths) == 150
    assert len(set(reports)) == 1000
    assert len(set(texts.repeating(reports))) == 700


def test_the_page_that_is_kept_is_what_the_kept_measurements_say(measurements: ModuleType) -> None:
    import performance

    runs = json.loads(performance.RESULTS.read_text(encoding="utf-8"))["runs"]
    assert performance.PAGE.read_text(encoding="utf-8") == performance.render(runs, performance.FAMILIES)
