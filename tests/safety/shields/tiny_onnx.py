"""A text classifier of some hundred bytes, as ONNX: its second logit counts the tokens 1, its first is 0.5.

Written as bytes of protocol buffers (onnx.proto3 names the fields), so that no package is needed to make it.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

_FLOAT, _INT64 = 1, 7


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    made.append(number)
    return bytes(made)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _tensor(name: str, kind: int, shape: list[int], raw: bytes) -> bytes:
    return b"".join(_number(1, size) for size in shape) + _number(2, kind) + _bytes(8, name) + _bytes(9, raw)


def _node(operator: str, inputs: list[str], output: str, *attributes: bytes) -> bytes:
    made = b"".join(_bytes(1, name) for name in inputs) + _bytes(2, output) + _bytes(4, operator)
    return made + b"".join(_bytes(5, attribute) for attribute in attributes)


def _attribute(name: str, value: int) -> bytes:
    return _bytes(1, name) + _number(3, value) + _number(20, 2)


def _value(name: str, kind: int, dimensions: list[str]) -> bytes:
    shape = b"".join(_bytes(1, _bytes(2, dimension)) for dimension in dimensions)
    return _bytes(1, name) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, shape)))


def write(folder: Path) -> Path:
    """``model.onnx`` and ``tokenizer.json`` in `folder`; the first's path. "bomb" is token 1, every other word 2."""
    nodes = [
        _node("Equal", ["input_ids", "one"], "is_one"),
        _node("Cast", ["is_one"], "counted", _attribute("to", _FLOAT)),
        _node("ReduceSum", ["counted", "axis"], "sum", _attribute("keepdims", 1)),
        _node("MatMul", ["sum", "weights"], "weighted"),
        _node("Add", ["weighted", "bias"], "logits"),
    ]
    tensors = [
        _tensor("one", _INT64, [1], struct.pack("<q", 1)),
        _tensor("axis", _INT64, [1], struct.pack("<q", 1)),
        _tensor("weights", _FLOAT, [1, 2], struct.pack("<2f", 0.0, 4.0)),
        _tensor("bias", _FLOAT, [2], struct.pack("<2f", 2.0, 0.0)),
    ]
    graph = (
        b"".join(_bytes(1, node) for node in nodes)
        + _bytes(2, "tiny")
        + b"".join(_bytes(5, tensor) for tensor in tensors)
        + _bytes(11, _value("input_ids", _INT64, ["texts", "tokens"]))
        + _bytes(12, _value("logits", _FLOAT, ["texts", "labels"]))
    )
    path = folder / "model.onnx"
    path.write_bytes(_number(1, 8) + _bytes(7, graph) + _bytes(8, _bytes(1, "") + _number(2, 13)))
    tokenizer = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "WordLevel", "vocab": {"[PAD]": 0, "bomb": 1, "[UNK]": 2}, "unk_token": "[UNK]"},
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return path
