import numpy as np
from omnifuse.pipeline.sources.mimic.benchmark.rules import CLEAN_RULES, TREATMENTS
from omnifuse.pipeline.sources.mimic.benchmark.variables import columns, first_columns, items, variables


def test_there_are_76_columns_59_values_then_17_masks() -> None:
    roles = [column.role for column in columns()]
    assert len(roles) == 76
    assert roles[59:] == ["mask"] * 17
    assert roles.count("onehot") == 47
    assert [i for i, role in enumerate(roles) if role == "value"] == [2, 3, *range(49, 59)]


def test_columns_of_one_variable_share_its_name() -> None:
    for variable, first in zip(variables(), first_columns(), strict=True):
        of_variable = columns()[first : first + variable.width]
        assert {column.variable for column in of_variable} == {variable.name}
        assert columns()[59 + variables().index(variable)].name == f"mask->{variable.name}"
    names = [column.name for column in columns()]
    assert names[4] == "Glascow coma scale eye opening->To Pain"
    assert len(set(names)) == 76


def test_every_variable_has_items_and_rules() -> None:
    assert set(items()["variable"].unique()) == set(range(17))
    assert list(TREATMENTS) == [variable.name for variable in variables()]


def test_no_item_measures_two_variables() -> None:
    assert items()["itemid"].is_unique().all()


def test_benchmark_reads_114_items_and_clean_leaves_out_other_fluids_and_adds_new_ones() -> None:
    assert items()["benchmark"].sum() == 114
    other_fluids = items().filter(~items()["clean"])["itemid"]
    assert set(other_fluids) == {51478, 51491, 51094, 50831}
    assert set(items().filter(~items()["benchmark"])["itemid"]) == {52027, 52569}


def test_the_new_items_called_ph_are_of_urine_and_other_fluids_and_read_by_neither_profile() -> None:
    assert not items()["itemid"].is_in([52041, 52730]).any()


def test_every_spelling_has_the_score_of_its_meaning() -> None:
    for variable in variables():
        for meaning, score in zip(variable.meanings, variable.scores, strict=True):
            assert variable.scores[variable.categories.index(meaning)] == score


def test_limits_are_in_order() -> None:
    for variable in variables():
        if variable.limits:
            low, valid_low, valid_high, high = vars(variable.limits).values()
            assert low <= valid_low <= variable.normal <= valid_high <= high
    assert np.isclose(variables()[2].normal, 0.21)


def test_every_clean_rule_says_what_it_does() -> None:
    assert all(CLEAN_RULES.values())
