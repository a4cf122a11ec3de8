"""The .tflite flatbuffer as Python objects, and back. The schema's classes ship with LiteRT."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

FLOAT32 = 0  # TensorType.FLOAT32 in the TFLite schema
IDENTIFIER = b"TFL3"


def parse(content: bytes) -> Any:
    """The `ModelT` of a trusted file (an untrusted one goes through `runtime.validate` first).

    Its arrays are views of `content`: put others in their place to change one.
    """
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))


def pack(model: Any) -> bytes:
    """The bytes of a `ModelT`."""
    import flatbuffers

    weights = sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None)
    builder = flatbuffers.Builder(weights + (1 << 20))  # a builder that has to grow copies everything it holds
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(memoryview(builder.Bytes)[builder.Head() :])  # what Output() gives, copied once and not twice


def without_metadata(content: bytes) -> bytes:
    """The same model without its metadata buffers: what `model_sha256` and `model_bytes` are of."""
    model = parse(content)
    for entry in model.metadata or []:
        model.buffers[entry.buffer].data = None
    model.metadata = []
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


def activations(model: Any) -> list[int]:
    """Indices of the main graph's float32 tensors that are computed, not stored: what calibration observes."""
    graph = model.subgraphs[0]
    used = {int(i) for op in graph.operators for i in _tensors(op) if i >= 0}
    return sorted(i for i in used if graph.tensors[i].type == FLOAT32 and not is_constant(model, graph.tensors[i]))


def _tensors(operator: Any) -> Iterator[int]:
    for ends in (operator.inputs, operator.outputs):
        yield from () if ends is None else ends
