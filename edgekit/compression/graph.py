"""A functional Keras model as a graph of calls, and a new model made from one by exchanging layers."""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from edgekit.errors import unknown
from edgekit.models.head import move_weights


@dataclass(frozen=True)
class Node:
    """One call of a layer, on the tensors numbered `inputs`; `output` is the first of `outputs`, mostly the only one.

    `arguments` are Keras's own of the call: which argument each tensor is, and what else was given.
    """

    layer: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    arguments: Any

    @property
    def output(self) -> int:
        return self.outputs[0]

    def apply(self, layer: Any, tensors: Sequence[Any]) -> Any:
        """Calls `layer` as this node's was called, on other tensors."""
        return called(layer, self.arguments, dict(zip(map(id, self.arguments.keras_tensors), tensors, strict=True)))


@dataclass(frozen=True)
class Graph:
    """The nodes in an order in which they can run; tensors are numbers. `shapes` are without the batch."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    nodes: tuple[Node, ...]
    shapes: Mapping[int, tuple[int | None, ...]]

    def producer(self, tensor: int) -> Node | None:
        """The node that computes a tensor; None for an input."""
        return self._producers.get(tensor)

    def consumers(self, tensor: int) -> tuple[Node, ...]:
        """The nodes that take a tensor. That it is also an output of the model is not among them: see `outputs`."""
        return self._consumers.get(tensor, ())

    def only_consumer(self, tensor: int) -> Node | None:
        """The one node that takes a tensor which is nobody else's, and no output of the model either."""
        found = self.consumers(tensor)
        return found[0] if len(found) == 1 and tensor not in self.outputs else None

    def calls(self, layer: Any) -> int:
        """How many times a layer is called: its weights are shared where it is more than once."""
        return sum(node.layer is layer for node in self.nodes)

    @functools.cached_property
    def _producers(self) -> dict[int, Node]:
        return {output: node for node in self.nodes for output in node.outputs}

    @functools.cached_property
    def _consumers(self) -> dict[int, tuple[Node, ...]]:
        found: dict[int, tuple[Node, ...]] = {}
        for node in self.nodes:
            for tensor in dict.fromkeys(node.inputs):
                found[tensor] = (*found.get(tensor, ()), node)
        return found


def graph_of(model: Any) -> Graph:
    """The graph of a functional or sequential model; a model nested in it is one node."""
    numbers: dict[int, int] = {}
    shapes: dict[int, tuple[int | None, ...]] = {}

    def numbered(tensors: Sequence[Any]) -> tuple[int, ...]:
        for tensor in tensors:
            shapes[numbers.setdefault(id(tensor), len(numbers))] = tuple(tensor.shape[1:])
        return tuple(numbers[id(tensor)] for tensor in tensors)

    inputs = numbered(model.inputs)
    nodes = tuple(
        Node(node.operation, numbered(node.arguments.keras_tensors), numbered(node.outputs), node.arguments)
        for node in keras_nodes(model)
    )
    return Graph(inputs, numbered(model.outputs), nodes, shapes)


def keras_nodes(model: Any) -> Iterator[Any]:
    """Keras's own nodes of a model's graph, in an order in which they can run, those of its inputs left out."""
    by_depth = getattr(model, "_functional", model)._nodes_by_depth  # a Sequential has its graph inside
    for depth in sorted(by_depth, reverse=True):
        yield from (node for node in by_depth[depth] if node.operation and not node.is_input)


def matching(graph: Graph, patterns: Collection[str]) -> list[Node]:
    """The nodes whose names a pattern fits. Raises BadInput for one that fits none."""
    names = [node.layer.name for node in graph.nodes]
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise unknown("layer", pattern, names)
    return [node for node in graph.nodes if any(fnmatch.fnmatch(node.layer.name, one) for one in patterns)]


def called(layer: Any, arguments: Any, tensors: Mapping[int, Any]) -> Any:
    """Calls a layer with Keras's arguments of another call, its tensors (by id) exchanged."""
    args, kwargs = arguments.fill_in(tensors)
    return layer(*args, **kwargs)


def clone(layer: Any, **changes: Any) -> Any:
    """A new layer of the same kind, not yet built, with `changes` in its configuration. Operators have no state."""
    if not isinstance(layer, keras.layers.Layer):
        return layer
    return type(layer).from_config({**layer.get_config(), **changes})


def rebuilt(
    model: Any,
    call: Callable[[Node, list[Any]], Any] | None = None,
    *,
    enter: Callable[[Any, int], Any] | None = None,
    name: str | None = None,
) -> Any:
    """A new functional model: for each node `call` gives the new tensors, or None for a copy of the layer.

    The copies have the weights of the originals. A layer that is called several times is copied once. The input tensors
    are new too; `enter` gives what stands for one, from it and its number.
    """
    graph = graph_of(model)
    fresh = [keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=tensor.name) for tensor in model.inputs]
    entered = fresh if enter is None else [enter(*pair) for pair in zip(fresh, graph.inputs, strict=True)]
    values: dict[int, Any] = dict(zip(graph.inputs, entered, strict=True))
    copied: dict[int, Any] = {}
    for node in graph.nodes:
        taken = [values[number] for number in node.inputs]
        made = None if call is None else call(node, taken)
        if made is None:
            made = _copied(node, taken, copied)
        values.update(zip(node.outputs, keras.tree.flatten(made), strict=True))
    outputs = [values[number] for number in graph.outputs]
    return keras.Model(fresh, outputs[0] if len(outputs) == 1 else outputs, name=name or model.name)


def _copied(node: Node, tensors: list[Any], copied: dict[int, Any]) -> Any:
    known = copied.get(id(node.layer))
    layer = copied[id(node.layer)] = clone(node.layer) if known is None else known
    made = node.apply(layer, tensors)
    if known is None:
        move_weights(node.layer, layer)
    return made
