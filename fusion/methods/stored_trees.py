"""Boosted trees as bytes, and back: what is read was written by us, or it is refused before any of it is made."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

from ...cache_schema import InputError

SCHEMA = "schema.json"
PROTOCOL = 2
"""The notation of skops that ``PARTS`` describes; others have readers of their own."""

PARTS = {
    "JsonNode": {"builtins.str"},
    "TypeNode": {"builtins.str"},
    "ListNode": {"builtins.list"},
    "TupleNode": {"builtins.tuple"},
    "DictNode": {"builtins.dict"},
    "NdArrayNode": {"numpy.ndarray", "numpy.uint64", "numpy.int64", "numpy.float64"},
    "RandomGeneratorNode": {"numpy.random._generator.Generator"},
    "ObjectNode": {
        "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
        "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingRegressor",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.preprocessing._label.LabelEncoder",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss.loss.HalfSquaredError",
        "sklearn._loss.loss.HalfMultinomialLoss",
        "sklearn._loss._loss.CyHalfMultinomialLoss",  # how skops 0.11 wrote it
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.IdentityLink",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.MultinomialLogit",
    },
    "LossNode": {
        "sklearn._loss._loss.CyHalfBinomialLoss",
        "sklearn._loss._loss.CyHalfMultinomialLoss",
        "sklearn._loss._loss.CyHalfSquaredError",
    },
    "CachedNode": None,
}
"""By kind of node the classes that a stored model is made of; a cached node stands for one that is checked itself."""
TRUSTED = sorted(PARTS["ObjectNode"] or ()) + sorted(PARTS["LossNode"] or ())
"""What skops is told, which checks once more."""

MOST_GROWTH = 200
"""A stored model unpacks to at most so many times its size; trees pack some five times."""

Trees: TypeAlias = HistGradientBoostingClassifier | HistGradientBoostingRegressor
Models = list[Trees | None]


def dump_trees(models: Models) -> bytes:
    """Return models as an archive of skops; equal models as equal bytes."""
    return _without_addresses(skops.io.dumps(models))


def _without_addresses(packed: bytes) -> bytes:
    """Return an archive of skops with numbers where it has addresses in memory, and without the time of day."""
    stored = io.BytesIO()
    with ZipFile(io.BytesIO(packed)) as archive, ZipFile(stored, "w", ZIP_DEFLATED) as made:
        schema = json.loads(archive.read(SCHEMA))
        numbers: dict[int, int] = {}
        for node in _nodes(schema):
            node["__id__"] = numbers.setdefault(node["__id__"], len(numbers))
            if "file" in node:
                content, node["file"] = archive.read(node["file"]), f"{node['__id__']}.npy"
                if node["file"] not in made.namelist():  # an array that stands in two places
                    made.writestr(ZipInfo(node["file"]), content, ZIP_DEFLATED)
        made.writestr(ZipInfo(SCHEMA), json.dumps(schema, indent=2), ZIP_DEFLATED)
    return stored.getvalue()


def load_trees(stored: bytes) -> Models:
    """Return the models of :func:`dump_trees`.

    The list of parts is compared with those that boosted trees have before anything is made of it, and what comes of
    it again: scikit-learn follows the numbers in a tree without looking where they lead.

    Raises
    ------
    InputError
        If the bytes hold anything but boosted trees, or trees that lead outside themselves.
    """
    try:
        _check_parts(stored)
        models: Models = skops.io.loads(stored, trusted=TRUSTED)
        if type(models) is not list:
            raise TypeError(f"a {type(models).__name__} instead of a list of models")
        for model in models:
            if model is not None:
                _check_model(model)
    except Exception as error:  # whatever zipfile, json, skops, numpy and scikit-learn make of bytes that are not ours
        reason = str(error)[:200]
        raise InputError(f"The stored boosting holds something else than trees: {reason}. Train again.") from error
    return models


def _check_parts(stored: bytes) -> None:
    with ZipFile(io.BytesIO(stored)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MOST_GROWTH * len(stored):
            raise ValueError("it unpacks to far more than trees do")
        schema = json.loads(archive.read(SCHEMA))
    if schema.get("protocol") != PROTOCOL:
        raise ValueError(f"protocol {schema.get('protocol')!r}, expected {PROTOCOL}")
    for loader, name in _parts(schema):
        allowed = PARTS.get(loader, set())
        if allowed is not None and name not in allowed:
            raise ValueError(f"{loader} of {name}")


def _parts(tree: Any) -> Iterator[tuple[str, str]]:
    """Yield kind and class of every node, wherever it stands."""
    for node in _nodes(tree):
        yield str(node["__loader__"]), f"{node.get('__module__')}.{node.get('__class__')}"


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield every node of a schema, wherever it stands."""
    if isinstance(tree, dict):
        if "__loader__" in tree:
            yield tree
        for branch in tree.values():
            yield from _nodes(branch)
    elif isinstance(tree, list):
        for branch in tree:
            yield from _nodes(branch)


def _check_model(model: Trees) -> None:
    if type(model) not in (HistGradientBoostingClassifier, HistGradientBoostingRegressor):
        raise TypeError(f"a {type(model).__name__} among the models")
    hidden = [name for name in vars(model) if callable(getattr(type(model), name, None))]
    if hidden:
        raise ValueError(f"a model with a {hidden[0]} of its own")
    if isinstance(model, HistGradientBoostingClassifier):
        _check_classes(model.classes_)
    if model._preprocessor is not None or not model._predictors:
        raise ValueError("a model that is not fitted to numbers")
    for trees in model._predictors:
        _check_iteration(trees, model)


def _check_classes(classes: Any) -> None:
    if classes.ndim != 1 or len(classes) < 2 or not np.array_equal(classes, np.unique(classes.astype(int))):
        raise ValueError("a model without classes")


def _check_iteration(trees: Sequence[TreePredictor], model: Trees) -> None:
    """Raise ValueError unless there is a tree of every outcome, and each leads from its root down to its leaves."""
    outcomes = len(model.classes_) if isinstance(model, HistGradientBoostingClassifier) else 1
    if len(trees) != (1 if outcomes == 2 else outcomes):
        raise ValueError("a model whose trees are not one for each class")
    for tree in trees:
        if type(tree) is not TreePredictor:
            raise TypeError(f"a {type(tree).__name__} among the trees")
        nodes = tree.nodes
        inner = np.flatnonzero(nodes["is_leaf"] == 0)
        below = np.stack([nodes["left"][inner], nodes["right"][inner]]).astype(np.int64)  # [2, n]
        asked = nodes["feature_idx"][inner]
        leads_down = nodes.ndim == 1 and len(nodes) and (below > inner).all() and (below < len(nodes)).all()
        known = (asked >= 0).all() and (asked < model.n_features_in_).all() and not nodes["is_categorical"].any()
        if not leads_down or not known:
            raise ValueError("a tree that leads outside itself")
