"""Files that mean no good, or are larger than any network: long chains, custom operators, names that are code."""

from __future__ import annotations

import copy
from typing import Any

from edgekit.runtime.flatbuffer import pack, parse
from tests.runtime.one_op import one_op

NAME = "\x1b[2J<script>alert(1)</script>\n\u202etxt"


def chain(length: int) -> bytes:
    """`length` RELUs, one behind the other."""
    model = parse(one_op("RELU"))
    graph = model.subgraphs[0]
    operator, tensor = graph.operators[0], graph.tensors[1]
    graph.operators, graph.tensors = [], [graph.tensors[0]]
    for at in range(length):
        graph.tensors.append(_named(tensor, f"relu{at}"))
        one = copy.copy(operator)
        one.inputs, one.outputs = [at], [at + 1]
        graph.operators.append(one)
    graph.outputs = [length]
    return pack(model)


def custom(name: str) -> bytes:
    """One operator that is none of the builtin ones."""
    model = parse(one_op("CUSTOM"))
    model.operatorCodes[0].customCode = name
    return pack(model)


def renamed(content: bytes, name: str = NAME) -> bytes:
    """The same file whose tensors are all called `name`."""
    model = parse(content)
    for tensor in model.subgraphs[0].tensors:
        tensor.name = name
    return pack(model)


def opened(content: bytes, shape: tuple[int, ...]) -> bytes:
    """The same file whose input states that its shape is `shape`, with -1 for what is open."""
    model = parse(content)
    model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]].shapeSignature = list(shape)
    return pack(model)


def _named(tensor: Any, name: str) -> Any:
    one = copy.copy(tensor)
    one.name = name
    return one
