"""Where in a network two files part: the signal to noise ratio of every tensor that both have, on the same images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.data.images import normalize
from edgekit.errors import BadInput
from edgekit.evaluation.expects import Fed
from edgekit.evaluation.metrics import decibels
from edgekit.runtime import isolate
from edgekit.runtime.flatbuffer import is_constant, op_name, parse, with_outputs
from edgekit.runtime.interpreter import Loaded, open_model
from edgekit.runtime.probe import probe

if TYPE_CHECKING:
    import pandas as pd

IMAGES = 50
SECONDS = 600.0


@dataclass(frozen=True)
class LayerNoise:
    """A tensor of both files. `sqnr_db`: 10 log10(sum x^2 / sum (x - x')^2) over all images, None where nothing
    differs; `lost_db`: how much of the ratio of its noisiest input the operator loses, None where no input is known."""

    tensor: str
    op: str
    sqnr_db: float | None
    lost_db: float | None


@dataclass(frozen=True)
class Layers:
    """`rows` in the order of the network; `unmatched`: tensors of the reference that the other file has not."""

    reference: str
    other: str
    images: int
    rows: tuple[LayerNoise, ...]
    unmatched: int

    @property
    def parting(self) -> LayerNoise | None:
        """The one whose operator loses most."""
        known = [one for one in self.rows if one.lost_db is not None]
        return max(known, key=lambda one: one.lost_db or 0.0, default=None)

    def to_frame(self) -> pd.DataFrame:
        """One row a tensor, in the order of the network: tensor, op, sqnr_db, lost_db."""
        import pandas as pd

        return pd.DataFrame([vars(one) for one in self.rows], columns=["tensor", "op", "sqnr_db", "lost_db"])

    def to_json(self) -> dict[str, Any]:
        rows = [vars(one) for one in self.rows]
        return {"reference": self.reference, "other": self.other, "images": self.images,
                "unmatched": self.unmatched, "rows": rows}  # fmt: skip


def layers(reference: Fed, other: Fed, images: int = IMAGES) -> Layers:
    """Runs the first `images` through both files, with every tensor of the same name (and shape) as an output.

    The converter keeps the names of what it quantizes, so that a float file and the int8 file of the same model match.
    Raises BadInput where not one does.
    """
    for one in (reference, other):
        probe(one.file)
    count = min(images, len(reference.split))
    taken = (replace(one, split=one.split.take(range(count))) for one in (reference, other))
    what = f"{reference.file} beside {other.file}"
    rows, unmatched = isolate.call(_measured, *taken, what=what, timeout=SECONDS)
    return Layers(str(reference.file), str(other.file), count, rows, unmatched)


@dataclass(frozen=True)
class _Graph:
    """The computed tensors of a file's main graph by name, in the order of its operators: index, shape, operator; and
    what each operator takes."""

    model: Any
    indices: Mapping[str, int]
    ops: Mapping[str, str]
    takes: Mapping[str, tuple[str, ...]]


def _measured(reference: Fed, other: Fed) -> tuple[tuple[LayerNoise, ...], int]:
    """In a worker."""
    graphs = [_graph(one.file.read_bytes()) for one in (reference, other)]
    names = [name for name in graphs[0].indices if name in graphs[1].indices]
    names = [name for name in names if len({_shape(graph, name) for graph in graphs}) == 1]
    if not names:
        raise BadInput(
            f"{reference.file} and {other.file} have no tensor of one name: they are not of one model.",
            "Compare files that were exported from the same model.",
        )
    unmatched = len(graphs[0].indices) - len(names)
    opened = [open_model(with_outputs(graph.model, [graph.indices[name] for name in names])) for graph in graphs]
    signal, noise = np.zeros(len(names)), np.zeros(len(names))
    for place in range(len(reference.split)):
        wanted, found = (_run(loaded, one, place) for loaded, one in zip(opened, (reference, other), strict=True))
        signal += [float(np.sum(values.astype(np.float64) ** 2)) for values in wanted]
        noise += [float(np.sum((a.astype(np.float64) - b) ** 2)) for a, b in zip(wanted, found, strict=True)]
    ratios = {name: decibels(s, n) for name, s, n in zip(names, signal, noise, strict=True)}
    return tuple(_row(graphs[0], name, ratios) for name in names), unmatched


def _run(loaded: Loaded, fed: Fed, place: int) -> list[np.ndarray]:
    images = fed.split.read([place])
    return loaded.run(loaded.inputs[0].encode(normalize(images, fed.preprocess)))


def _graph(content: bytes) -> _Graph:
    model = parse(content)
    graph = model.subgraphs[0]
    indices, ops, takes = dict[str, int](), dict[str, str](), dict[str, tuple[str, ...]]()
    for operator in graph.operators:
        inputs = [graph.tensors[int(i)] for i in operator.inputs if i >= 0]
        computed = tuple(_name(one) for one in inputs if not is_constant(model, one))
        for index in map(int, operator.outputs):
            name = _name(graph.tensors[index])
            indices[name], ops[name], takes[name] = index, op_name(model, operator), computed
    return _Graph(model, indices, ops, takes)


def _row(graph: _Graph, name: str, ratios: Mapping[str, float]) -> LayerNoise:
    before = [ratios[one] for one in _known_before(graph, name, ratios)]
    own, lowest = ratios[name], min(before, default=None)
    lost = None if lowest is None or not math.isfinite(lowest - own) else round(lowest - own, 3)
    return LayerNoise(name, graph.ops[name], round(own, 3) if math.isfinite(own) else None, lost)


def _known_before(graph: _Graph, name: str, ratios: Mapping[str, float]) -> Sequence[str]:
    """The nearest tensors that it is computed from whose ratio is known."""
    found, seen, waiting = list[str](), set[str](), list(graph.takes[name])
    while waiting:
        one = waiting.pop()
        if one in ratios:
            found.append(one)
        elif one not in seen:
            seen.add(one)
            waiting += graph.takes.get(one, ())
    return found


def _shape(graph: _Graph, name: str) -> tuple[int, ...]:
    shape = graph.model.subgraphs[0].tensors[graph.indices[name]].shape
    return () if shape is None else tuple(int(size) for size in shape)


def _name(tensor: Any) -> str:
    return str(tensor.name.decode(errors="replace"))
