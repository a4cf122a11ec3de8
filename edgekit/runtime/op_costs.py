"""Multiply-accumulates and parameters of a file's operators, by the definition of `edgekit.models.count`.

MACs are those of convolutions and dense layers, for one inference of the shapes that stand in the file. Parameters are
the values that the file stores for its layers: batch normalization is folded into the convolution before it, so a file
has the `deployed_params` of the network that it was made of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgekit.runtime.xnnpack import DTYPES, OpFacts

# Where a layer keeps its weights and its bias, among its inputs.
KERNEL, BIAS = 1, 2
LAYERS = frozenset({"CONV_2D", "CONV_3D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "CONV_3D_TRANSPOSE",
                    "BATCH_MATMUL"})  # fmt: skip
BIAS_AT = {"TRANSPOSE_CONV": 3, "CONV_3D_TRANSPOSE": 3}
# Operators with weights of their own whose multiplications are not counted.
UNCOUNTED = frozenset({
    "BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN", "LSTM", "RNN", "SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "UNIDIRECTIONAL_SEQUENCE_RNN", "STABLEHLO_CONVOLUTION", "STABLEHLO_DOT_GENERAL",
})  # fmt: skip
PASSING = ("DEQUANTIZE", "DENSIFY")  # of stored weights: the layer behind has them
VALUES = frozenset({"float32", "float16", "bfloat16", "int8", "uint8", "int16", "int4"})
BIASES = frozenset({"float32", "float16", "int32", "int64"})


@dataclass(frozen=True)
class Stored:
    """A tensor that the file holds, and its place among its operator's inputs; `held` are its bytes, uint8 [n]."""

    index: int
    place: int
    tensor: Any
    held: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return shape_of(self.tensor)

    @property
    def dtype(self) -> str:
        return DTYPES.get(self.tensor.type, "?")

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def shape_of(tensor: Any) -> tuple[int, ...]:
    return () if tensor.shape is None else tuple(int(side) for side in tensor.shape)


def macs(facts: OpFacts) -> int | None:
    """Of one operator; None where it multiplies and nobody counts it."""
    if facts.op in UNCOUNTED:
        return None
    return MACS[facts.op](facts) if facts.op in MACS else 0


def parameters(facts: tuple[OpFacts, ...], operators: list[Any]) -> list[tuple[Stored, ...]]:
    """Of each operator the stored tensors that are its parameters. What several share belongs to the first; weights
    that are unpacked while the network runs belong to the layer that takes them."""
    passed = dict(_passed(facts, operators))
    seen: set[int] = set()
    found = []
    for one, operator in zip(facts, operators, strict=True):
        mine = [] if one.op in PASSING else list(_stored(one, operator, passed))
        fresh = [stored for stored in mine if stored.index not in seen and _counts(one.op, stored)]
        seen.update(stored.index for stored in fresh)
        found.append(tuple(fresh))
    return found


def with_passed(facts: tuple[OpFacts, ...], operators: list[Any]) -> list[OpFacts]:
    """The same, where weights that are unpacked while the network runs (float16, sparse) count as stored: delegates
    unpack them once."""
    passed = dict(_passed(facts, operators))

    def given(place: int, one: OpFacts, operator: Any) -> tuple[Any, np.ndarray | None] | None:
        before = passed.get(int(operator.inputs[place]))
        now = one.inputs[place]
        return now if before is None or now is None else (now[0], before.held)

    return [
        replace(one, inputs=tuple(given(place, one, operator) for place in range(len(one.inputs))))
        for one, operator in zip(facts, operators, strict=True)
    ]


def _passed(facts: tuple[OpFacts, ...], operators: list[Any]) -> Iterator[tuple[int, Stored]]:
    """Tensor that an operator makes of stored weights -> those weights."""
    for one, operator in zip(facts, operators, strict=True):
        given = one.inputs[0] if one.op in PASSING and one.inputs else None
        if given is not None and given[1] is not None and len(one.outputs) == 1:
            yield int(operator.outputs[0]), Stored(int(operator.inputs[0]), 0, given[0], given[1])


def _stored(facts: OpFacts, operator: Any, passed: dict[int, Stored]) -> Iterator[Stored]:
    for place, given in enumerate(facts.inputs):
        index = int(operator.inputs[place])
        if given is not None and given[1] is not None:
            yield Stored(index, place, given[0], given[1])
        elif index in passed:
            before = passed[index]
            yield Stored(before.index, place, before.tensor, before.held)


def _counts(op: str, stored: Stored) -> bool:
    """Whether it is a parameter: a layer's kernel and bias, and elsewhere what has several values and is no index."""
    if op in LAYERS:
        kinds = BIASES if stored.place == BIAS_AT.get(op, BIAS) else VALUES
        return stored.dtype in kinds
    return stored.dtype in VALUES and stored.size > 1


def _side(facts: OpFacts, place: int) -> tuple[int, ...]:
    given = facts.inputs[place] if place < len(facts.inputs) else None
    return () if given is None else shape_of(given[0])


def _made(facts: OpFacts) -> tuple[int, ...]:
    return shape_of(facts.outputs[0]) if facts.outputs else ()


def _conv(facts: OpFacts) -> int:
    """Places of the output [n, ..., out] times the kernel: [out, h, w, in], [1, h, w, out] or [d, h, w, in, out]."""
    return math.prod(_made(facts)[:-1]) * math.prod(_side(facts, KERNEL))


def _transposed(facts: OpFacts) -> int:
    """Places of the input, which is the third, times the kernel."""
    return math.prod(_side(facts, 2)[:-1]) * math.prod(_side(facts, KERNEL))


def _dense(facts: OpFacts) -> int:
    """Values of the output, each a sum over the inputs of the kernel [out, in]."""
    return math.prod(_made(facts)) * math.prod(_side(facts, KERNEL)[-1:])


def _product(facts: OpFacts) -> int:
    """Values of the output, each a sum over the last axis of the first matrix, or over its last but one."""
    first = _side(facts, 0)
    axis = -2 if getattr(facts.options, "adjX", False) else -1
    return math.prod(_made(facts)) * (first[axis] if len(first) > 1 else 0)


MACS: dict[str, Callable[[OpFacts], int]] = {
    "CONV_2D": _conv,
    "CONV_3D": _conv,
    "DEPTHWISE_CONV_2D": _conv,
    "FULLY_CONNECTED": _dense,
    "TRANSPOSE_CONV": _transposed,
    "CONV_3D_TRANSPOSE": _transposed,
    "BATCH_MATMUL": _product,
}
