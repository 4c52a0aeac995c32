"""What the probabilities would be worth to who acts on them: alerts and calibration."""

from collections.abc import Iterator

from ..runs.run import Run
from ..scores.curves import has_both_outcomes
from ..words import count, interval, number, percent
from .blocks import Beside, Section, Table, measured


def decisions_section(run: Run) -> Section | None:
    """Return the chapter on decisions; None unless the task is binary and the predictions have both outcomes."""
    if run.metrics.kind != "binary" or not has_both_outcomes(run.tested.y[:, 0], run.tested.p[:, 0]):
        return None
    small = (*_alert(run), *_calibration(run))
    return Section("decisions", "What acting on the predictions would gain", (Beside(small),)) if small else None


def _alert(run: Run) -> Iterator[Table]:
    found = run.metrics.alert
    if found is None:
        return
    shares = {name: found.measured(name) for name in ("sensitivity", "specificity", "positive_predictive_value")}
    rows = tuple(
        (words, number(shares[name].value), interval(shares[name].ci))
        for words, name in (
            ("positives that alert (sensitivity)", "sensitivity"),
            ("negatives that do not (specificity)", "specificity"),
            ("alerts that are positive (positive predictive value)", "positive_predictive_value"),
        )
    )
    yield Table(
        "Alerting for the highest probabilities",
        ("share of", "value", "95 % interval"),
        rows,
        reading=f"If at most {percent(found.rate, 1)} of the samples may alert: {count(found.alerts)} of "
        f"{count(found.samples)} do, those with a probability of at least {number(found.threshold)}.",
    )


def _calibration(run: Run) -> Iterator[Table]:
    found = run.metrics.calibration
    if found is None:
        return
    rows = tuple(
        (words, measured(found, name), ideal, reading)
        for words, name, ideal, reading in (
            ("slope", "slope", "1", "below 1: too extreme"),
            ("intercept", "intercept", "0", "below 0: too high on average"),
            ("observed over expected positives", "observed_expected", "1", "below 1: too high on average"),
            ("expected calibration error", "ece", "0", "mean distance in ten groups by probability"),
        )
    )
    columns = ("calibration", "this model", "ideal", "reading")
    yield Table("Do the probabilities mean what they say?", columns, rows, words=("reading",))
