"""Why TensorFlow Lite Micro does not run an operator: a table of what it has, and the types that its kernels take.

Source: the operators that the Python wheel of tensorflow/tflite-micro registers (python_ops_resolver.cc), which has all
builtin ones with a kernel; asked of tflite-micro 0.dev20261023 with one file an operator, as were the types. A firmware
of one's own registers what it names in a MicroMutableOpResolver.
"""

from __future__ import annotations

from collections.abc import Callable

from edgekit.runtime.xnnpack import OpFacts

REGISTERED = frozenset({
    "ABS", "ADD", "ADD_N", "ARG_MAX", "ARG_MIN", "ASSIGN_VARIABLE", "AVERAGE_POOL_2D", "BATCH_MATMUL",
    "BATCH_TO_SPACE_ND", "BROADCAST_ARGS", "BROADCAST_TO", "CALL_ONCE", "CAST", "CEIL", "CONCATENATION", "CONV_2D",
    "COS", "CUMSUM", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "DEQUANTIZE", "DIV", "DYNAMIC_UPDATE_SLICE", "ELU",
    "EMBEDDING_LOOKUP", "EQUAL", "EXP", "EXPAND_DIMS", "FILL", "FLOOR", "FLOOR_DIV", "FLOOR_MOD", "FULLY_CONNECTED",
    "GATHER", "GATHER_ND", "GREATER", "GREATER_EQUAL", "HARD_SWISH", "IF", "L2_NORMALIZATION", "L2_POOL_2D",
    "LEAKY_RELU", "LESS", "LESS_EQUAL", "LOG", "LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR", "LOGISTIC", "LOG_SOFTMAX",
    "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM", "MIRROR_PAD", "MUL", "NEG", "NOT_EQUAL", "PACK", "PAD", "PADV2",
    "PRELU", "QUANTIZE", "READ_VARIABLE", "REDUCE_ALL", "REDUCE_MAX", "REDUCE_MIN", "RELU", "RELU6", "RESHAPE",
    "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "ROUND", "RSQRT", "SELECT_V2", "SHAPE", "SIN", "SLICE",
    "SOFTMAX", "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "SQRT", "SQUARE", "SQUARED_DIFFERENCE",
    "SQUEEZE", "STRIDED_SLICE", "SUB", "SUM", "SVDF", "TANH", "TRANSPOSE", "TRANSPOSE_CONV",
    "UNIDIRECTIONAL_SEQUENCE_LSTM", "UNPACK", "VAR_HANDLE", "WHILE", "ZEROS_LIKE",
})  # fmt: skip
LAYERS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"})
# Kernels that were seen to refuse 8 bits without a sign.
SIGNED = frozenset({"ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "MUL", "SOFTMAX"})
WEIGHTS = {"float32": ("float32",), "int8": ("int8", "int4"), "int16": ("int8",)}


def why_not_micro(facts: OpFacts) -> str:
    """Why TFLM does not run the operator, "" where nothing is known against it."""
    return next((said.format(op=facts.op, dtype=facts.dtype, weights=facts.weights)
                 for holds, said in REASONS if holds(facts)), "")  # fmt: skip


def _hybrid(facts: OpFacts) -> bool:
    allowed = WEIGHTS.get(facts.dtype)
    return facts.op in LAYERS and allowed is not None and facts.weights not in ("", *allowed)


def _sparse(facts: OpFacts) -> bool:
    return any(given is not None and given[0].sparsity is not None for given in facts.inputs)


REASONS: tuple[tuple[Callable[[OpFacts], bool], str], ...] = (
    (lambda f: f.op not in REGISTERED, "TensorFlow Lite Micro has no {op}"),
    (_sparse, "its weights are stored sparse"),
    (lambda f: f.op == "DEQUANTIZE" and "float16" in (f.dtype, f.weights),
     "TensorFlow Lite Micro does not take float16 weights"),
    (lambda f: f.op in SIGNED and f.dtype == "uint8",
     "TensorFlow Lite Micro computes {op} in float32, int8 and int16, and this one is uint8"),
    (_hybrid, "its weights are {weights} and its activations {dtype}: TensorFlow Lite Micro takes no such mix"),
)  # fmt: skip
