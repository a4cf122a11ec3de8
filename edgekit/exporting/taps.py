"""The ranges of a fake-quantized model, brought to the tensors of the flatbuffer that it becomes.

Its tensors were made outputs of the function that is converted (`freeze`), so that each is found by its place there,
whatever the converter fused; here they stop being outputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.models.fake_quant import Tap
from edgekit.runtime.flatbuffer import is_constant, op_name, pack, parse
from edgekit.runtime.ranges import Ranges

# Operators whose integer output has the scale of their input: their outputs take over the range (TFLite's
# quantization specification; CONCATENATION the other way round).
SAME_SCALE = {
    "AVERAGE_POOL_2D", "GATHER", "MAX_POOL_2D", "PAD", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SLICE",
    "SPACE_TO_DEPTH", "DEPTH_TO_SPACE", "SPLIT", "SQUEEZE", "STRIDED_SLICE", "TRANSPOSE", "UNPACK", "PACK",
}  # fmt: skip


@dataclass(frozen=True)
class Tapped:
    """A float flatbuffer whose outputs are the model's own again.

    `tensors`: the name of each FakeQuantize -> its tensor. `ranges`: (min, max) of each tapped tensor and of those that
    share its scale. `float_nodes`: the tensors that operators write which are to stay float. `weight_bits`: tensor name
    -> bits of the weights of the operator that writes it, where they are fewer than 8.
    """

    content: bytes
    tensors: Mapping[str, int]
    ranges: Ranges
    float_nodes: tuple[str, ...]
    weight_bits: Mapping[str, int]


def untapped(content: bytes, taps: Sequence[Tap], outputs: int) -> Tapped:
    """Takes the taps, which stand behind so many real outputs, off a file; their tensors are named after layers."""
    model = parse(content)
    graph = model.subgraphs[0]
    places = [int(i) for i in graph.outputs]
    inputs = [int(i) for i in graph.inputs]
    tensors = [(inputs if tap.tensor < 0 else places)[tap.tensor] for tap in taps]
    graph.outputs = np.array(places[:outputs], np.int32)
    model.signatureDefs = []
    for tap, tensor in zip(taps, tensors, strict=True):
        if tensor not in (*inputs, *places[:outputs]):  # those have the names apps know
            graph.tensors[tensor].name = tap.layer.encode()
    ranges = {tensor: (tap.low, tap.high) for tap, tensor in zip(taps, tensors, strict=True)}
    left = {tensor for tap, tensor in zip(taps, tensors, strict=True) if tap.left_float}
    return Tapped(
        content=pack(model),
        tensors={tap.name: tensor for tap, tensor in zip(taps, tensors, strict=True)},
        ranges=_shared(model, ranges),
        float_nodes=tuple(_name(model, tensor) for tensor in _between(model, left, set(tensors))),
        weight_bits={
            _name(model, t): tap.weight_bits for tap, t in zip(taps, tensors, strict=True) if tap.weight_bits < 8
        },
    )


def _shared(model: Any, ranges: Mapping[int, tuple[float, float]]) -> Ranges:
    """The ranges, and those of the tensors that have the scale of one of theirs."""
    graph = model.subgraphs[0]
    found = dict(ranges)
    for operator in graph.operators:
        source, target = int(operator.inputs[0]), int(operator.outputs[0])
        if op_name(model, operator) in SAME_SCALE and source in found and target not in ranges:
            found.update({int(output): found[source] for output in operator.outputs})
    readers = [int(i) for operator in graph.operators for i in operator.inputs]
    for operator in reversed(graph.operators):
        target = int(operator.outputs[0])
        if op_name(model, operator) == "CONCATENATION" and target in found:
            alone = [int(i) for i in operator.inputs if int(i) not in found and readers.count(int(i)) == 1]
            found.update(dict.fromkeys(alone, found[target]))
    return found


def _between(model: Any, left: Iterable[int], tapped: set[int]) -> list[int]:
    """The tensors computed on the way to each of `left` from other tapped tensors, those included."""
    graph = model.subgraphs[0]
    producers = {int(output): operator for operator in graph.operators for output in operator.outputs}
    found: list[int] = []
    waiting = list(left)
    while waiting:
        tensor = waiting.pop()
        operator = producers.get(tensor)
        if operator is None or tensor in found:
            continue
        found.extend(int(output) for output in operator.outputs)
        sources = [int(i) for i in operator.inputs if i >= 0 and not is_constant(model, graph.tensors[i])]
        waiting.extend(source for source in sources if source not in tapped)
    return found


def _name(model: Any, tensor: int) -> str:
    return str(model.subgraphs[0].tensors[tensor].name.decode())
