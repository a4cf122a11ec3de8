"""What the weights of a kernel have in common, zeros or a few shared values, and keeping it while they are trained.

Keras calls the constraint of a variable behind every step of the optimizer. So zeros stay zeros, and weights that share
a value go on sharing one: its step is the mean of theirs (Han et al. 2016, arXiv:1510.00149, section 3.3). Any training
keeps both, quantization-aware training among it; no layer is exchanged for that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from edgekit.compression.fold import WEIGHTED, is_depthwise
from edgekit.compression.graph import graph_of, matching
from edgekit.compression.step import Note
from edgekit.errors import BadInput
from edgekit.models.fake_quant import ROUNDED

MOST_SHARED = 64  # values; with more of them a kernel shares none
LEAST_WEIGHTS = 16  # for each shared value: small kernels have few values anyway
SAME = 1e-5  # of the largest value of a channel, or of the kernel: nearer ones are one value
LEAST_ZEROS = 0.05  # of the weights: fewer are chance, or one dead channel


@dataclass(frozen=True, eq=False)
class Shared:
    """Which value each weight has: `cluster`, an integer array of the kernel's shape; weight = `values`[cluster] *
    `scale`, float32 that fits the kernel: a factor an output channel, or 1. `fixed`: the values that are not learned.
    """

    cluster: np.ndarray
    values: np.ndarray
    scale: np.ndarray
    fixed: np.ndarray

    def kernel(self) -> np.ndarray:
        return (self.values[self.cluster] * self.scale).astype(np.float32)


class KeepZeros(keras.constraints.Constraint):  # type: ignore[misc]
    """Multiplies with a mask of zeros and ones, which may be assigned anew between two steps."""

    def __init__(self, mask: np.ndarray) -> None:
        self.mask = keras.Variable(np.asarray(mask, np.float32), trainable=False, name="mask")

    def __call__(self, kernel: Any) -> Any:
        return kernel * self.mask


class KeepShared(keras.constraints.Constraint):  # type: ignore[misc]
    """Gives all weights of a cluster the mean of what they have, but for the values that are fixed."""

    def __init__(self, shared: Shared) -> None:
        def held(values: Any, dtype: str = "float32") -> Any:
            return keras.Variable(np.asarray(values), dtype=dtype, trainable=False)

        self._count = len(shared.values)
        self._cluster, self._scale = held(shared.cluster.reshape(-1), "int32"), held(shared.scale)
        self._fixed, self._values = held(shared.fixed, "bool"), held(shared.values)
        self._members = held(np.maximum(np.bincount(shared.cluster.reshape(-1), minlength=self._count), 1))

    def __call__(self, kernel: Any) -> Any:
        ops = keras.ops
        flat = ops.reshape(kernel / self._scale, (-1,))
        means = ops.segment_sum(flat, self._cluster, num_segments=self._count) / self._members
        values = ops.where(self._fixed, self._values, means)
        return ops.reshape(ops.take(values, self._cluster), kernel.shape) * self._scale


def weighted_layers(model: Any) -> list[Any]:
    """The layers of a flat model whose kernels are a Conv2D's, a DepthwiseConv2D's or a Dense's, each once."""
    return [layer for layer in model.layers if isinstance(layer, (*WEIGHTED, *ROUNDED))]


def chosen_layers(
    model: Any, exclude: Collection[str], step: str, done: str, reason: Callable[[Any], str | None], remedy: str
) -> tuple[list[Any], list[Note]]:
    """The weighted layers of a flat model that `step` (prune) works on, and why the others are not `done` (pruned).

    `reason` says why a layer is not, None where it is. Raises BadInput, with the remedy, where none is left, and for a
    name or pattern in `exclude` that fits no layer.
    """
    excluded = {node.layer.name for node in matching(graph_of(model), exclude)}
    layers = weighted_layers(model)
    reasons = {one.name: f"excluded: not {done}" if one.name in excluded else reason(one) for one in layers}
    chosen = [layer for layer in layers if reasons[layer.name] is None]
    if not chosen:
        said = "; ".join(f"{name}: {why}" for name, why in reasons.items()) or "no kernels"
        raise BadInput(f"{model.name} has no layer to {step}: {said}.", remedy)
    return chosen, [Note(name, why) for name, why in reasons.items() if why is not None]


def channel_axes(layer: Any) -> tuple[int, ...]:
    """The axes of a kernel within one output channel."""
    return (0, 1) if is_depthwise(layer) else tuple(range(len(layer.kernel.shape) - 1))


def shared_values(layer: Any) -> Shared | None:
    """The values that the weights share as multiples of the largest of their channel, or as they are; None where they
    share none. A value of 0 is fixed, and so are those of the largest weights of channels."""
    kernel = np.asarray(layer.kernel)
    largest = np.abs(kernel).max(axis=channel_axes(layer), keepdims=True)
    for scale, fixed in ((np.where(largest > 0, largest, 1), (-1, 0, 1)), (np.ones_like(largest), (0,))):
        cluster, values = _clusters(kernel / scale)
        if len(values) <= min(MOST_SHARED, kernel.size // LEAST_WEIGHTS):
            return Shared(cluster.reshape(kernel.shape), values, scale, np.isin(values, fixed))
    return None


def _clusters(units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of each weight's value, flat, and the values: sorted, those nearer than SAME as one."""
    found, inverse = np.unique(units, return_inverse=True)
    starts = np.concatenate([[True], np.diff(found) > SAME * max(1e-30, np.abs(found).max())])
    return (np.cumsum(starts) - 1)[inverse.reshape(-1)], found[starts].astype(np.float32)


def zeros(kernel: np.ndarray) -> np.ndarray:
    """bool: which weights are exactly 0."""
    return np.asarray(kernel) == 0


def sparsity(kernel: np.ndarray) -> float:
    """The share of the weights that are exactly 0."""
    return float(zeros(kernel).mean())


def keep(model: Any) -> tuple[Note, ...]:
    """Sets a constraint on every kernel of a flat model that has a pattern. What was kept, layer by layer.

    A kernel of nothing but zeros has not been pruned but not been trained, and is left free.
    """
    kept = []
    for layer in weighted_layers(model):
        kernel = np.asarray(layer.kernel)
        share = sparsity(kernel)
        if share == 1:
            continue
        if shared := shared_values(layer):
            layer.kernel.constraint = KeepShared(shared)
            kept.append(Note(layer.name, f"keeps its {len(shared.values)} values, {share:.1%} of the weights 0"))
        elif share >= LEAST_ZEROS:
            layer.kernel.constraint = KeepZeros(~zeros(kernel))
            kept.append(Note(layer.name, f"keeps its zeros, {share:.1%} of the weights"))
    return tuple(kept)


@contextlib.contextmanager
def keeping(model: Any) -> Iterator[tuple[Note, ...]]:
    """Within it the patterns of a flat model's kernels are kept; afterwards its constraints are as they were."""
    kernels = [layer.kernel for layer in weighted_layers(model)]
    before = [kernel.constraint for kernel in kernels]
    try:
        yield keep(model)
    finally:
        for kernel, constraint in zip(kernels, before, strict=True):
            kernel.constraint = constraint
