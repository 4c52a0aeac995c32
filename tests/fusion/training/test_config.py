"""Settings: presets, overrides, and messages that name what is known."""

import json

import pytest
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods import METHODS
from omnifuse.fusion.training.config import TrainConfig, make_config


def test_overrides_are_typed() -> None:
    config = make_config(
        "concat",
        overrides=[
            "fit.epochs=3",
            "encoder.timeseries=both",
            "options.modality_dropout=0.5",
            "modalities=ehr,rep",
            "split=none",
        ],
    )
    assert config.fit.epochs == 3
    assert config.encoder.timeseries == "both"
    assert config.options.modality_dropout == 0.5
    assert config.modalities == ("ehr", "rep")
    assert config.split is None


def test_overrides_win_over_settings_and_settings_over_nothing() -> None:
    config = make_config("concat", overrides=["seed=5"], seed=1, folds=3)
    assert (config.seed, config.folds) == (5, 3)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("fit.epoch=3", r"Did you mean 'fit\.epochs'\? Known are: fit\.epochs, fit\.batch_size"),
        ("epochs=3", "Known are: task, modalities, folds"),
        ("method=concat", "Unknown setting 'method'"),
        ("fit.epochs=many", "expected int"),
        ("fit.epochs=2.5", "expected int"),
        (
            "encoder.timeseries=transformer",
            r"Unknown timeseries encoder.* statistics, recurrent, both\.",
        ),
        ("fit=3", "fit.epochs"),
        ("seed.x=3", "has no parts"),
        ("fit.epochs", "key=value"),
        ("options.beta=1", "Known are: options.modality_dropout"),
    ],
)
def test_wrong_overrides_are_explained(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_config("concat", overrides=[override])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("fit.epochs=-1", r"fit\.epochs = -1; expected 1 to"),
        ("fit.epochs=0", "expected 1 to"),
        ("fit.batch_size=0", "expected 1 to"),
        ("fit.learning_rate=-1", "expected 0 to"),
        ("fit.weight_decay=-3", "expected 0 to"),
        ("fit.final_rate=2", "expected 0 to 1"),
        ("fit.clip=-1", "expected 1e-06 to"),
        ("fit.clip=0", "expected 1e-06 to"),
        ("encoder.dropout=2", "expected 0 to 1"),
        ("encoder.dimension=0", "expected 1 to"),
    ],
)
def test_a_number_that_no_training_can_mean_is_refused(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_config("concat", overrides=[override])


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(InputError, match="Known are: prior, unimodal"):
        make_config("magic")
    with pytest.raises(InputError, match=r"Known are: default, modality-dropout, ridge, modality-dropout-ridge\."):
        make_config("concat", preset="best")


@pytest.mark.parametrize("name", METHODS.names())
def test_every_method_describes_itself_and_survives_json(name: str) -> None:
    method = METHODS.get(name)
    assert method.name == name and method.family and method.source and method.__doc__
    for preset in method.presets:
        config = make_config(name, preset, seed=3)
        assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_settings_name_what_they_change_of_their_preset() -> None:
    changes = [
        "search.over=fit.epochs,options.alpha",
        "options.alpha=1.0",
        "options.truth=teacher",
        "options.share_cascades=True",
    ]
    config = make_config("omnifuse", "as-published", [*changes, "missing.rate=0.5"], folds=3, seed=4)
    assert sorted(config.overrides()) == sorted([*changes, "missing.rate=0.5"])
    assert make_config("omnifuse", "as-published", config.overrides(), folds=3, seed=4) == config
    assert make_config("omnifuse", "as-published", folds=3).overrides() == []


def test_stored_settings_are_read_strictly() -> None:
    stored = make_config("concat").to_dict()
    with pytest.raises(InputError, match=r"fit\.momentum"):
        TrainConfig.from_dict({**stored, "fit": {**stored["fit"], "momentum": 0.9}})


def test_a_run_that_stored_how_often_everything_is_shown_means_the_same_as_before() -> None:
    stored = make_config("omnifuse", "table4-c").to_dict()
    del stored["options"]["modality_dropout"]
    earlier = TrainConfig.from_dict({**stored, "options": {**stored["options"], "full_probability": 0.75}})
    assert earlier.options.modality_dropout == 0.25
    with pytest.raises(InputError, match=r"Unknown setting 'options\.full_probability'\..* options\.modality_dropout"):
        TrainConfig.from_dict({**stored, "options": {**stored["options"], "full_probability": "often"}})


def test_options_belong_to_their_method() -> None:
    with pytest.raises(InputError, match="takes"):
        TrainConfig("concat", options=make_config("unimodal").options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": None}, "Settings without the name of a method"),
        ({"method": {"a": 1}}, "Settings without the name of a method"),
        ({"fit": 3}, "fit = 3; expected settings by name"),
        ({"fit": {"epochs": 2.5}}, r"fit\.epochs = 2\.5; expected int"),
        ({"fit": {"epochs": [1]}}, r"fit\.epochs = \[1\]; expected int"),
        ({"fit": {"epochs": True}}, r"fit\.epochs = True; expected int"),
        ({"device": {"a": "b"}}, "device = {'a': 'b'}; expected str"),
        ({"modalities": "x" * 10_000, "seed": -1}, "seed = -1; expected 0 to 4294967295"),
        ({"split": ["x" * 10_000]}, "split = .*expected str"),
    ],
)
def test_stored_settings_that_were_changed_by_hand_are_one_short_message(
    change: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message) as error:
        TrainConfig.from_dict({**make_config("concat").to_dict(), **change})
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("value", ["nan", "inf", "1e999", "9" * 10_000])
def test_a_number_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(InputError, match="expected float"):
        make_config("concat", overrides=[f"missing.rate={value}"])


def test_a_preset_can_name_its_method_alone() -> None:
    assert make_config(preset="best").method == "stacking"
    assert make_config(preset="as-published").method == "omnifuse"
    with pytest.raises(InputError, match="Unknown omnifuse preset 'ridge'"):
        make_config(preset="ridge")
