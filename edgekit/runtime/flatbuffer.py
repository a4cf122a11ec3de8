"""The .tflite flatbuffer as Python objects, and back. The schema's classes ship with LiteRT."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

FLOAT32 = 0  # TensorType.FLOAT32 in the TFLite schema
IDENTIFIER = b"TFL3"
LONG = 256  # bytes of an array, beyond which its hash is kept instead


def parse(content: bytes) -> Any:
    """The `ModelT` of a trusted file (an untrusted one goes through `runtime.validate` first).

    Its arrays are views of `content`: put others in their place to change one.
    """
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))


def pack(model: Any) -> bytes:
    """The bytes of a `ModelT`. Arrays of the same bytes are stored once: an int8 file has a zero point of 8 bytes for
    each channel of its weights and again of its bias, all of them 0."""
    weights = sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None)
    builder = _sharing()(weights + (1 << 20))  # a builder that has to grow copies everything it holds
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(memoryview(builder.Bytes)[builder.Head() :])  # what Output() gives, copied once and not twice


@functools.cache
def _sharing() -> type[Any]:
    import flatbuffers

    class Sharing(flatbuffers.Builder):  # type: ignore[misc] # flatbuffers has no types
        """Writes an array that it has written already as a reference to that one, which the format allows: a vector of
        numbers holds no offsets of its own (flatbuffers.dev, "Internals")."""

        def __init__(self, size: int) -> None:
            super().__init__(size)
            self._written: dict[tuple[int, bytes], int] = {}

        def CreateNumpyVector(self, x: Any) -> int:
            content = x.tobytes()
            key = x.itemsize, content if len(content) < LONG else hashlib.sha256(content).digest()
            if key not in self._written:
                self._written[key] = super().CreateNumpyVector(x)
            return self._written[key]

    return Sharing


def without_metadata(content: bytes) -> bytes:
    """The same model without its metadata buffers: what `model_sha256` and `model_bytes` are of.

    Metadata that is written into a model, or taken out of it, leaves these bytes as they are.
    """
    model = parse(content)
    for entry in model.metadata or []:
        model.buffers[entry.buffer].data = None
    held = {entry.buffer for entry in model.metadata or []}
    model.metadata = []
    while len(model.buffers) - 1 in held:  # the last ones: no tensor's number of a buffer changes
        model.buffers.pop()
    return pack(model)


def is_constant(model: Any, tensor: Any) -> bool:
    """Whether the tensor's value is stored in the file."""
    buffer = model.buffers[tensor.buffer]
    return buffer.data is not None or bool(getattr(buffer, "size", 0))


def op_name(model: Any, operator: Any) -> str:
    """CONV_2D, ADD, ...; a custom op's own name."""
    code = model.operatorCodes[operator.opcodeIndex]
    name = _builtin_names()[max(code.builtinCode, code.deprecatedBuiltinCode)]
    return (code.customCode or b"CUSTOM").decode(errors="replace") if name == "CUSTOM" else name


@functools.cache
def _builtin_names() -> dict[int, str]:
    from ai_edge_litert import schema_py_generated as schema

    return {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}


def with_outputs(model: Any, tensors: list[int]) -> bytes:
    """The file with these tensors of the main graph as its outputs, in this order; `model` is changed."""
    model.subgraphs[0].outputs = np.array(tensors, np.int32)
    model.signatureDefs = []  # they name outputs that are no longer there
    return pack(model)


def activations(model: Any) -> list[int]:
    """Indices of the main graph's float32 tensors that are computed, not stored: what calibration observes."""
    graph = model.subgraphs[0]
    used = {int(i) for op in graph.operators for i in _tensors(op) if i >= 0}
    return sorted(i for i in used if graph.tensors[i].type == FLOAT32 and not is_constant(model, graph.tensors[i]))


def _tensors(operator: Any) -> Iterator[int]:
    for ends in (operator.inputs, operator.outputs):
        yield from () if ends is None else ends
