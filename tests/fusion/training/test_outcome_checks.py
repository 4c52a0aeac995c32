"""What cannot be learnt is refused before a training, and what decides too much is named."""

import numpy as np
import pytest
from omnifuse.cache_schema import InputError, Task
from omnifuse.fusion.inputs.splits import Split
from omnifuse.fusion.training.outcome_checks import check_outcome, outlier_notes

from tests.fusion.training.test_outcome import NAN, stay, survival


class TestWhatCannotBeLearnt:
    HALVES = (Split(np.array([0, 1]), np.array([], int), np.array([2, 3])),)

    @pytest.mark.parametrize(
        ("task", "message"),
        [
            (survival([[1, 0], [2, 0], [3, 0], [4, 0]]), "of 4 samples none has the event, all are censored"),
            (
                survival([[1, 0], [2, 0], [3, 1], [4, 0]]),
                "fold 0 has no event after time 0 to train on; in all there are so many: 1",
            ),
            (survival([[0, 1], [0, 1], [3, 0], [4, 0]]), "no event comes after time 0"),
            (survival([[0, 1], [0, 1], [3, 1], [4, 0]]), "fold 0 has no event after time 0 to train on"),
            (stay([3, 3, NAN, 3]), "every known value of 'los' is 3; nothing can be learnt"),
            (stay([NAN, NAN, 2, 3]), "fold 0 has no known value of 'los' to train on"),
        ],
    )
    def test_it_is_said_before_anything_is_trained(self, task: Task, message: str) -> None:
        with pytest.raises(InputError, match=message):
            check_outcome(task, task.y, self.HALVES)


class TestOutliers:
    IDS = np.array([f"stay{number}" for number in range(100)])
    DAYS = np.linspace(2, 12, 100)

    def test_a_value_far_beyond_all_others_is_named_with_its_sample(self) -> None:
        days = np.where(self.IDS == "stay7", 1e30, self.DAYS)
        (note,) = outlier_notes(stay(days), stay(days).y, self.IDS)
        assert note.startswith("los: 1e+30 of sample stay7 is more than 1,000 interquartile ranges from the median, 7")
        assert "others" not in note

    def test_others_are_counted(self) -> None:
        days = np.where(np.arange(100) < 3, -1e6, self.DAYS)
        (note,) = outlier_notes(stay(days), stay(days).y, self.IDS)
        assert "-1e+06 of sample stay0" in note and ", and so are 2 other values" in note

    def test_times_are_looked_at_and_events_are_not(self) -> None:
        y = np.stack([np.where(self.IDS == "stay9", 1e9, self.DAYS), np.arange(100) == 0], axis=1)
        (note,) = outlier_notes(survival(y), survival(y).y, self.IDS)
        assert "time: 1e+09 of sample stay9" in note

    @pytest.mark.parametrize("days", [DAYS, np.where(np.arange(100) < 5, NAN, DAYS), np.full(100, NAN), np.ones(100)])
    def test_nothing_is_said_of_the_usual(self, days: np.ndarray) -> None:
        assert list(outlier_notes(stay(days), stay(days).y, self.IDS)) == []
        classes = Task("dead", "binary", ("dead",), np.zeros((100, 1), np.float32))
        assert list(outlier_notes(classes, classes.y, self.IDS)) == []
