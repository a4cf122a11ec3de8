"""Bias correction: what quantization shifts the mean of each channel by, taken out of its bias.

Nagel et al. 2019, arXiv:1906.04721, section 4.2, empirically: the means are those of the calibration samples, layer
after layer, each seeing what the corrected layers before it give.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from edgekit.compression.fold import WEIGHTED, fold
from edgekit.compression.graph import Node, clone, graph_of, rebuilt
from edgekit.compression.likeness import likeness
from edgekit.compression.lower import lower
from edgekit.compression.step import Note, Stepped
from edgekit.compression.stream import Pair, together
from edgekit.exporting.calibration import Calibration
from edgekit.models.fake_quant import ROUNDED


def correct_bias(fake_quant_model: Any, float_model: Any, calibration: Calibration) -> Stepped:
    """The fake-quantized model with corrected biases, if that brings it nearer to the float one; else as it was.

    Whether it does is measured on every fifth calibration sample, which the correction does not see where there are ten
    or more. Layers without a bias get one. Raises BadInput: no samples; a model that is no graph of layers.
    """
    reference = with_biases(fold(lower(float_model).model).model)
    model = with_biases(fold(fake_quant_model).model)
    learned, held = split(calibration)
    before = likeness(reference, model, held)
    done: list[Note] = []

    def visit(pair: Pair) -> None:
        if isinstance(pair.layer, ROUNDED):
            shift = _mean(pair.reference, pair.expected) - _mean(pair.layer, pair.given)
            pair.layer.bias.assign(np.asarray(pair.layer.bias) + shift)
            done.append(Note(pair.name, f"shifted by {np.abs(shift).mean():.3g} in the mean over channels"))

    streamed = together(reference, model, learned, visit)
    after = likeness(reference, model, held)
    figures = {"before": before.to_json(), "after": after.to_json(), **streamed.to_json()}
    skipped = _skipped(model, {note.layer for note in done})
    if not after.better_than(before):
        why = f"left as it was: correction does not help, {before.said()} before and {after.said()} after"
        kept = rebuilt(fake_quant_model)
        return Stepped(kept, (), (*skipped, Note(fake_quant_model.name, why)), {**figures, "kept": False})
    return Stepped(model, tuple(done), skipped, {**figures, "kept": True})


def with_biases(model: Any) -> Any:
    """The same model; every layer with weights that has no bias gets one of 0."""

    def call(node: Node, tensors: list[Any]) -> Any:
        layer = node.layer
        if not isinstance(layer, WEIGHTED) or layer.use_bias:
            return None
        new = made.get(id(layer)) or clone(layer, use_bias=True)
        made[id(layer)] = new
        outputs = node.apply(new, tensors)
        new.set_weights([*layer.get_weights(), np.zeros(new.bias.shape, np.float32)])
        return outputs

    made: dict[int, Any] = {}
    return rebuilt(model, call)


def split(calibration: Calibration) -> tuple[Calibration, Calibration]:
    """To learn from, and to measure on: every fifth sample; the same ones where there are fewer than ten."""
    samples = list(calibration.samples())
    held = samples[::5] if len(samples) >= 10 else samples
    seen = [one for place, one in enumerate(samples) if place % 5] if len(samples) >= 10 else samples
    return Calibration(lambda: seen), Calibration(lambda: held)


def _mean(layer: Any, chunks: Any) -> np.ndarray:
    """float64 [channels]: the mean of what a layer gives, over samples and positions."""
    total, count = np.zeros(()), 0
    for chunk in chunks:
        output = keras.ops.convert_to_numpy(layer(chunk))
        values = output.reshape(-1, output.shape[-1])
        total, count = total + values.sum(axis=0, dtype=np.float64), count + len(values)
    return total / count


def _skipped(model: Any, done: set[str]) -> tuple[Note, ...]:
    graph = graph_of(model)
    names = {node.layer.name: node.layer for node in graph.nodes if isinstance(node.layer, WEIGHTED)}
    return tuple(Note(name, _why(graph.calls(layer), layer)) for name, layer in names.items() if name not in done)


def _why(calls: int, layer: Any) -> str:
    if not isinstance(layer, ROUNDED):
        return "not corrected: it stays float"
    return "not corrected: " + ("it is called more than once" if calls > 1 else "the float model has no such layer")
