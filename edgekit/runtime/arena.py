"""How much memory TensorFlow Lite Micro's arena needs for a file: an estimate, from the file alone.

Activations are laid out as TFLM's GreedyMemoryPlanner does it (tensorflow/tflite-micro,
micro/memory_planner/greedy_memory_planner.h): the largest tensor first, each at the lowest place that is free while it
lives. Added is what TFLM keeps for good beside them, with the sizes its 64-bit build records: a little more than on a
32-bit microcontroller. Kernels of a vendor (CMSIS-NN, ESP-NN) may ask for scratch memory that is not counted here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.runtime.flatbuffer import is_constant, op_name, parse

ALIGNMENT = 16  # bytes
TENSOR, NODE, KERNEL, CHANNEL = 24, 64, 64, 8  # bytes kept of a tensor, an operator, its kernel, a channel's multiplier
REST = 1200  # bytes of the interpreter's own
CHANNELS_AT = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": -1}  # of the weights' shape; they have a multiplier a channel
FIELDS = ("first", "last", "size")  # of a buffer
BYTES = {0: 4, 1: 2, 2: 4, 3: 1, 4: 8, 6: 1, 7: 2, 9: 1, 10: 8, 15: 4, 16: 2}  # of a TensorType of the schema


@dataclass(frozen=True)
class Arena:
    """In bytes: `activations` at their peak, which is while `peak_op` runs, and what is `kept` beside them."""

    activations: int
    kept: int
    peak_op: str

    @property
    def total(self) -> int:
        return self.activations + self.kept


@dataclass(frozen=True)
class _Buffer:
    """A tensor that is computed: its bytes, and the first and last operator that it is there for."""

    size: int
    first: int
    last: int


def arena(content: bytes) -> Arena | None:
    """The estimate of a trusted file at the shapes that stand in it; None where a type has no size (strings, resources)
    or there are several subgraphs."""
    model = parse(content)
    buffers = _buffers(model) if len(model.subgraphs) == 1 else None
    if buffers is None:
        return None
    graph = model.subgraphs[0]
    there = _alive(buffers, len(graph.operators))
    peak = int(np.argmax(there))
    names = [op_name(model, operator) for operator in graph.operators]
    kept = TENSOR * len(graph.tensors) + (NODE + KERNEL) * len(names) + REST
    weights = ((name, graph.tensors[op.inputs[1]]) for op, name in zip(graph.operators, names, strict=True)
               if name in CHANNELS_AT)  # fmt: skip
    kept += CHANNEL * sum(int(tensor.shape[CHANNELS_AT[name]]) for name, tensor in weights)
    return Arena(_planned(buffers), kept, f"{names[peak]} (operator {peak})")


def _buffers(model: Any) -> list[_Buffer] | None:
    graph = model.subgraphs[0]
    last_op = len(graph.operators) - 1
    lives: dict[int, list[int]] = {int(tensor): [0, 0] for tensor in graph.inputs}
    for at, operator in enumerate(graph.operators):
        for tensor in (*operator.outputs, *operator.inputs):
            if tensor >= 0 and not is_constant(model, graph.tensors[tensor]):
                lives.setdefault(int(tensor), [at, at])[1] = at
    for tensor in graph.outputs:
        lives.setdefault(int(tensor), [last_op, last_op])[1] = last_op
    found = []
    for tensor, (first, last) in lives.items():
        size = _size(graph.tensors[tensor])
        if size is None:
            return None
        found.append(_Buffer(size, first, last))
    return found


def _size(tensor: Any) -> int | None:
    shape = [] if tensor.shape is None else [int(side) for side in tensor.shape]
    if tensor.type not in BYTES:
        return None
    return -(-math.prod(shape) * BYTES[tensor.type] // ALIGNMENT) * ALIGNMENT


def _alive(buffers: Sequence[_Buffer], operators: int) -> np.ndarray:
    """int64 [operators]: bytes of the tensors that are there while each runs."""
    change = np.zeros(operators + 1, np.int64)
    for one in buffers:
        change[one.first] += one.size
        change[one.last + 1] -= one.size
    return np.cumsum(change)[:operators]


def _planned(buffers: Sequence[_Buffer]) -> int:
    """Bytes of the layout; of equal sizes the one that is computed last comes first."""
    ordered = sorted(buffers, key=lambda buffer: (-buffer.size, -buffer.first))
    first, last, size = (np.array([getattr(one, field) for one in ordered], np.int64) for field in FIELDS)
    starts = np.zeros(len(ordered), np.int64)
    for one in range(len(ordered)):
        beside = np.flatnonzero((last[:one] >= first[one]) & (first[:one] <= last[one]))
        for other in beside[np.argsort(starts[beside], kind="stable")]:
            if starts[other] < starts[one] + size[one]:
                starts[one] = max(starts[one], starts[other] + size[other])
    return int((starts + size).max(initial=0))
