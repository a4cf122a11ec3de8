"""Which operator of the file an inner operator of XNNPACK is: its profiler names kernels, not layers.

XNNPACK keeps the order of the operators within a part of the graph, but leaves some out (fused activations, reshapes)
and adds some (conversions, copies). Of a family of operators that has as many members on both sides the k-th is the
k-th; of the others nothing is said rather than something wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.runtime.placement import Operator

# The file's operator -> its family, and XNNPACK's kernel (up to the bracket) -> the same. A 1x1 convolution runs as a
# fully connected kernel, so all layers with weights are one family.
OPERATORS = {
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"), "layer"),
    "ADD": "add", "SUB": "subtract", "MUL": "multiply", "DIV": "divide", "MAXIMUM": "maximum", "MINIMUM": "minimum",
    "MEAN": "mean", "SUM": "sum", "AVERAGE_POOL_2D": "average pooling", "MAX_POOL_2D": "max pooling",
    "HARD_SWISH": "hardswish", "LOGISTIC": "sigmoid", "TANH": "tanh", "ELU": "elu", "LEAKY_RELU": "leaky relu",
    "GELU": "gelu", "PRELU": "prelu", "SOFTMAX": "softmax", "QUANTIZE": "convert", "DEQUANTIZE": "convert",
    "CONCATENATION": "concatenate", "PAD": "pad", "TRANSPOSE": "transpose", "RESIZE_BILINEAR": "resize",
    "BATCH_MATMUL": "matrix multiply",
}  # fmt: skip
KERNELS = {
    **dict.fromkeys(("Convolution", "Fully Connected", "Deconvolution"), "layer"),
    "Add": "add", "Subtract": "subtract", "Multiply": "multiply", "Divide": "divide", "Maximum": "maximum",
    "Minimum": "minimum", "Mean": "mean", "Global Average Pooling": "mean", "Sum": "sum",
    "Average Pooling": "average pooling", "Max Pooling": "max pooling", "HardSwish": "hardswish",
    "Sigmoid": "sigmoid", "Tanh": "tanh", "ELU": "elu", "Leaky ReLU": "leaky relu", "GELU": "gelu", "PReLU": "prelu",
    "Softmax": "softmax", "Convert": "convert", "Concatenate": "concatenate", "Constant Pad": "pad",
    "Transpose": "transpose", "Resize Bilinear": "resize", "Batch Matrix Multiply": "matrix multiply",
}  # fmt: skip


def operators_of(kernels: Sequence[str], part: Sequence[Operator]) -> list[Operator | None]:
    """For each kernel of one part of the graph, in the order in which they ran, the file's operator; None where it
    cannot be told."""
    mine: dict[str, list[Operator]] = {}
    for operator in part:
        mine.setdefault(OPERATORS.get(operator.op, ""), []).append(operator)
    families = [KERNELS.get(kernel.split(" (")[0].strip(), "") for kernel in kernels]
    known = {name for name in set(families) if name and families.count(name) == len(mine.get(name, ()))}
    return [mine[family].pop(0) if family in known else None for family in families]
