"""Small models in files of ONNX, written byte by byte as its format says (onnx.proto)."""

from pathlib import Path

import numpy as np

FLOAT, INPUT, OUTPUT = 1, b"x", b"y"


def _varint(number: int) -> bytes:
    low, high = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(high) if high else bytes([low])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _value(name: bytes, shape: tuple[int | str, ...], kind: int = FLOAT) -> bytes:
    sides = [_number(1, side) if isinstance(side, int) else _bytes(2, side.encode()) for side in shape]
    tensor = _number(1, kind) + _bytes(2, b"".join(_bytes(1, side) for side in sides))
    return _bytes(1, name) + _bytes(2, _bytes(1, tensor))


def _node(operator: bytes, inputs: list[bytes], output: bytes) -> bytes:
    return b"".join(_bytes(1, name) for name in inputs) + _bytes(2, output) + _bytes(4, operator)


def write_linear(path: Path, shape: tuple[int | str, ...], weights: np.ndarray) -> Path:
    """Write a model of items ``shape`` (batch first) that flattens them and multiplies with ``weights`` ``[F, D]``."""
    tensor = b"".join(_number(1, side) for side in weights.shape) + _number(2, FLOAT) + _bytes(8, b"w")
    tensor += _bytes(9, weights.astype("<f4").tobytes())
    nodes = [_node(b"Flatten", [INPUT], b"f"), _node(b"MatMul", [b"f", b"w"], OUTPUT)]
    graph = b"".join(_bytes(1, node) for node in nodes) + _bytes(2, b"linear") + _bytes(5, tensor)
    graph += _bytes(11, _value(INPUT, shape)) + _bytes(12, _value(OUTPUT, (shape[0], weights.shape[1])))
    opset = _bytes(8, _bytes(1, b"") + _number(2, 13))
    path.write_bytes(_number(1, 8) + _bytes(7, graph) + opset)
    return path


INT64, NAMES = 7, (b"input_ids", b"attention_mask", b"token_type_ids")


def write_tokens(
    path: Path, table: np.ndarray, shape: tuple[int | str, ...] = ("n", "t"), output: bytes = b"last_hidden_state"
) -> Path:
    """Write a model that gives each token ``[B, T]`` its row of ``table`` ``[V, D]``, and padding zeros."""
    stored = [(FLOAT, b"table", table.astype("<f4")), (INT64, b"axis", np.array([2], "<i8"))]
    tensors = [
        b"".join(_number(1, side) for side in values.shape) + _number(2, kind) + _bytes(8, name)
        + _bytes(9, values.tobytes())
        for kind, name, values in stored
    ]  # fmt: skip
    ids, mask, _ = NAMES
    to_float = _bytes(5, _bytes(1, b"to") + _number(3, FLOAT) + _number(20, 2))
    nodes = [
        _node(b"Gather", [b"table", ids], b"g"),
        _node(b"Cast", [mask], b"m") + to_float,
        _node(b"Unsqueeze", [b"m", b"axis"], b"u"),
        _node(b"Mul", [b"g", b"u"], output),
    ]
    graph = b"".join(_bytes(1, node) for node in nodes) + _bytes(2, b"tokens")
    graph += b"".join(_bytes(5, tensor) for tensor in tensors)
    graph += b"".join(_bytes(11, _value(name, shape, INT64)) for name in NAMES)
    graph += _bytes(12, _value(output, (*shape, table.shape[1])))
    path.write_bytes(_number(1, 8) + _bytes(7, graph) + _bytes(8, _bytes(1, b"") + _number(2, 13)))
    return path
