"""Weights of 4 bits in a quantized .tflite: the int8 kernels of named operators brought to a grid of +-7 steps.

The quantizer knows 8 bits only. A kernel that lies on the grid max|w| / 7 comes out of it as round(k * 127 / 7) for
each k in -7..7, from which k is found again exactly. It is stored as int8, as fast as ever, or packed two to a byte as
TFLite's INT4: TFLite's own kernels then answer the same bit for bit, but XNNPACK (as of LiteRT 2.3) leaves some of the
convolutions to them, which makes the file slower than the int8 one and lets roundings differ by a step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgekit.errors import BadInput
from edgekit.runtime.flatbuffer import op_name, pack, parse

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
EIGHT = 127  # the largest int8 weight
INT8, INT4, INT32 = 9, 17, 2  # TensorType in the TFLite schema


def with_low_bits(content: bytes, layers: Mapping[str, int], *, packed: bool = False) -> bytes:
    """The same int8 file with the weights of some operators on 2^bits - 1 levels.

    `layers`: the name of the tensor that an operator writes -> bits, 2 to 8; an operator without an int8 kernel is
    passed over, and a kernel that has so few levels already keeps them. `packed` stores weights of at most 4 bits as
    INT4: half the bytes, and slower. Raises BadInput where no tensor has the name.
    """
    model = parse(content)
    graph = model.subgraphs[0]
    producers = {int(output): operator for operator in graph.operators for output in operator.outputs}
    named = {tensor.name.decode(): index for index, tensor in enumerate(graph.tensors)}
    for name, bits in layers.items():
        if name not in named:
            raise BadInput(f"The file has no tensor {name!r}.", "Name one that an operator of the file writes.")
        operator = _computing(model, producers, named[name])
        if operator is not None:
            _lower(model, operator, 2 ** (bits - 1) - 1, packed=packed and bits <= 4)
    return pack(model)


def _computing(model: Any, producers: Mapping[int, Any], tensor: int) -> Any:
    """The operator with an int8 kernel that computes a tensor, DEQUANTIZE and QUANTIZE passed over; or None."""
    operator = producers.get(tensor)
    while operator is not None and op_name(model, operator) in ("DEQUANTIZE", "QUANTIZE"):
        operator = producers.get(int(operator.inputs[0]))
    if operator is None or op_name(model, operator) not in WEIGHTED:
        return None
    kernel = model.subgraphs[0].tensors[operator.inputs[1]]
    return operator if kernel.type == INT8 else None


def _lower(model: Any, operator: Any, levels: int, packed: bool) -> None:
    """Exchanges an operator's kernel, and its bias, whose scale is that of the input times that of the kernel."""
    tensors = model.subgraphs[0].tensors
    kernel = _own(model, operator, 1)
    codes = np.frombuffer(model.buffers[kernel.buffer].data.tobytes(), np.int8)
    top = EIGHT if np.abs(codes).max() > levels else levels  # a kernel that is on its grid already stays as it is
    few = np.rint(codes * (levels / top)).astype(np.int8)
    kernel.quantization.scale = (kernel.quantization.scale * np.float32(top / levels)).astype(np.float32)
    kernel.type = INT4 if packed else INT8
    _store(model, kernel, pack_int4(few) if packed else few.view(np.uint8))
    if len(operator.inputs) < 3 or operator.inputs[2] < 0:
        return
    bias = _own(model, operator, 2)
    kind = np.int32 if bias.type == INT32 else np.int64
    sums = np.frombuffer(model.buffers[bias.buffer].data.tobytes(), kind)
    scale = (tensors[operator.inputs[0]].quantization.scale[0] * kernel.quantization.scale).astype(np.float32)
    moved = np.rint(sums * (bias.quantization.scale.astype(np.float64) / scale)).astype(kind)
    bias.quantization.scale = scale
    _store(model, bias, moved.view(np.uint8))


def pack_int4(codes: np.ndarray) -> np.ndarray:
    """int8 [n] in -8..7 -> uint8 [ceil(n / 2)], the first of each two in the low half."""
    even = np.append(codes, np.zeros(len(codes) % 2, np.int8)).view(np.uint8) & 0xF
    return (even[0::2] | (even[1::2] << 4)).astype(np.uint8)


def _own(model: Any, operator: Any, place: int) -> Any:
    """An operator's tensor, copied first where another operator reads it too."""
    import copy

    graph = model.subgraphs[0]
    index = int(operator.inputs[place])
    if sum(int(i) == index for one in graph.operators for i in one.inputs) > 1:
        graph.tensors.append(copy.deepcopy(graph.tensors[index]))
        operator.inputs = np.array(operator.inputs)
        operator.inputs[place] = len(graph.tensors) - 1
    return graph.tensors[operator.inputs[place]]


def _store(model: Any, tensor: Any, data: np.ndarray) -> None:
    """Writes a tensor's bytes, into a buffer of its own: the converter gives equal constants one."""
    from ai_edge_litert import schema_py_generated as schema

    if sum(one.buffer == tensor.buffer for graph in model.subgraphs for one in graph.tensors) > 1:
        model.buffers.append(schema.BufferT())
        tensor.buffer = len(model.buffers) - 1
    model.buffers[tensor.buffer].data = data
