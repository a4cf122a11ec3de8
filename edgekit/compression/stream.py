"""Two models run side by side, layer by layer over all calibration samples: the float one and what becomes of it.

The steps that repair a quantized model one layer after the other stand on it. Every sample is at the same layer at the
same time, so a layer sees what the layers before it give as they are after their repair. A tensor is kept until its
last consumer has run, and as many samples are taken as fit into `MEMORY`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from edgekit.compression.fold import WEIGHTED
from edgekit.compression.graph import Graph, Node, graph_of
from edgekit.errors import BadInput
from edgekit.exporting.convert import Calibration
from edgekit.runtime.ranges import Inputs

MEMORY = 2 << 30  # bytes of activations, both streams together
CHUNK = 8  # samples that run through a layer at once
FLOAT = 4  # bytes


@dataclass(frozen=True)
class Pair:
    """A weighted layer of both models and what each gets: a list of tensors [chunk, ...], sample for sample the same.

    `relu`: the ReLU that alone follows the reference, if one does.
    """

    reference: Any
    layer: Any
    expected: Sequence[Any]
    given: Sequence[Any]
    relu: Any = None

    @property
    def name(self) -> str:
        return self.layer.name


@dataclass(frozen=True)
class Streamed:
    """How many of the calibration samples were used, and the largest memory that their activations took, in bytes."""

    samples: int
    of: int
    peak_bytes: int

    def to_json(self) -> dict[str, int]:
        return {"samples": self.samples, "calibration_samples": self.of, "peak_bytes": self.peak_bytes}


class Stream:
    """A flat model and its tensors over some samples, computed when they are asked for."""

    def __init__(self, graph: Graph, chunks: Sequence[Inputs]) -> None:
        self._graph = graph
        inputs = enumerate(graph.inputs)
        self._values = {t: [keras.ops.convert_to_tensor(chunk[i]) for chunk in chunks] for i, t in inputs}
        self._uses = _uses(graph)
        self._places = {output: place for place, node in enumerate(graph.nodes) for output in node.outputs}
        self._done: set[int] = set()

    def value(self, tensor: int) -> list[Any]:
        """A tensor's chunks. It, and what only it needs, runs now; it must not have been freed."""
        for place in sorted(self._missing(tensor)):
            self._run(place)
        return self._values[tensor]

    def _missing(self, tensor: int) -> set[int]:
        """The nodes that have to run for a tensor."""
        found: set[int] = set()
        wanted = [tensor]
        while wanted:
            place = self._places.get(wanted.pop())
            if place is not None and place not in self._done and place not in found:
                found.add(place)
                wanted.extend(self._graph.nodes[place].inputs)
        return found

    def _run(self, place: int) -> None:
        node = self._graph.nodes[place]
        self._done.add(place)
        for tensor in set(node.inputs):
            self._uses[tensor] -= 1
        taken = {tensor: self._values[tensor] for tensor in set(node.inputs)}
        last = [tensor for tensor in taken if not self._uses[tensor]]
        made: list[list[Any]] = [[] for _ in node.outputs]
        for index in range(len(next(iter(taken.values())))):
            outputs = node.apply(node.layer, [taken[tensor][index] for tensor in node.inputs])
            for chunks, output in zip(made, keras.tree.flatten(outputs), strict=True):
                chunks.append(output)
            for tensor in last:
                taken[tensor][index] = None  # chunk by chunk, so that input and output are never there in full
        for tensor in last:
            del self._values[tensor]
        self._values.update(zip(node.outputs, made, strict=True))


def together(reference: Any, model: Any, calibration: Calibration, visit: Callable[[Pair], None]) -> Streamed:
    """Shows `visit` each weighted layer that both flat models have by the same name, in the order of `model`.

    `visit` may change the weights of `pair.layer`; the layers behind it are then given what comes of that. A layer
    that is called more than once is not shown. Raises BadInput where there are no samples.
    """
    graphs = graph_of(reference), graph_of(model)
    peak = sum(peak_of_one(graph) for graph in graphs)
    chunks, of = _chunks(calibration, max(1, MEMORY // peak))
    first, second = (Stream(graph, chunks) for graph in graphs)
    known = {node.layer.name: node for node in graphs[0].nodes if _shown(graphs[0], node)}
    for node in graphs[1].nodes:
        if _shown(graphs[1], node) and (other := known.get(node.layer.name)) is not None:
            given = first.value(other.inputs[0]), second.value(node.inputs[0])
            visit(Pair(other.layer, node.layer, *given, _relu_behind(graphs[0], other)))
    samples = sum(len(chunk[0]) for chunk in chunks)
    return Streamed(samples, of, samples * peak)


def peak_of_one(graph: Graph) -> int:
    """The most bytes that the tensors of one sample take at a time."""
    sizes = {tensor: FLOAT * math.prod(size or 1 for size in shape) for tensor, shape in graph.shapes.items()}
    uses = _uses(graph)
    alive = sum(sizes[tensor] for tensor in graph.inputs)
    peak = alive
    for node in graph.nodes:
        for tensor in set(node.inputs):
            uses[tensor] -= 1
        alive += sum(sizes[tensor] for tensor in node.outputs)
        alive -= sum(sizes[tensor] for tensor in set(node.inputs) if not uses[tensor])
        peak = max(peak, alive)
    return peak


def _uses(graph: Graph) -> dict[int, int]:
    """How often each tensor is still to be read; an output of the model once more, so that it stays."""
    return {tensor: len(graph.consumers(tensor)) + (tensor in graph.outputs) for tensor in graph.shapes}


def _relu_behind(graph: Graph, node: Node) -> Any:
    after = graph.only_consumer(node.output)
    return after.layer if after is not None and isinstance(after.layer, keras.layers.ReLU) else None


def _shown(graph: Graph, node: Node) -> bool:
    return isinstance(node.layer, WEIGHTED) and graph.calls(node.layer) == 1


def _chunks(calibration: Calibration, most: int) -> tuple[list[Inputs], int]:
    """At most so many samples, evenly out of all, as arrays [CHUNK or fewer, ...]; and how many there are."""
    given = list(calibration.samples())
    if not given:
        raise BadInput("There are no calibration samples.", "Give some images, or arrays, to calibrate on.")
    places = np.unique(np.linspace(0, len(given) - 1, min(most, len(given))).round().astype(int))
    taken = [given[place] for place in places]
    return [_stacked(taken[i : i + CHUNK]) for i in range(0, len(taken), CHUNK)], len(given)


def _stacked(samples: Iterable[Inputs]) -> Inputs:
    return tuple(np.concatenate(arrays) for arrays in zip(*samples, strict=True))
