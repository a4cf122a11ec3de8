"""The range of every activation over some images: what full-integer quantization is calibrated with.

TensorFlow's own calibrator runs reference kernels in one thread, and reads a tensor after an operator that works in
place may have written over it: the input of a residual addition is then given the range of the sum. Here every
activation is made an output of the graph, so none shares memory with another, and XNNPACK computes them.

A second pass over the same images counts the values of each activation in a histogram, for the methods that cover less
than all of them (`runtime.clipping`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from edgekit.runtime.clipping import BINS, Histogram, Range
from edgekit.runtime.flatbuffer import activations, is_constant, op_name, pack, parse, with_outputs
from edgekit.runtime.interpreter import find_runtime
from edgekit.runtime.quiet import captured_stderr

Ranges = Mapping[int, Range]  # tensor index in the main graph -> (min, max)
Inputs = tuple[np.ndarray, ...]  # one array an input of the model, in order

# Operators that act on each value alone: behind them, the range of the input decides the range of the output.
ELEMENTWISE = {"ADD", "SUB", "MUL", "DIV", "QUANTIZE", "DEQUANTIZE"}
# Operators whose output has one range by specification, whatever was observed.
FIXED = {"LOGISTIC", "SOFTMAX", "LOG_SOFTMAX", "TANH", "L2_NORMALIZATION"}
RANKED = {"SOFTMAX", "LOG_SOFTMAX", "ARG_MAX"}  # of their input the rarest value, the largest, is what counts
# Operators that compute nothing: their outputs hold the values of their input.
MOVING = {"RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "PAD", "SLICE", "STRIDED_SLICE", "SPLIT", "PACK", "UNPACK"}

SAMPLED = 16_384  # values of an activation that are counted, a sample, at most


class Observer:
    """A float file opened with every activation as an output."""

    def __init__(self, content: bytes, threads: int) -> None:
        model = parse(content)
        self._indices = activations(model)
        kind, _ = find_runtime()
        with captured_stderr():  # the runtime announces its delegate there
            self._interpreter = kind(model_content=with_outputs(model, self._indices), num_threads=threads)
            self._interpreter.allocate_tensors()
        self._sources = [detail["index"] for detail in self._interpreter.get_input_details()]

    def over(self, samples: Iterable[Inputs]) -> Ranges:
        """(min, max) of every float activation over `samples`, each an array [1, ...] an input.

        Raises ValueError if there is no sample.
        """
        return {index: widest(ends) for index, ends in self.each(samples).items()}

    def each(self, samples: Iterable[Inputs]) -> Mapping[int, np.ndarray]:
        """(min, max) of every float activation in each of n samples, float32 [n, 2].

        Raises ValueError if there is no sample.
        """
        found = []
        for sample in samples:
            self._run(sample)
            views = (self._interpreter.tensor(index)() for index in self._indices)
            found.append([(view.min(), view.max()) for view in views])
        if not found:
            raise ValueError("no calibration samples")
        ends = np.array(found, np.float32)
        return {index: ends[:, place] for place, index in enumerate(self._indices)}

    def histograms(self, samples: Iterable[Inputs], ranges: Ranges) -> Mapping[int, Histogram]:
        """The values of the activations in `ranges` over `samples`; none for one that has a single value.

        Of an activation with more than SAMPLED values every n-th counts, others in every sample: n shares no factor
        with their number, so that every channel, row and column is counted alike. Memory is BINS counts an activation.
        """
        ends = {i: (min(low, 0.0), max(high, 0.0)) for i, (low, high) in ranges.items() if low < high}
        counts = {index: np.zeros(BINS, np.int64) for index in ends}
        zeros = dict.fromkeys(ends, 0)
        for number, sample in enumerate(samples):
            self._run(sample)
            for index, (low, high) in ends.items():
                values = _some(self._interpreter.tensor(index)(), number)
                others = values[values != 0]
                zeros[index] += len(values) - len(others)
                places = ((others - low) * np.float32(BINS / (high - low))).astype(np.intp)
                counts[index] += np.bincount(np.clip(places, 0, BINS - 1, out=places), minlength=BINS)
                del values
        return {index: Histogram(*ends[index], counts[index], zeros[index]) for index in ends}

    def _run(self, sample: Inputs) -> None:
        for source, values in zip(self._sources, sample, strict=True):
            self._interpreter.set_tensor(source, values)
        self._interpreter.invoke()


def widest(ends: np.ndarray) -> Range:
    """The range of the ranges [n, 2]."""
    return float(ends[:, 0].min()), float(ends[:, 1].max())


def _some(values: np.ndarray, number: int) -> np.ndarray:
    """At most SAMPLED of the values, [n]; another `number` takes others."""
    step = -(-values.size // SAMPLED)
    while math.gcd(step, values.size) > 1:
        step += 1
    return values.reshape(-1)[number % step :: step]


def normalization_tensors(content: bytes) -> set[int]:
    """The graph's inputs and every activation computed from them by elementwise operators with constants alone."""
    model = parse(content)
    graph = model.subgraphs[0]
    reached = {int(i) for i in graph.inputs}
    for operator in graph.operators:
        inputs = [int(i) for i in operator.inputs if i >= 0]
        computed = [i for i in inputs if not is_constant(model, graph.tensors[i])]
        if op_name(model, operator) in ELEMENTWISE and computed and all(i in reached for i in computed):
            reached.update(int(i) for i in operator.outputs)
    return reached


def clippable_tensors(content: bytes, whole: Collection[int] = ()) -> set[int]:
    """The activations whose rarest values may saturate: all but those `whole`, the outputs of the graph, what ranks
    classes, and what has a range by specification."""
    model = parse(content)
    graph = model.subgraphs[0]
    kept = {*whole, *(int(i) for i in graph.outputs)}
    named = [(op_name(model, op), op) for op in graph.operators]
    for name, operator in reversed(named):
        if name in RANKED or (name in MOVING and int(operator.outputs[0]) in kept):
            kept.add(int(operator.inputs[0]))
    for name, operator in named:
        if name in FIXED or (name in MOVING and int(operator.inputs[0]) in kept):
            kept.add(int(operator.outputs[0]))
    return set(activations(model)) - kept


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
