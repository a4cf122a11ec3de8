"""Why XNNPACK's delegate leaves an operator to the runtime's own kernels: a table of what it does not have.

Source: tflite/delegates/xnnpack/xnnpack_delegate.cc of LiteRT, and what the delegate of LiteRT 2.3 takes of files with
one operator (tests/runtime/test_xnnpack.py asks it).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.runtime.flatbuffer import is_constant, op_name

UNKNOWN = "XNNPACK did not take it; the reason is not known to edgekit"
# TensorType -> name
DTYPES = {
    0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 5: "string", 6: "bool", 7: "int16",
    8: "complex64", 9: "int8", 10: "float64", 11: "complex128", 12: "uint64", 13: "resource", 14: "variant",
    15: "uint32", 16: "uint16", 17: "int4", 18: "bfloat16",
}  # fmt: skip
FLOAT_ALONE = frozenset({
    "ABS", "AVERAGE_POOL_2D", "CEIL", "COS", "DIV", "EXP", "FLOOR", "GELU", "HARD_SWISH", "LOG", "MAXIMUM", "MINIMUM",
    "NEG", "PRELU", "RELU", "RELU6", "RELU_N1_TO_1", "ROUND", "RSQRT", "SIN", "SOFTMAX", "SQRT", "SQUARE",
    "SQUARED_DIFFERENCE",
})  # fmt: skip
EIGHT_BITS_TOO = frozenset({
    "ADD", "BATCH_MATMUL", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "DEQUANTIZE", "ELU",
    "FULLY_CONNECTED", "LEAKY_RELU", "LOGISTIC", "MAX_POOL_2D", "MEAN", "MUL", "PAD", "QUANTIZE", "REDUCE_MAX",
    "REDUCE_MIN", "RESHAPE", "RESIZE_BILINEAR", "SLICE", "SPACE_TO_DEPTH", "SPLIT", "STRIDED_SLICE", "SUB", "SUM",
    "TANH", "TRANSPOSE", "TRANSPOSE_CONV",
})  # fmt: skip
# In the delegate's list, though not every one is taken.
LISTED = frozenset({"EXPAND_DIMS", "READ_VARIABLE", "ASSIGN_VARIABLE", "VAR_HANDLE", "STABLEHLO_COMPOSITE"})
# Which inputs have to be stored in the file: weights, shapes, axes.
STORED = {
    "CONV_2D": (1, 2), "DEPTHWISE_CONV_2D": (1, 2), "FULLY_CONNECTED": (), "TRANSPOSE_CONV": (0, 1), "MEAN": (1,),
    "SUM": (1,), "REDUCE_MAX": (1,), "REDUCE_MIN": (1,), "PAD": (1,), "RESHAPE": (1,), "RESIZE_BILINEAR": (1,),
    "SLICE": (1, 2), "STRIDED_SLICE": (1, 2, 3), "TRANSPOSE": (1,), "SPLIT": (0,), "PRELU": (1,),
}  # fmt: skip
# Inputs' scale (of a product: their product) over the output's, from and below.
SCALES = {
    "ADD": (2.0**-10, 2.0**8), "SUB": (2.0**-10, 2.0**8), "MUL": (2.0**-16, 2.0**8), "QUANTIZE": (2.0**-8, 2.0**8),
}  # fmt: skip
MOST_JOINED, MOST_SPLIT = 5, 4
INT32 = 2


@dataclass(frozen=True)
class OpFacts:
    """One operator of a parsed file: of each input its tensor and its bytes if the file holds them, uint8 [n]; None for
    one that is not given."""

    op: str
    dtype: str
    inputs: tuple[tuple[Any, np.ndarray | None] | None, ...]
    outputs: tuple[Any, ...]
    options: Any
    version: int

    @property
    def odd(self) -> str:
        """The dtype of what it takes or makes, where it is none of XNNPACK's; else ""."""
        made = [DTYPES.get(one.type, "?") for one in self.outputs]
        return next((one for one in (self.dtype, *made) if one not in ("float32", "int8", "uint8")), "")

    @property
    def weights(self) -> str:
        """The dtype of a layer's stored weights, "" of what has none."""
        place = 1 if len(self.inputs) > 1 else 0
        given = self.inputs[place] if self.inputs else None
        return DTYPES.get(given[0].type, "?") if given and given[1] is not None else ""


def facts_of(model: Any, operator: Any) -> OpFacts:
    """Of an operator of the first subgraph. `dtype` is that of its first computed input, else of its output."""
    tensors = model.subgraphs[0].tensors
    inputs = tuple(
        None if index < 0 else (tensors[index], _stored(model, tensors[index]))
        for index in (operator.inputs if operator.inputs is not None else ())
    )
    outputs = tuple(tensors[index] for index in (operator.outputs if operator.outputs is not None else ()))
    computed = [given[0] for given in inputs if given and given[1] is None]
    known = (computed or list(outputs))[:1]
    dtype = DTYPES.get(known[0].type, "?") if known else "?"
    version = model.operatorCodes[operator.opcodeIndex].version
    return OpFacts(op_name(model, operator), dtype, inputs, outputs, operator.builtinOptions, version)


def why_not(facts: OpFacts) -> str:
    """The first reason of REASONS that holds; UNKNOWN where none does."""
    return next(
        (said.format(op=facts.op, dtype=facts.dtype, odd=facts.odd) for holds, said in REASONS if holds(facts)), UNKNOWN
    )


def _computed(facts: OpFacts) -> bool:
    given = [facts.inputs[place] for place in STORED.get(facts.op, ()) if place < len(facts.inputs)]
    return any(one is not None and one[1] is None for one in given)


def _stored(model: Any, tensor: Any) -> np.ndarray | None:
    if not is_constant(model, tensor):
        return None
    held = model.buffers[tensor.buffer].data
    return np.empty(0, np.uint8) if held is None else np.asarray(held, np.uint8)  # of a file above 2 GB: not read


def _scale(tensor: Any) -> float | None:
    found = getattr(tensor.quantization, "scale", None)
    return float(found[0]) if found is not None and len(found) else None


def _far_apart(facts: OpFacts) -> bool:
    if facts.op not in SCALES or facts.dtype == "float32":
        return False
    before = [_scale(given[0]) for given in facts.inputs if given]
    after = _scale(facts.outputs[0])
    low, high = SCALES[facts.op]
    known = [one for one in before if one is not None]
    if not after or len(known) != len(before) or (facts.op == "QUANTIZE" and facts.dtype == "float32"):
        return False
    ratios = [known[0] * known[1] / after] if facts.op == "MUL" else [one / after for one in known]
    return any(not low <= ratio < high for ratio in ratios)


def _rescaled(facts: OpFacts) -> bool:
    if facts.op != "RESHAPE" or facts.dtype == "float32" or not facts.inputs or not facts.inputs[0]:
        return False
    return _scale(facts.inputs[0][0]) != _scale(facts.outputs[0])


def _odd_slice(facts: OpFacts) -> bool:
    masks = ("ellipsisMask", "newAxisMask", "shrinkAxisMask")
    return facts.op == "STRIDED_SLICE" and any(getattr(facts.options, mask, 0) for mask in masks)


def _strided(facts: OpFacts) -> bool:
    if facts.op != "STRIDED_SLICE" or len(facts.inputs) < 4 or not facts.inputs[3]:
        return False
    tensor, held = facts.inputs[3]
    return held is not None and tensor.type == INT32 and bool((held.view("<i4") != 1).any())


REASONS: tuple[tuple[Callable[[OpFacts], bool], str], ...] = (
    (lambda f: f.op not in FLOAT_ALONE | EIGHT_BITS_TOO | LISTED, "XNNPACK has no {op}"),
    (lambda f: bool(f.odd), "XNNPACK computes in float32 and in 8 bits, and this {op} is {odd}"),
    (lambda f: f.dtype != "float32" and f.op in FLOAT_ALONE,
     "XNNPACK has {op} in float32 alone, and this one is {dtype}"),
    (lambda f: f.op == "DEPTHWISE_CONV_2D" and f.dtype == "float32" and f.weights == "int8",
     "its weights are int8 and its activations float32 (dynamic range), which XNNPACK does not have for {op}"),
    (lambda f: f.op == "FULLY_CONNECTED" and f.version == 8, "its weights are stored sparse"),
    (_computed, "its weights, or the shape it makes, are computed while the network runs"),
    (lambda f: any(size < 0 for one in f.outputs for size in (one.shape if one.shape is not None else ())),
     "the size of its output is known only while the network runs"),
    (lambda f: f.op == "CONCATENATION" and len(f.inputs) > MOST_JOINED,
     f"XNNPACK joins at most {MOST_JOINED} tensors"),
    (lambda f: f.op == "SPLIT" and len(f.outputs) > MOST_SPLIT, f"XNNPACK splits into at most {MOST_SPLIT} tensors"),
    (_odd_slice, "XNNPACK has no STRIDED_SLICE with a new, a lost or an unnamed axis"),
    (_strided, "XNNPACK has STRIDED_SLICE with strides of 1 alone"),
    (lambda f: f.op == "SOFTMAX" and getattr(f.options, "beta", 1.0) != 1.0, "XNNPACK has SOFTMAX with beta 1 alone"),
    (_far_apart, "the scales of its inputs and its output are too far apart for XNNPACK"),
    (_rescaled, "its input and its output have different scales"),
)  # fmt: skip
