"""What is read back of LightGBM was written by us: a text made by hand is refused before LightGBM sees it."""

import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from omnifuse.cache_schema import InputError, OmniFuseError
from omnifuse.fusion.methods import stored_boosters
from omnifuse.fusion.methods.lightgbm import Growth, LightGBM
from omnifuse.fusion.methods.stored_boosters import Boosted, Models, dump_boosters, load_boosters
from omnifuse.fusion.parts.targets import Kind, Target

from tests.fusion.vectors import noise, spec_of, whole

X = np.where(np.random.default_rng(1).random((200, 5)) < 0.1, np.nan, np.random.default_rng(0).normal(size=(200, 5)))
Y: dict[Kind, Any] = {
    "binary": np.nan_to_num(X[:, 0]) > 0.3,
    "regression": np.nan_to_num(X[:, 0]),
    "multiclass": 2 * np.digitize(np.nan_to_num(X[:, 0]), [-0.5, 0.5]),
}


def fitted(kind: Kind = "binary") -> Boosted:
    return Growth(rounds=3, samples_per_leaf=5, columns=0.6).grow(kind, X, Y[kind].astype(np.float32), seed=0)


def edited(change: Callable[[str], str], stored: bytes | None = None) -> bytes:
    """A stored model whose text was changed by hand, with the lengths of its trees as they are then."""
    (one,) = json.loads(zlib.decompress(stored or dump_boosters([fitted()])))
    head, *trees = change(one["trees"]).removesuffix("end of trees\n").split("Tree=")
    sizes = " ".join(str(len(tree) + len("Tree=")) for tree in trees)
    lines = [f"tree_sizes={sizes}" if line.startswith("tree_sizes=") else line for line in head.split("\n")]
    return packed([{**one, "trees": "Tree=".join(["\n".join(lines), *trees]) + "end of trees\n"}])


def packed(models: Any) -> bytes:
    return zlib.compress(json.dumps(models).encode())


def with_line(name: str, place: int, value: str) -> Callable[[str], str]:
    """Set one of the numbers of the first line of this name."""

    def change(text: str) -> str:
        before, _, rest = text.partition(f"\n{name}=")
        line, _, after = rest.partition("\n")
        numbers = line.split(" ")
        numbers[place] = value
        return f"{before}\n{name}={' '.join(numbers)}\n{after}"

    return change


@pytest.mark.parametrize("kind", Y)
def test_trees_come_back_as_they_were_and_as_equal_bytes(kind: Kind) -> None:
    model = fitted(kind)
    stored = dump_boosters([model, None])
    again, none = load_boosters(stored)
    assert none is None and again is not None
    assert again.classes == model.classes == ((0, 2, 4) if kind == "multiclass" else ())
    np.testing.assert_array_equal(again.booster.predict(X), model.booster.predict(X))
    assert dump_boosters([again, None]) == stored == dump_boosters([fitted(kind), None])


def test_a_text_that_is_not_changed_is_taken_by_the_tests_below() -> None:
    load_boosters(edited(lambda text: text))


def test_trees_without_splits_come_back() -> None:
    model = Growth(rounds=2, samples_per_leaf=150).grow("binary", X, Y["binary"].astype(np.float32), seed=0)
    (again,) = load_boosters(dump_boosters([model]))
    assert again is not None
    np.testing.assert_allclose(again.booster.predict(X), Y["binary"].mean())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("left_child", "0"), ("left_child", "7"), ("right_child", "-100"), ("split_feature", "5"),
        ("split_feature", "-1"), ("decision_type", "1"), ("num_cat", "1"), ("is_linear", "1"),
    ],
)  # fmt: skip
def test_a_tree_that_leads_outside_itself_is_refused(name: str, value: str) -> None:
    with pytest.raises(InputError, match=r"something else than trees: a tree that .*Train again\."):
        load_boosters(edited(with_line(name, 0, value)))


@pytest.mark.parametrize(
    "change",
    [
        with_line("num_leaves", 0, "3"),
        with_line("num_leaves", 0, "0"),
        with_line("leaf_value", 0, "nan"),
        with_line("leaf_value", 0, "0x10"),
        with_line("leaf_value", 0, "1 1"),
        with_line("threshold", 0, "1e999"),
        with_line("split_feature", 0, "1_0"),
        with_line("version", 0, "v3"),
        with_line("objective", 0, "poisson"),
        with_line("num_class", 0, "2"),
        with_line("num_tree_per_iteration", 0, "2"),
        with_line("max_feature_idx", 0, "1000000"),
        lambda text: text.replace("\nshrinkage=", "\nleaf_const=1\nshrinkage=", 1),
        lambda text: text.replace("\nthreshold=", "\nthresholds=", 1),
        lambda text: text.replace("Tree=1\n", "Tree=2\n"),
        lambda text: text.partition("Tree=")[0],
        lambda text: text.replace("tree\n", "forest\n", 1),
    ],
)
def test_a_text_made_by_hand_is_refused(change: Callable[[str], str]) -> None:
    with pytest.raises(InputError, match=r"something else than trees: .*Train again\."):
        load_boosters(edited(change))


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"no archive",
        dump_boosters([fitted()])[:-20],
        packed({}),
        packed([3]),
        packed([{"trees": "tree\n"}]),
        packed([{"trees": 3, "classes": []}]),
        packed([{"trees": stored_boosters._text(fitted()), "classes": [0, 1]}]),
        packed([{"trees": stored_boosters._text(fitted("multiclass")), "classes": [0, 1, -1]}]),
        packed([{"trees": stored_boosters._text(fitted()).replace("tree_sizes=", "tree_sizes=1"), "classes": []}]),
        packed([{"trees": stored_boosters._text(fitted()) + "more", "classes": []}]),
        packed([{"trees": stored_boosters._text(fitted()).replace("end of trees\n", ""), "classes": []}]),
    ],
)
def test_anything_but_trees_is_one_message(stored: bytes) -> None:
    with pytest.raises(InputError, match=r"something else than trees: .*Train again\.") as error:
        load_boosters(stored)
    assert len(str(error.value)) < 300


def test_what_unpacks_to_far_more_than_trees_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_boosters, "MOST_BYTES", 1000)
    with pytest.raises(InputError, match="something else than trees"):
        load_boosters(dump_boosters([fitted()]))


@pytest.mark.parametrize(
    ("target", "model"),
    [
        (Target("binary"), fitted("regression")),
        (Target("binary"), fitted("multiclass")),
        (Target("regression"), fitted()),
        (Target("multiclass", 4), fitted("multiclass")),
        (Target("multiclass", 5), fitted()),
    ],
)
def test_trees_of_another_kind_of_target_are_refused(target: Target, model: Boosted) -> None:
    """A folder in which models were exchanged by hand."""
    method, inputs = LightGBM(spec_of(target, ("ehr",))), noise(5)
    models: Models = [model]
    method.forest(0).models = models
    alone = replace(inputs, presence=inputs.presence[:, :1], modalities={"ehr": inputs.modalities["ehr"]})
    with pytest.raises(InputError, match="The stored lightgbm is of other columns or classes than the run"):
        method.logits(whole(alone))


def test_a_class_that_never_occurred_keeps_its_frequency() -> None:
    method, inputs = LightGBM(spec_of(Target("multiclass", 5), ("ehr",))), noise(5)
    method.prior.copy_(torch.tensor([-1.0, -7.0, -1.0, -8.0, -1.0]))
    method.forest(0).models = [fitted("multiclass")]
    alone = replace(inputs, presence=inputs.presence[:, :1], modalities={"ehr": inputs.modalities["ehr"]})
    said = method.logits(whole(alone))
    assert (said[:, 1] == -7).all() and (said[:, 3] == -8).all()
    torch.testing.assert_close(said[:, [0, 2, 4]].exp().sum(1), torch.ones(5))


def test_a_system_without_openmp_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(name: str, *_: object) -> object:
        raise OSError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr("builtins.__import__", lacks)
    with pytest.raises(OmniFuseError, match=r"libgomp\.so\.1.*apt-get install libgomp1"):
        stored_boosters.library()
