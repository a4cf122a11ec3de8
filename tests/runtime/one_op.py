"""Models of one operator, written straight into the flatbuffer: the smallest thing a runtime can be asked about."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekit.runtime.flatbuffer import pack

TYPES = {"float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int64": 4, "bool": 6, "int16": 7, "int8": 9}
SCALE = 0.05


def one_op(
    op: str, dtype: str = "float32", *, inputs: tuple[tuple[int, ...], ...] = ((1, 4, 4, 8),),
    constants: dict[int, np.ndarray] | None = None, output: tuple[int, ...] = (1, 4, 4, 8), outputs: int = 1,
    options: Any = None, scales: tuple[float, ...] = (), version: int = 1, out_dtype: str = "",
) -> bytes:  # fmt: skip
    """A file with one `op`: graph inputs of the shapes `inputs`, of `dtype`, and `constants` by their place among the
    operator's inputs. Integers have the scale SCALE, or those of `scales`, the inputs' first and the outputs' last."""
    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs = [], []
    operator = schema.OperatorT()
    operator.opcodeIndex = 0
    operator.inputs = []
    shapes, scale = list(inputs), list(scales)
    for place in range(len(inputs) + len(constants or {})):
        held = (constants or {}).get(place)
        index = len(graph.tensors)
        operator.inputs.append(index)
        if held is None:
            graph.inputs.append(index)
            graph.tensors.append(_tensor(f"in{place}", shapes.pop(0), dtype, scale.pop(0) if scale else SCALE))
        else:
            model.buffers.append(schema.BufferT())
            model.buffers[-1].data = np.frombuffer(held.tobytes(), np.uint8)
            weights = held.dtype in (np.int8, np.int16) or (held.dtype == np.int32 and place == 2)
            graph.tensors.append(_tensor(f"constant{place}", held.shape, str(held.dtype), SCALE if weights else 0.0))
            graph.tensors[-1].buffer = len(model.buffers) - 1
    operator.outputs = []
    for place in range(outputs):
        operator.outputs.append(len(graph.tensors))
        graph.tensors.append(_tensor(f"out{place}", output, out_dtype or dtype, scale.pop(0) if scale else SCALE))
    graph.outputs = list(operator.outputs)
    if options is not None:
        operator.builtinOptions = options
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
    graph.operators = [operator]
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, op)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = version
    model.operatorCodes, model.subgraphs = [code], [graph]
    return pack(model)


def _tensor(name: str, shape: tuple[int, ...], dtype: str, scale: float) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), TYPES[dtype], 0
    if dtype in ("int8", "uint8", "int16", "int32") and scale:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [0]
    return tensor


def made(kind: str, **fields: Any) -> Any:
    """Options of an operator: made("Pool2D", strideW=1)."""
    options = getattr(schema, f"{kind}OptionsT")()
    for name, value in fields.items():
        setattr(options, name, value)
    return options
