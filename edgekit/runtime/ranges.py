"""The range of every activation over some images: what full-integer quantization is calibrated with.

TensorFlow's own calibrator runs reference kernels in one thread, and reads a tensor after an operator that works in
place may have written over it: the input of a residual addition is then given the range of the sum. Here every
activation is made an output of the graph, so none shares memory with another, and XNNPACK computes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from edgekit.runtime.flatbuffer import activations, is_constant, op_name, pack, parse
from edgekit.runtime.interpreter import find_runtime
from edgekit.runtime.quiet import captured_stderr

Ranges = Mapping[int, tuple[float, float]]  # tensor index in the main graph -> (min, max)
Inputs = tuple[np.ndarray, ...]  # one array an input of the model, in order

# Operators that act on each value alone: behind them, the range of the input decides the range of the output.
ELEMENTWISE = {"ADD", "SUB", "MUL", "DIV", "QUANTIZE", "DEQUANTIZE"}


class Observer:
    """A float file opened with every activation as an output."""

    def __init__(self, content: bytes, threads: int) -> None:
        model = parse(content)
        self._indices = activations(model)
        kind, _ = find_runtime()
        with captured_stderr():  # the runtime announces its delegate there
            self._interpreter = kind(model_content=_with_outputs(model, self._indices), num_threads=threads)
            self._interpreter.allocate_tensors()

    def over(self, samples: Iterable[Inputs]) -> Ranges:
        """(min, max) of every float activation over `samples`, each an array [1, ...] an input.

        Raises ValueError if there is no sample.
        """
        sources = [detail["index"] for detail in self._interpreter.get_input_details()]
        low = np.full(len(self._indices), np.inf, np.float32)
        high = -low
        seen = False
        for sample in samples:
            seen = True
            for source, values in zip(sources, sample, strict=True):
                self._interpreter.set_tensor(source, values)
            self._interpreter.invoke()
            for place, index in enumerate(self._indices):
                view = self._interpreter.tensor(index)()
                low[place] = min(low[place], view.min())
                high[place] = max(high[place], view.max())
                del view  # the interpreter refuses to run while a view of its memory is alive
        if not seen:
            raise ValueError("no calibration samples")
        return {i: (float(a), float(b)) for i, a, b in zip(self._indices, low, high, strict=True)}


def normalization_tensors(content: bytes) -> set[int]:
    """The graph input and every activation computed from it by elementwise operators with constants alone."""
    model = parse(content)
    graph = model.subgraphs[0]
    reached = {int(graph.inputs[0])}
    for operator in graph.operators:
        inputs = [int(i) for i in operator.inputs if i >= 0]
        computed = [i for i in inputs if not is_constant(model, graph.tensors[i])]
        if op_name(model, operator) in ELEMENTWISE and computed and all(i in reached for i in computed):
            reached.update(int(i) for i in operator.outputs)
    return reached


def with_ranges(content: bytes, ranges: Ranges) -> bytes:
    """The same file with (min, max) written into each tensor's quantization parameters, as a calibrator leaves them."""
    from ai_edge_litert import schema_py_generated as schema

    model = parse(content)
    for index, (low, high) in ranges.items():
        tensor = model.subgraphs[0].tensors[index]
        tensor.quantization = tensor.quantization or schema.QuantizationParametersT()
        tensor.quantization.min = np.array([low], np.float32)
        tensor.quantization.max = np.array([high], np.float32)
    return pack(model)


def _with_outputs(model: Any, indices: list[int]) -> bytes:
    model.subgraphs[0].outputs = np.array(indices, np.int32)
    model.signatureDefs = []  # they name outputs that are no longer there
    return pack(model)
