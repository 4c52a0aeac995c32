"""Trees of LightGBM in its own text format, and back: what is read was written by us, or LightGBM never sees it."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ...cache_schema import InputError, OmniFuseError

if TYPE_CHECKING:
    import lightgbm

END = "end of trees\n"
"""What follows, importances and settings, is for people."""

HEAD = (
    "version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "objective", "feature_names",
    "feature_infos", "tree_sizes",
)  # fmt: skip
OF_TREE = (
    "Tree", "num_leaves", "num_cat", "split_feature", "split_gain", "threshold", "decision_type", "left_child",
    "right_child", "leaf_value", "leaf_weight", "leaf_count", "internal_value", "internal_weight", "internal_count",
    "is_linear", "shrinkage",
)  # fmt: skip
OF_SPLITS = OF_TREE[3:9] + OF_TREE[12:15]
OF_LEAVES = OF_TREE[9:12]

OBJECTIVES = re.compile(r"binary sigmoid:1|regression|multiclass num_class:[0-9]+")
NUMBERS = re.compile(r"[-+.0-9e ]*")
DECISIONS = (0, 2, 4, 6, 8, 10)
"""Of numbers, not of categories: to which side the unknown goes, and what is unknown."""

MOST_BYTES = 1 << 28
"""The texts of one combination unpack to no more; 900 trees of 8 leaves take 1 MB."""


@dataclass(frozen=True)
class Boosted:
    """Trees of one outcome; or of several ``classes``, those that occurred."""

    booster: lightgbm.Booster
    classes: tuple[int, ...] = ()


Models: TypeAlias = list[Boosted | None]


def library() -> ModuleType:
    """Return LightGBM; raises OmniFuseError with the mend where the system lacks what it is linked to."""
    try:
        import lightgbm
    except OSError as error:
        raise OmniFuseError(
            f"LightGBM cannot be loaded ({error}). It needs the system's OpenMP library: apt-get install libgomp1, or "
            "brew install libomp."
        ) from error
    module: ModuleType = lightgbm
    return module


def dump_boosters(models: Models) -> bytes:
    """Return trees as the texts of LightGBM, packed; equal ones as equal bytes."""
    written = [None if model is None else {"classes": model.classes, "trees": _text(model)} for model in models]
    return zlib.compress(json.dumps(written).encode())


def _text(model: Boosted) -> str:
    written: str = model.booster.model_to_string()
    return written[: written.index(END)] + END


def load_boosters(stored: bytes) -> Models:
    """Return the trees of :func:`dump_boosters`.

    LightGBM believes the numbers in a text: every one is looked at before.

    Raises
    ------
    InputError
        If the bytes hold anything but trees, or trees that lead outside themselves.
    """
    booster = library().Booster
    try:
        unpacking = zlib.decompressobj()
        written = json.loads(unpacking.decompress(stored, MOST_BYTES))
        if not unpacking.eof or not isinstance(written, list):
            raise ValueError("no list of models")
        models: Models = [None if one is None else _read(one, booster) for one in written]
    except Exception as error:  # whatever zlib, json, numpy and LightGBM make of bytes that are not ours
        reason = str(error)[:200]
        raise InputError(f"The stored LightGBM holds something else than trees: {reason}. Train again.") from error
    return models


def _read(one: Any, booster: type[lightgbm.Booster]) -> Boosted:
    """Return a stored model; raises an error unless everything in it is as LightGBM writes it."""
    if not isinstance(one, dict) or set(one) != {"classes", "trees"}:
        raise ValueError("a model of other parts than its classes and trees")
    outcomes = _check_text(one["trees"])
    classes = one["classes"]
    numbers = all(type(number) is int and number >= 0 for number in classes)
    if not numbers or classes != sorted(set(classes)) or len(classes) != (0 if outcomes == 1 else outcomes):
        raise ValueError("a model whose trees are not one for each class")
    return Boosted(booster(model_str=one["trees"]), tuple(classes))


def _check_text(text: str) -> int:
    """Return how many outcomes there are trees of; raises an error unless each leads from its root to its leaves."""
    body, end, rest = text.partition(END)
    head, *trees = (part if number == 0 else f"Tree={part}" for number, part in enumerate(body.split("Tree=")))
    if not end or rest or not text.isascii() or not head.startswith("tree\n") or not trees:
        raise ValueError("a text that is not of LightGBM")
    fields = _fields(head.removeprefix("tree\n"), HEAD)
    outcomes, columns = int(fields["num_class"]), int(fields["max_feature_idx"]) + 1
    if fields["version"] != "v4" or not OBJECTIVES.fullmatch(fields["objective"]):
        raise ValueError(f"version {fields['version']} of the objective {fields['objective']}")
    if fields["objective"].startswith("multiclass") != (outcomes > 1) or len(trees) % outcomes:
        raise ValueError("a model whose trees are not one for each class")
    if fields["num_tree_per_iteration"] != fields["num_class"] or fields["label_index"] != "0":
        raise ValueError("a model whose trees are not one for each class")
    if _integers(fields["tree_sizes"]).tolist() != [len(tree) for tree in trees]:
        raise ValueError("trees of other lengths than the head says")
    if any(len(fields[name].split(" ")) != columns for name in ("feature_names", "feature_infos")):
        raise ValueError("another number of columns than the head says")
    for number, tree in enumerate(trees):
        _check_tree(_fields(tree, OF_TREE), number, columns)
    return outcomes


def _fields(text: str, names: Sequence[str]) -> dict[str, str]:
    """Return the lines ``name=value``, which have these names in this order."""
    pairs = [line.partition("=") for line in text.rstrip("\n").split("\n")]
    if tuple(name for name, _, _ in pairs) != tuple(names):
        raise ValueError("other lines than LightGBM writes")
    return {name: value for name, _, value in pairs}


def _check_tree(tree: dict[str, str], number: int, columns: int) -> None:
    leaves = int(tree["num_leaves"])
    splits = np.arange(leaves - 1)
    if int(tree["Tree"]) != number or leaves < 1 or tree["num_cat"] != "0" or tree["is_linear"] != "0":
        raise ValueError("a tree that is not of numbers")
    for names, count in ((OF_SPLITS, leaves - 1), (OF_LEAVES, leaves)):
        for name in names:
            values = _floats(tree[name])
            alone = leaves == 1 and len(values) == 0  # of a tree without splits LightGBM writes less
            if len(values) != count and not (alone and name != "leaf_value"):
                raise ValueError(f"a tree with {len(values)} values of {name}")
    _floats(tree["shrinkage"])
    below = np.stack([_integers(tree["left_child"]), _integers(tree["right_child"])])  # [2, n]
    asked, decided = _integers(tree["split_feature"]), _integers(tree["decision_type"])
    leads_down = np.where(below < 0, -1 - below < leaves, (below > splits) & (below < leaves - 1)).all()
    known = (asked >= 0).all() and (asked < columns).all() and np.isin(decided, DECISIONS).all()
    if not leads_down or not known:
        raise ValueError("a tree that leads outside itself")


def _floats(text: str) -> npt.NDArray[np.float64]:
    if not NUMBERS.fullmatch(text):
        raise ValueError("a tree with something else than numbers")
    values = np.array(text.split(), dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("a tree with numbers that are not finite")
    return values


def _integers(text: str) -> npt.NDArray[np.int64]:
    if not NUMBERS.fullmatch(text):
        raise ValueError("a tree with something else than numbers")
    return np.array(text.split(), dtype=np.int64)
