"""Why LiteRT's GPU delegate leaves an operator to the CPU: a table of what it takes, and what it asks of some.

Source: CheckGpuDelegateCompatibility of LiteRT (google-ai-edge/LiteRT, tflite/tools/versioning/gpu_compatibility.cc). A
driver may refuse more: `edgekit bench --device gpu` asks one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgekit.runtime.xnnpack import OpFacts

INT32 = 2
TAKEN = frozenset({
    "ABS", "ADD", "ADD_N", "ATAN2", "AVERAGE_POOL_2D", "BATCH_MATMUL", "BITCAST", "CAST", "CEIL", "CONCATENATION",
    "CONV_2D", "COS", "CUMSUM", "DENSIFY", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "DEQUANTIZE", "DIV",
    "DYNAMIC_UPDATE_SLICE", "ELU", "EMBEDDING_LOOKUP", "EQUAL", "EXP", "FLOOR", "FLOOR_DIV", "FLOOR_MOD",
    "FULLY_CONNECTED", "GATHER", "GELU", "GREATER", "GREATER_EQUAL", "HARD_SWISH", "LEAKY_RELU", "LESS", "LESS_EQUAL",
    "LOG", "LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR", "LOGISTIC", "LSTM", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM",
    "MIRROR_PAD", "MUL", "NEG", "NOT_EQUAL", "ONE_HOT", "PACK", "PAD", "PADV2", "POW", "PRELU", "QUANTIZE",
    "REDUCE_ALL", "REDUCE_ANY", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "RELU", "RELU6", "RELU_N1_TO_1", "RESHAPE",
    "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "RIGHT_SHIFT", "ROUND", "RSQRT", "SELECT", "SELECT_V2",
    "SIGN", "SIN", "SLICE", "SOFTMAX", "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "SQRT", "SQUARE", "SQUARED_DIFFERENCE",
    "STABLEHLO_BROADCAST_IN_DIM", "STABLEHLO_CBRT", "STABLEHLO_CLAMP", "STABLEHLO_REMAINDER", "STABLEHLO_SHIFT_LEFT",
    "STRIDED_SLICE", "SUB", "SUM", "TANH", "TILE", "TOPK_V2", "TRANSPOSE", "TRANSPOSE_CONV",
})  # fmt: skip
ALONG_AXES = frozenset({"MEAN", "REDUCE_ALL", "REDUCE_ANY", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REVERSE_V2",
                        "SUM"})  # fmt: skip
PADS = frozenset({"PAD", "PADV2", "MIRROR_PAD"})
SLICES = frozenset({"SLICE", "STRIDED_SLICE"})


def why_not_gpu(facts: OpFacts) -> str:
    """Why the GPU delegate leaves the operator, "" where nothing is known against it."""
    return next((said.format(op=facts.op, dtype=facts.dtype) for holds, said in REASONS if holds(facts)), "")


def _shape(tensor: Any) -> tuple[int, ...]:
    return () if tensor.shape is None else tuple(int(side) for side in tensor.shape)


def _open_axes(facts: OpFacts) -> bool:
    if facts.op not in ALONG_AXES or len(facts.inputs) < 2 or facts.inputs[1] is None:
        return False
    axes, held = facts.inputs[1]
    return held is None or axes.type != INT32


def _odd_pads(facts: OpFacts) -> bool:
    if facts.op not in PADS or len(facts.inputs) < 2 or facts.inputs[1] is None:
        return False
    return _shape(facts.inputs[1][0]) not in ((3, 2), (4, 2))


def _odd_slice(facts: OpFacts) -> bool:
    masks = ("ellipsisMask", "newAxisMask", "shrinkAxisMask")
    return facts.op == "STRIDED_SLICE" and any(getattr(facts.options, mask, 0) for mask in masks)


def _odd_rank(facts: OpFacts) -> bool:
    given = facts.inputs[0] if facts.inputs else None
    return facts.op in SLICES and given is not None and len(_shape(given[0])) not in (3, 4)


def _multiplied(facts: OpFacts) -> bool:
    """A depthwise convolution that makes several channels of each, of an image with more than one."""
    if facts.op != "DEPTHWISE_CONV_2D" or not facts.inputs or facts.inputs[0] is None or not facts.outputs:
        return False
    before, after = _shape(facts.inputs[0][0])[-1:], _shape(facts.outputs[0])[-1:]
    return before != after and before != (1,)


REASONS: tuple[tuple[Callable[[OpFacts], bool], str], ...] = (
    (lambda f: f.op not in TAKEN, "the GPU delegate has no {op}"),
    (lambda f: f.dtype == "int16", "the GPU delegate takes no int16 activations"),
    (lambda f: f.op == "FULLY_CONNECTED" and bool(getattr(f.options, "weightsFormat", 0)),
     "its weights are stored in another order"),
    (lambda f: f.op == "ADD_N" and len(f.inputs) != 2, "the GPU delegate adds two tensors at a time"),
    (lambda f: f.op == "SOFTMAX" and getattr(f.options, "beta", 1.0) != 1.0, "it has a beta other than 1"),
    (_open_axes, "its axes are computed while the network runs, or are not int32"),
    (_odd_pads, "the GPU delegate pads tensors of 3 and 4 dimensions alone"),
    (_odd_slice, "it has a new, a lost or an unnamed axis"),
    (_odd_rank, "the GPU delegate cuts tensors of 3 and 4 dimensions alone"),
    (_multiplied, "the GPU delegate has no channel multiplier on more than one channel"),
)  # fmt: skip
