"""What is read back of boosted trees was written by us: a file made by hand runs nothing and breaks nothing."""

import io
import json
import operator
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest
import skops.io
from omnifuse.cache_schema import InputError
from omnifuse.fusion.methods.boosting import Boosting
from omnifuse.fusion.methods.stored_trees import Trees, dump_trees, load_trees
from omnifuse.fusion.parts.targets import Kind, Target
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression

from tests.fusion.vectors import noise, spec_of, whole

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 5))
CALL = {
    "__class__": "methodcaller", "__module__": "operator", "__loader__": "OperatorFuncNode",
    "attrs": {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "content": []},
}  # fmt: skip


def fitted(classes: int = 2) -> HistGradientBoostingClassifier:
    y = np.minimum(np.digitize(X[:, 0], [0.0, 0.7]), classes - 1).astype(np.float32)
    return HistGradientBoostingClassifier(max_iter=3, early_stopping=False, max_features=0.5, random_state=0).fit(X, y)


def nodes_of(tree: Any) -> Iterator[dict[str, Any]]:
    """Every node of a schema, the outermost first."""
    if isinstance(tree, dict):
        if "__loader__" in tree:
            yield tree
        for branch in tree.values():
            yield from nodes_of(branch)
    elif isinstance(tree, list):
        for branch in tree:
            yield from nodes_of(branch)


def edited(change: Callable[[dict[str, Any]], object], stored: bytes | None = None) -> bytes:
    """A stored model whose schema was changed by hand."""
    with ZipFile(io.BytesIO(stored or dump_trees([fitted()]))) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(files["schema.json"])
    change(schema)
    files["schema.json"] = json.dumps(schema).encode()
    with ZipFile(written := io.BytesIO(), "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return written.getvalue()


def node(schema: dict[str, Any], loader: str) -> dict[str, Any]:
    return next(node for node in nodes_of(schema) if node["__loader__"] == loader)


def bit_generator(schema: dict[str, Any]) -> Any:
    return node(schema, "RandomGeneratorNode")["content"]["bit_generator"]["content"]["bit_generator"]


@pytest.mark.parametrize("classes", [2, 3])
def test_equal_trainings_are_stored_as_equal_bytes(classes: int) -> None:
    first, second = fitted(classes), fitted(classes)
    assert dump_trees([first, None]) == dump_trees([second, None]) == dump_trees(load_trees(dump_trees([first, None])))


def test_trees_as_skops_writes_them_can_be_read() -> None:
    (again,) = load_trees(skops.io.dumps([model := fitted()]))
    assert again is not None
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("classes", [2, 3])
def test_trees_come_back_as_they_were(classes: int) -> None:
    model = fitted(classes)
    again, none = load_trees(dump_trees([model, None]))
    assert none is None and again is not None
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize(
    "change",
    [
        lambda schema: node(schema, "LossNode").update(__class__="system", __module__="os"),
        lambda schema: node(schema, "ObjectNode").update(__class__="Popen", __module__="subprocess"),
        lambda schema: node(schema, "ObjectNode").update(__loader__="MethodNode"),
        lambda schema: node(schema, "JsonNode").update(CALL),
        lambda schema: node(schema, "NdArrayNode").update(__class__="memmap"),
        lambda schema: node(schema, "TypeNode").update(__class__="eval"),
        lambda schema: node(schema, "DictNode").update(__loader__="DefaultDictNode", __class__="defaultdict"),
        lambda schema: node(schema, "JsonNode").update(__loader__="FunctionNode", __module__="os", __class__="system"),
        lambda schema: bit_generator(schema).update(content='"seed"'),
        lambda schema: schema.update(protocol=0),
        lambda schema: schema.update(__class__="tuple", __loader__="TupleNode"),
    ],
    ids=[
        "a program", "another class", "a method", "a caller of methods", "a file on disk", "a builtin", "a factory",
        "a function", "a function of numpy", "an old protocol", "no list",
    ],
)  # fmt: skip
def test_a_file_made_by_hand_is_refused_before_anything_is_made_of_it(
    change: Callable[[dict[str, Any]], object],
) -> None:
    with pytest.raises(InputError, match="something else than trees"):
        load_trees(edited(change))


def test_a_file_with_a_call_writes_nothing(tmp_path: Path) -> None:
    """``operator.methodcaller('write_text', ...)`` of a path: older versions of skops ran it in predicting."""
    caller = skops.io.dumps([operator.methodcaller("write_text", "owned"), tmp_path / "victim"])
    with pytest.raises(InputError, match="something else than trees"):
        load_trees(caller)
    assert list(tmp_path.iterdir()) == []


def test_trees_of_a_quantity_come_back_as_they_were() -> None:
    model = HistGradientBoostingRegressor(max_iter=3, early_stopping=False, random_state=0).fit(X, X[:, 0])
    (again,) = load_trees(dump_trees([model]))
    assert again is not None
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_trees_of_another_kind_of_target_are_refused(kind: Kind) -> None:
    """A folder in which models were exchanged by hand."""
    model: Trees = fitted()
    if kind == "binary":
        model = HistGradientBoostingRegressor(max_iter=1).fit(X, X[:, 0])
    method = Boosting(spec_of(Target(kind), ("ehr",)))
    method.forest(0).models = [model]
    inputs = noise(5)
    alone = replace(inputs, presence=inputs.presence[:, :1], modalities={"ehr": inputs.modalities["ehr"]})
    with pytest.raises(InputError, match="The stored boosting is of other columns or classes than the run"):
        method.logits(whole(alone))


@pytest.mark.parametrize(
    "stored",
    [
        b"no archive",
        b"",
        dump_trees([fitted()])[:-100],
        skops.io.dumps([Path("harmless")]),
        skops.io.dumps([LogisticRegression().fit(X, X[:, 0] > 0)]),
        skops.io.dumps([HistGradientBoostingRegressor(loss="poisson", max_iter=1).fit(X, X[:, 0] ** 2)]),
        skops.io.dumps([3]),
        skops.io.dumps([HistGradientBoostingClassifier()]),
        edited(lambda schema: schema.update(content="[" * 100_000 + "]" * 100_000)),
    ],
    ids=["text", "nothing", "cut", "a path", "another model", "another loss", "a number", "not fitted", "deep"],
)
def test_anything_but_fitted_trees_is_one_message(stored: bytes) -> None:
    with pytest.raises(InputError, match=r"something else than trees: .*Train again\.") as error:
        load_trees(stored)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("field", "value"), [("left", 10_000), ("right", 0), ("feature_idx", 5), ("feature_idx", -1), ("is_categorical", 1)]
)
def test_a_tree_that_leads_outside_itself_is_refused(field: str, value: int) -> None:
    model = fitted()
    model._predictors[1][0].nodes[field][0] = value
    with pytest.raises(InputError, match="a tree that leads outside itself"):
        load_trees(dump_trees([model]))


def test_a_model_that_hides_its_methods_is_refused() -> None:
    model = fitted()
    model.decision_function = [1.0]
    with pytest.raises(InputError, match="a model with a decision_function of its own"):
        load_trees(dump_trees([model]))


def test_an_archive_that_unpacks_to_far_more_than_trees_is_refused() -> None:
    with ZipFile(bomb := io.BytesIO(), "w", ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", " " * 10_000_000)
    with pytest.raises(InputError, match="it unpacks to far more than trees do"):
        load_trees(bomb.getvalue())
