"""The table of what XNNPACK does not have, asked of the delegate itself with files of one operator."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgekit.runtime.flatbuffer import parse
from edgekit.runtime.validate import validate
from edgekit.runtime.xnnpack import UNKNOWN, facts_of, why_not
from tests.runtime.one_op import SCALE, made, one_op

POOL = {"strideW": 1, "strideH": 1, "filterWidth": 2, "filterHeight": 2}
TWO = ((1, 4, 4, 8),) * 2


def ints(*values):
    return np.array(values, np.int32)


def asked(content):
    """(whether the delegate takes it, why not by the table)"""
    validate(content)
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    taken = any(detail["op_name"] == "DELEGATE" for detail in interpreter._get_ops_details())
    model = parse(content)
    return taken, why_not(facts_of(model, model.subgraphs[0].operators[0]))


def weights(kind, channels_last=False):
    return np.ones((1, 3, 3, 8) if channels_last else (8, 3, 3, 8), kind)


FLOAT_ALONE = {
    "HARD_SWISH": {}, "GELU": {"options": made("Gelu")}, "RELU6": {}, "MAXIMUM": {"inputs": TWO},
    "AVERAGE_POOL_2D": {"options": made("Pool2D", **POOL)},
    "PRELU": {"constants": {1: "ones"}},
    "DIV": {"constants": {1: "ones"}, "options": made("Div")},
}  # fmt: skip


@pytest.mark.parametrize("op", FLOAT_ALONE)
def test_in_float_alone(op):
    settings = dict(FLOAT_ALONE[op])
    for dtype in ("float32", "int8"):
        constants = {"constants": {1: np.ones((1, 1, 8), dtype)}} if "constants" in settings else {}
        taken, reason = asked(one_op(op, dtype, **{**settings, **constants}))
        assert taken == (dtype == "float32")
        if not taken:
            assert reason == f"XNNPACK has {op} in float32 alone, and this one is int8"


EIGHT_BITS_TOO = {
    "ADD": {"inputs": TWO, "options": made("Add")},
    "MAX_POOL_2D": {"options": made("Pool2D", **POOL)},
    "MEAN": {"constants": {1: ints(1, 2)}, "output": (1, 1, 1, 8), "options": made("Reducer", keepDims=True)},
    "SUM": {"constants": {1: ints(1, 2)}, "output": (1, 1, 1, 8), "options": made("Reducer", keepDims=True)},
    "LOGISTIC": {},
}  # fmt: skip


@pytest.mark.parametrize("op", EIGHT_BITS_TOO)
def test_in_eight_bits_too_and_never_in_sixteen(op):
    assert asked(one_op(op, "float32", **EIGHT_BITS_TOO[op]))[0]
    assert asked(one_op(op, "int8", **EIGHT_BITS_TOO[op]))[0]
    if op != "LOGISTIC":  # whose int16 wants a scale of its own
        taken, reason = asked(one_op(op, "int16", **EIGHT_BITS_TOO[op]))
        assert not taken and reason == f"XNNPACK computes in float32 and in 8 bits, and this {op} is int16"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (one_op("TILE", constants={1: ints(1, 1, 1, 2)}, output=(1, 4, 4, 16)), "XNNPACK has no TILE"),
        (one_op("RESIZE_NEAREST_NEIGHBOR", constants={1: ints(8, 8)}, output=(1, 8, 8, 8),
                options=made("ResizeNearestNeighbor")), "has no RESIZE_NEAREST_NEIGHBOR"),
        (one_op("CONCATENATION", inputs=TWO * 3, output=(1, 4, 4, 48), options=made("Concatenation", axis=3)),
         "at most 5"),
        (one_op("SPLIT", constants={0: ints(3)}, output=(1, 4, 4, 1), outputs=8, options=made("Split", numSplits=8)),
         "at most 4"),
        (one_op("SOFTMAX", options=made("Softmax", beta=2.0)), "beta 1 alone"),
        (one_op("STRIDED_SLICE", constants={1: ints(0, 0, 0, 0), 2: ints(1, 4, 4, 8), 3: ints(1, 2, 2, 1)},
                output=(1, 2, 2, 8), options=made("StridedSlice")), "strides of 1 alone"),
        (one_op("STRIDED_SLICE", constants={1: ints(0, 0, 0, 0), 2: ints(1, 4, 4, 8), 3: ints(1, 1, 1, 1)},
                output=(4, 4, 8), options=made("StridedSlice", shrinkAxisMask=1)), "a lost"),
        (one_op("DEPTHWISE_CONV_2D", constants={1: weights(np.int8, True), 2: np.zeros(8, np.float32)},
                options=made("DepthwiseConv2D", strideW=1, strideH=1, depthMultiplier=1)), "dynamic range"),
        (one_op("ADD", "int8", inputs=TWO, options=made("Add"), scales=(SCALE * 2**9, SCALE, SCALE)), "too far apart"),
        (one_op("ADD", "int8", inputs=TWO, options=made("Add"), scales=(SCALE / 2**11, SCALE, SCALE)), "far apart"),
        (one_op("MUL", "int8", inputs=TWO, options=made("Mul"), scales=(SCALE / 2**12, SCALE, SCALE)), "far apart"),
        (one_op("RESHAPE", "int8", constants={1: ints(1, 128)}, output=(1, 128), scales=(SCALE, 2 * SCALE),
                options=made("Reshape", newShape=[1, 128])), "different scales"),
        (one_op("EXPAND_DIMS", constants={1: ints(0)}, output=(1, 1, 4, 4, 8), options=made("ExpandDims")), UNKNOWN),
    ],
)  # fmt: skip
def test_reasons(content, words):
    taken, reason = asked(content)
    assert not taken and words in reason


@pytest.mark.parametrize(
    "content",
    [
        one_op("CONCATENATION", "int8", inputs=TWO, output=(1, 4, 4, 16), options=made("Concatenation", axis=3)),
        one_op("ADD", "int8", inputs=TWO, options=made("Add"), scales=(SCALE * 2**7, SCALE, SCALE)),
        one_op("MUL", "int8", inputs=TWO, options=made("Mul"), scales=(SCALE / 2**11, SCALE, SCALE)),
        one_op("CONV_2D", constants={1: weights(np.int8), 2: np.zeros(8, np.float32)},
               options=made("Conv2D", strideW=1, strideH=1)),
    ],
)  # fmt: skip
def test_what_is_taken_has_no_reason_in_the_table(content):
    assert asked(content) == (True, UNKNOWN)
