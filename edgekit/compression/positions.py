"""A weighted layer at some of its output positions, as a matrix product: what its rounding is learned on.

At P positions a Conv2D or a Dense is [P, rows] @ [rows, channels], a DepthwiseConv2D the sum over the rows of
[P, rows, channels] * [rows, channels]; rows are the weights of an output channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import layers

from edgekit.compression.fold import is_depthwise, kernel_2d

MOST = 4096  # positions
VALUES = 1 << 25  # of all inputs at the positions of one layer, so that they take 128 MB


def draw(layer: Any, chunks: Sequence[Any], generator: np.random.Generator) -> np.ndarray:
    """int [P, 3], sorted: sample, row and column of output positions, drawn without repetition."""
    samples = sum(len(chunk) for chunk in chunks)
    height, width = _map_size(layer, chunks[0].shape)
    rows, channels = kernel_2d(layer, np.asarray(layer.kernel)).shape
    most = min(MOST, VALUES // (rows * channels if is_depthwise(layer) else rows))
    total = samples * height * width
    flat = np.sort(generator.choice(total, size=min(total, max(1, most)), replace=False))
    return np.stack(np.unravel_index(flat, (samples, height, width)), axis=1)


def inputs_at(layer: Any, chunks: Sequence[Any], positions: np.ndarray) -> np.ndarray:
    """float32 [P, rows], or [P, rows, channels] for a depthwise layer: what the layer multiplies with its kernel."""
    found, start = [], 0
    for chunk in chunks:
        here = (positions[:, 0] >= start) & (positions[:, 0] < start + len(chunk))
        found.append(_gathered(layer, np.asarray(chunk), positions[here] - (start, 0, 0)))
        start += len(chunk)
    return np.concatenate(found)


def product(layer: Any, inputs: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """[P, channels]: what the layer makes of `inputs_at` with a kernel [rows, channels], without its bias."""
    return np.einsum("prc,rc->pc", inputs, kernel) if is_depthwise(layer) else inputs @ kernel


def _map_size(layer: Any, shape: Sequence[int]) -> tuple[int, int]:
    """Height and width of the output; a Dense has its vectors in a column."""
    if isinstance(layer, layers.Dense):
        return int(np.prod(shape[1:-1])), 1
    _, height, width, _ = layer.compute_output_shape(tuple(shape))
    return int(height), int(width)


def _gathered(layer: Any, values: np.ndarray, positions: np.ndarray) -> np.ndarray:
    sample, row, column = positions.T
    if isinstance(layer, layers.Dense):
        return values.reshape(len(values), -1, values.shape[-1])[sample, row]
    y, inside_y = _window(layer, 0, row, values.shape[1])
    x, inside_x = _window(layer, 1, column, values.shape[2])
    taken = values[sample[:, None, None], y[:, :, None], x[:, None, :]]  # [P, kernel height, kernel width, in]
    if not (inside_y.all() and inside_x.all()):
        taken *= (inside_y[:, :, None] & inside_x[:, None, :])[..., None]
    if is_depthwise(layer):
        windows = taken.reshape(len(taken), -1, taken.shape[-1])
        return np.repeat(windows, layer.depth_multiplier, axis=-1) if layer.depth_multiplier > 1 else windows
    return taken.reshape(len(taken), -1)


def _window(layer: Any, axis: int, place: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """[P, kernel]: the rows (or columns) under the kernel at output rows `place`, and which are not padding."""
    kernel, stride, step = layer.kernel_size[axis], layer.strides[axis], layer.dilation_rate[axis]
    reach = (kernel - 1) * step + 1
    outputs = -(-size // stride)
    before = max((outputs - 1) * stride + reach - size, 0) // 2 if layer.padding == "same" else 0
    under = place[:, None] * stride - before + np.arange(kernel) * step
    return under.clip(0, size - 1), (under >= 0) & (under < size)
