"""A file's inputs and outputs as runtimes call them, and the step between two codes of an output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgekit.runtime.flatbuffer import op_name, parse


@dataclass(frozen=True)
class Ends:
    """Names by the first signature, or of the tensors where there is none; in the file's order. `steps`: of each output
    how far apart two of its codes are, None where it is computed in float."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    steps: tuple[float | None, ...]


def ends_of(content: bytes) -> Ends:
    """Of a file that was validated."""
    model = parse(content)
    graph = model.subgraphs[0]
    inputs, outputs = ([int(index) for index in ends] for ends in (graph.inputs, graph.outputs))
    named = {index: _text(graph.tensors[index].name) for index in (*inputs, *outputs)}
    ins, outs = dict(named), dict(named)
    if model.signatureDefs:
        first = model.signatureDefs[0]
        ins.update((int(one.tensorIndex), _text(one.name)) for one in first.inputs or [])
        outs.update((int(one.tensorIndex), _text(one.name)) for one in first.outputs or [])
    behind = {
        int(op.outputs[0]): int(op.inputs[0]) for op in graph.operators or [] if op_name(model, op) == "DEQUANTIZE"
    }
    steps = tuple(_step(graph.tensors[behind.get(index, index)]) for index in outputs)
    return Ends(tuple(ins[index] for index in inputs), tuple(outs[index] for index in outputs), steps)


def _step(tensor: object) -> float | None:
    scales = getattr(getattr(tensor, "quantization", None), "scale", None)
    return float(np.asarray(scales)[0]) if scales is not None and len(scales) == 1 else None


def _text(name: bytes | str | None) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name or "")
