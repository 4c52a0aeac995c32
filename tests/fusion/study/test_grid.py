"""A grid says what is trained: every cell once, and nothing that does not exist."""

from pathlib import Path

import pytest
from omnifuse.cache_schema import InputError, MissingInputError
from omnifuse.fusion.methods import METHODS
from omnifuse.fusion.study.cell import Cell, Measurement, Scope
from omnifuse.fusion.study.grid import read_grid
from omnifuse.fusion.study.kinds import KINDS
from omnifuse.fusion.study.presets import preset_names

from tests.fusion.study.grids import grid

SCOPE = Scope("mortality", ("ehr", "cxr", "rep"))


def test_sets_of_modalities_are_all_each_several_or_named() -> None:
    assert SCOPE.modality_sets("all") == [("ehr", "cxr", "rep")]
    assert SCOPE.modality_sets("each") == [("ehr",), ("cxr",), ("rep",)]
    assert SCOPE.modality_sets("several") == [("ehr", "cxr"), ("ehr", "rep"), ("cxr", "rep"), ("ehr", "cxr", "rep")]
    assert SCOPE.modality_sets("ehr+rep,cxr") == [("ehr", "rep"), ("cxr",)]
    with pytest.raises(InputError, match=r"names 'pet'; the study has: ehr, cxr, rep"):
        SCOPE.modality_sets("ehr+pet")


def test_the_id_of_a_cell_is_readable_and_differs_with_every_setting() -> None:
    cell = Cell("late:ridge", ("ehr", "cxr"), "mortality", 5, 1)
    assert cell.id.startswith("late-ridge-ehr+cxr-seed1-")
    others = [
        Cell("late:ridge", ("ehr", "cxr"), "mortality", 5, 1, ("fit.epochs=2",)),
        Cell("late:ridge", ("ehr", "cxr"), "phenotyping", 5, 1),
        Cell("late:ridge", ("ehr", "cxr"), "mortality", 4, 1),
    ]
    assert len({cell.id, *(other.id for other in others)}) == 4


def test_a_cell_trains_what_its_name_says() -> None:
    config = Cell("late:ridge", ("ehr", "cxr"), "mortality", 4, 3, ("fit.epochs=2",)).config
    assert (config.method, config.preset, config.options.imputation) == ("late", "ridge", "ridge")
    assert (config.modalities, config.task, config.folds, config.seed) == (("ehr", "cxr"), "mortality", 4, 3)
    assert config.fit.epochs == 2


def test_what_several_experiments_want_is_trained_once_and_measured_for_all_of_them() -> None:
    wanted = grid({"kind": "laziness", "explained": ["concat"]}, {"kind": "methods", "methods": ["concat"]})
    cells = wanted.cells(SCOPE)
    assert {(cell.method, cell.modalities) for cell in cells} == {
        ("concat", names) for names in (*SCOPE.modality_sets("each"), *SCOPE.modality_sets("several"))
    }
    assert [asked for cell, asked in cells.items() if cell.modalities == SCOPE.modalities] == [
        (Measurement("combinations"),)
    ]


def test_an_experiment_may_have_seeds_and_settings_of_its_own() -> None:
    wanted = grid(
        {"kind": "methods", "methods": ["concat"], "modalities": "all", "seeds": [4, 5], "settings": ["fit.clip=2"]}
    )
    scope = wanted.scope(SCOPE.task, SCOPE.modalities)
    assert [(cell.seed, cell.settings) for cell in wanted.cells(scope)] == [
        (4, ("fit.epochs=1", "fit.clip=2")),
        (5, ("fit.epochs=1", "fit.clip=2")),
    ]


def test_other_arguments_of_a_measurement_are_another_table() -> None:
    files = {Measurement("missing_curves", (("draws", draws),)).file for draws in (1, 2)}
    assert len(files) == 2 and all(file.startswith("missing_curves-") for file in files)


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_names_only_what_exists(name: str) -> None:
    cells = read_grid(name).cells(SCOPE)
    assert len(cells) > 5
    assert len({cell.id for cell in cells}) == len(cells)


@pytest.mark.parametrize("name", ["paper", "paper-full", "baselines"])
def test_every_table_of_the_large_presets_is_of_five_seeds(name: str) -> None:
    wanted = read_grid(name)
    scope = wanted.scope(SCOPE.task, SCOPE.modalities)
    assert all(len(experiment.seeds_of(scope)) >= 5 for experiment in wanted.experiments)


def test_the_margin_of_equivalence_is_that_of_the_grid() -> None:
    assert grid({"kind": "trust"}).scope("mortality", ("ehr",)).margin == 0.005
    assert grid({"kind": "trust"}, margin=0.01).scope("mortality", ("ehr",)).margin == 0.01


def test_the_paper_has_its_tables_and_figures() -> None:
    kinds = [experiment.kind for experiment in read_grid("paper").experiments]
    assert set(kinds) == set(KINDS) - {"learning-curve", "published", "sites"}  # which the paper has none of


def test_the_baselines_are_all_methods_that_need_no_optional_package_but_the_slowest() -> None:
    (methods_side_by_side, *_) = read_grid("baselines").content["experiments"]
    named = {name.partition(":")[0] for name in methods_side_by_side["methods"]}
    assert named == {name for name in METHODS.names() if METHODS.get(name).package is None} - {"stacking"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("experiments: [", "is no YAML"),
        ("- 1", "is no grid: it needs a list `experiments`"),
        ("experiments: 3", "is no grid"),
        ("experiments: [{kind: magic}]", "An experiment has the kind 'magic'; known are: claims, hypotheses"),
        (
            "experiments: [{kind: methods, method: concat}]",
            r"Unknown setting 'methods\.method'\. Did you mean 'methods\.methods'\? Known are: methods\.title",
        ),
        ("{folds: many, experiments: []}", "folds = 'many'; expected int"),
        ("{seeds: 3, experiments: []}", "seeds = 3; expected a list"),
        ("experiments: [{kind: {a: b}}]", r"An experiment has the kind {'a': 'b'}; known are"),
        ("experiments: [[]]", "An experiment has the kind None"),
        ("{a: &a [1, 1], experiments: [{kind: *a}]}", r"line 1: a reference, \*a"),
        ("{title: [x], experiments: []}", r"title = \['x'\]; expected str"),
        ("{folds: 2.5, experiments: []}", r"folds = 2\.5; expected int"),
        ("{folds: .inf, experiments: []}", "folds = inf; expected int"),
        ("{folds: true, experiments: []}", "folds = True; expected int"),
        ("{folds: 99999999999999999999999, experiments: []}", "a number of more than 20 characters"),
        ("{2: x, y: z, experiments: []}", "Unknown setting '2'. Known are: title"),
        (
            "{fold: 3, experiments: []}",
            r"Unknown setting 'fold'\. Did you mean 'folds'\? Known are: title, task, folds, seeds, settings, margin",
        ),
        ("{margin: 0, experiments: []}", r"margin = 0\.0; expected a difference of AUROC between 0 and 1"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_grid(tmp_path / "mine.yaml")
    assert "mine.yaml" in str(error.value)


def test_a_grid_of_more_cells_than_anybody_trains_is_refused_at_once() -> None:
    many = grid({"kind": "methods", "methods": ["concat"], "seeds": list(range(20_000))})
    with pytest.raises(InputError, match=r"wants more than 10,000 cells; make several studies of it"):
        many.cells(SCOPE)


@pytest.mark.parametrize("setting", ["seed=-1", "seed=99999999999", "folds=0", "folds=100000", "threads=0"])
def test_numbers_that_no_training_can_have_are_refused(setting: str) -> None:
    with pytest.raises(InputError, match=r"= -?\d+; expected [01] to \d+"):
        grid({"kind": "methods", "methods": ["concat"], "settings": [setting]}).cells(SCOPE)


def test_a_name_that_is_no_preset_is_refused_with_those_that_are() -> None:
    with pytest.raises(
        MissingInputError,
        match=r"papr is neither a preset .*baselines, decompensation, learning-curve, .* paper, paper-full, quick",
    ):
        read_grid("papr")


def test_an_unknown_method_is_said_before_anything_is_trained() -> None:
    with pytest.raises(InputError, match="magic"):
        grid({"kind": "methods", "methods": ["magic"]}).cells(SCOPE)
