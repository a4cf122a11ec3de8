"""Packing: the same model, with arrays of the same bytes stored once."""

from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edgekit.runtime.flatbuffer import pack, parse
from tests import tiny


def answer(content: bytes) -> np.ndarray:
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    (taken,) = interpreter.get_input_details()
    interpreter.set_tensor(taken["index"], tiny.pictures(1).astype(taken["dtype"]))
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


def quantization(content: bytes) -> list[Any]:
    found = [tensor.quantization for tensor in parse(content).subgraphs[0].tensors]
    return [None if one is None or one.scale is None else (one.scale.tolist(), one.zeroPoint.tolist()) for one in found]


def test_zero_points_are_stored_once_and_nothing_else_changes() -> None:
    """Weights and bias of 5 classes have 5 zero points of 8 bytes each, and all are 0."""
    converted = tiny.tflite("int8")
    packed = pack(parse(converted))
    assert len(packed) <= len(converted) - 5 * 8
    assert quantization(packed) == quantization(converted)
    np.testing.assert_array_equal(answer(packed), answer(converted))
    assert pack(parse(packed)) == packed


def test_a_change_of_one_of_them_is_a_change_of_that_one_alone() -> None:
    model = parse(tiny.tflite("int8"))
    tensors = [one for one in model.subgraphs[0].tensors if one.quantization and one.quantization.scale is not None]
    many = [one for one in tensors if len(one.quantization.zeroPoint) > 1]
    assert len(many) >= 2
    before = [one.quantization.zeroPoint.copy() for one in many]
    again = parse(pack(model))
    shared = [one for one in again.subgraphs[0].tensors if one.name in {other.name for other in many}]
    shared[0].quantization.zeroPoint = before[0] + 1
    changed = {one.name: one.quantization.zeroPoint for one in parse(pack(again)).subgraphs[0].tensors
               if one.quantization and one.quantization.zeroPoint is not None}  # fmt: skip
    np.testing.assert_array_equal(changed[shared[0].name], before[0] + 1)
    for one in shared[1:]:
        np.testing.assert_array_equal(changed[one.name], np.zeros_like(changed[one.name]))
