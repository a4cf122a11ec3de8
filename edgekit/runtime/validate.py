"""A structural check of a .tflite in plain Python, before any native code sees it.

Runtimes trust what the file says about itself: an index out of range or a zero scale aborts the process. Vectors are
read in place and weights are never copied, so a file of many megabytes takes milliseconds.
Source: tensorflow/lite/schema/schema.fbs (schema version 3).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import BadInput

MAGIC = b"TFL3"
LARGEST_TENSOR = 2**30  # bytes: VGG-16's largest layer takes 411 MB, an 8192-px float image 805 MB
_LONGEST_VECTOR = 200_000  # tensors, operators or buffers; real models have thousands
# TensorType -> bytes an element, of the types whose size is fixed and whole.
_BYTES = {0: 4, 1: 2, 2: 4, 3: 1, 4: 8, 6: 1, 7: 2, 8: 8, 9: 1, 10: 8, 11: 16, 12: 8, 15: 4, 16: 2}
_RANGES: dict[int, np.iinfo] = {
    9: np.iinfo(np.int8),
    3: np.iinfo(np.uint8),
    7: np.iinfo(np.int16),
    2: np.iinfo(np.int32),
}
_OTHER_FORMATS = {
    b"\x89HDF": "an HDF5 (.h5) file",
    b"PK\x03\x04": "a zip archive, such as a .keras file",
    b"\x08": "a protocol buffer, such as an ONNX file or a SavedModel",
}
_EXPORT_AGAIN = "Copy the file again, or export it again."


class _Damage(Exception):
    """One sentence on what is wrong, without the file's name."""


def read_model(path: Path | str) -> bytes:
    """The bytes of a .tflite that passes `validate`. Raises BadInput for anything else, a missing file included."""
    path = Path(path)
    if path.is_dir():
        raise BadInput(f"{path} is a folder, not a .tflite file.", "Give the path of a .tflite file.")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist.", "Check the path.") from None
    validate(content, str(path))
    return content


def validate(content: bytes, name: str = "The model") -> None:
    """Checks indices, shapes, buffers and quantization. Raises BadInput with the first thing that is wrong."""
    from ai_edge_litert import schema_py_generated as schema

    if content[4:8] != MAGIC:
        raise BadInput(f"{name} is not a TensorFlow Lite model{_looks_like(content)}.", "Give a .tflite file.")
    try:
        _check_model(schema.Model.GetRootAs(content, 0), len(content))
    except _Damage as damage:
        raise BadInput(f"{name} is damaged: {damage}.", _EXPORT_AGAIN) from None
    except (struct.error, TypeError, ValueError, IndexError, OverflowError, AttributeError):
        raise BadInput(f"{name} is damaged: an offset points outside the file.", _EXPORT_AGAIN) from None


def _looks_like(content: bytes) -> str:
    if not content:
        return ": it is empty"
    found = next((what for magic, what in _OTHER_FORMATS.items() if content.startswith(magic)), None)
    return f": it looks like {found}" if found else ""


def _check_model(model: Any, size: int) -> None:
    if model.Version() != 3:
        raise _Damage(f"schema version {model.Version()} is not 3")
    buffers = [_buffer_size(buffer, size) for buffer in _items("buffers", model.BuffersLength(), model.Buffers)]
    codes = _length("operator codes", model.OperatorCodesLength())
    graphs = _items("subgraphs", model.SubgraphsLength(), model.Subgraphs)
    if not graphs:
        raise _Damage("it has no subgraph")
    for graph in graphs:
        _check_graph(graph, buffers, codes)
    if not graphs[0].InputsLength() or not graphs[0].OutputsLength():
        raise _Damage("the graph has no input or no output")
    for entry in _items("metadata entries", model.MetadataLength(), model.Metadata):
        if entry.Buffer() >= len(buffers):
            raise _Damage(f"a metadata entry refers to buffer {entry.Buffer()} of {len(buffers)}")


def _items(kind: str, length: int, item: Callable[[int], Any]) -> list[Any]:
    found = [item(index) for index in range(_length(kind, length))]
    if any(one is None for one in found):
        raise _Damage(f"one of the {kind} is missing")
    return found


def _length(kind: str, length: int) -> int:
    if length > _LONGEST_VECTOR:
        raise _Damage(f"it claims {length:,} {kind}")
    return length


def _buffer_size(buffer: Any, size: int) -> int:
    """Bytes of constant data. Files above 2 GB keep it behind the flatbuffer, at Offset()."""
    if buffer.Offset() > 1:
        if buffer.Offset() + buffer.Size() > size:
            raise _Damage("a buffer lies outside the file")
        return int(buffer.Size())
    if buffer.DataIsNone():
        return 0
    return len(buffer.DataAsNumpy())  # a view: raises ValueError where it would leave the file


def _check_graph(graph: Any, buffers: list[int], codes: int) -> None:
    tensors = _items("tensors", graph.TensorsLength(), graph.Tensors)
    for index, tensor in enumerate(tensors):
        _check_tensor(index, tensor, buffers)
    _check_indices("the graph's inputs", graph.InputsAsNumpy(), 0, len(tensors))
    _check_indices("the graph's outputs", graph.OutputsAsNumpy(), 0, len(tensors))
    for index, operator in enumerate(_items("operators", graph.OperatorsLength(), graph.Operators)):
        if operator.OpcodeIndex() >= codes:
            raise _Damage(f"operator {index} has code {operator.OpcodeIndex()} of {codes}")
        # -1 stands for an optional input that is not given.
        _check_indices(f"the inputs of operator {index}", operator.InputsAsNumpy(), -1, len(tensors))
        _check_indices(f"the outputs of operator {index}", operator.OutputsAsNumpy(), 0, len(tensors))
        _check_indices(f"the scratch of operator {index}", operator.IntermediatesAsNumpy(), -1, len(tensors))


def _check_indices(what: str, indices: np.ndarray | int, lowest: int, count: int) -> None:
    """The schema's accessor gives 0 in place of an absent vector."""
    if isinstance(indices, np.ndarray) and indices.size and not (lowest <= indices.min() <= indices.max() < count):
        raise _Damage(f"{what} refer to a tensor that is not there")


def _check_tensor(index: int, tensor: Any, buffers: list[int]) -> None:
    if tensor.Buffer() >= len(buffers):
        raise _Damage(f"tensor {index} refers to buffer {tensor.Buffer()} of {len(buffers)}")
    shape = [] if tensor.ShapeIsNone() else [int(size) for size in tensor.ShapeAsNumpy()]
    if len(shape) > 8 or any(size < 0 for size in shape):
        raise _Damage(f"tensor {index} has the shape {shape[:9]}")
    width = _BYTES.get(tensor.Type())
    if math.prod(shape) * (width or 1) > LARGEST_TENSOR:
        raise _Damage(f"tensor {index} would take {math.prod(shape) * (width or 1):,} bytes")
    held = buffers[tensor.Buffer()]
    # A sparse tensor holds fewer values than its shape says, a string or 4-bit one other numbers of bytes.
    if held and width and tensor.Sparsity() is None and held != math.prod(shape) * width:
        raise _Damage(f"tensor {index} of shape {shape} holds {held:,} bytes")
    if tensor.Quantization() is not None:
        _check_quantization(index, tensor.Quantization(), shape, _RANGES.get(tensor.Type()))


def _check_quantization(index: int, quantization: Any, shape: list[int], limits: np.iinfo | None) -> None:
    if quantization.ScaleIsNone() or not quantization.ScaleLength():
        return
    scales = quantization.ScaleAsNumpy()
    if not np.isfinite(scales).all() or scales.min() <= 0:
        raise _Damage(f"tensor {index} has a quantization scale that is zero, negative or not finite")
    if len(scales) > 1 and quantization.DetailsType() == 0:
        axis = quantization.QuantizedDimension()
        if not 0 <= axis < len(shape) or len(scales) != shape[axis]:
            raise _Damage(f"tensor {index} has {len(scales)} quantization scales for the shape {shape}")
    zeros = np.empty(0) if quantization.ZeroPointIsNone() else quantization.ZeroPointAsNumpy()
    if len(zeros) > 1 and len(zeros) != len(scales):
        raise _Damage(f"tensor {index} has {len(zeros)} zero points for {len(scales)} scales")
    if limits and zeros.size and not (limits.min <= zeros.min() <= zeros.max() <= limits.max):
        raise _Damage(f"tensor {index} has a zero point outside its type")
