"""The rounding of one layer's weights, learned: each goes up or down, whichever is best for the layer's output.

Nagel et al. 2020, arXiv:2004.10568 (AdaRound). Each weight is floor(w / scale) + h(v) with h in 0..1, a stretched
sigmoid; a regularizer that sharpens over time drives h to 0 or 1. Output channels are problems of their own, so each
one's error is in units of what rounding to the nearest costs it a weight: one weight of the regularizer fits all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

BATCH = 256  # positions a step
RATE = 0.03  # Adam's learning rate, of v
PENALTY = 10.0  # weight of the regularizer, against a curvature of about 24 of the error in one weight's h
WARM_UP = 0.2  # of the steps are without it
SHARPNESS = (20.0, 2.0)  # its exponent, first and last
SLICE = 200  # steps in one call of TensorFlow, which cannot be interrupted
SCALES = np.linspace(1.0, 0.35, 53)  # of max|w| / levels, tried
TINY = 1e-12


@dataclass(frozen=True)
class Problem:
    """A layer at P positions: inputs [P, rows] (or [P, rows, channels]), what should come out [P, channels].

    `kernel` is float [rows, channels], `bias` [channels]; `activation` acts on tensors, behind the bias.
    """

    inputs: np.ndarray
    target: np.ndarray
    kernel: np.ndarray
    bias: np.ndarray
    activation: Callable[[Any], Any]

    @property
    def depthwise(self) -> bool:
        return self.inputs.ndim == 3

    def output(self, kernel: np.ndarray) -> np.ndarray:
        """[P, channels] before the activation."""
        inputs = self.inputs
        return (np.einsum("prc,rc->pc", inputs, kernel) if self.depthwise else inputs @ kernel) + self.bias

    def errors(self, kernel: np.ndarray) -> np.ndarray:
        """[channels]: the mean squared error of the output behind the activation."""
        return np.mean((np.asarray(self.activation(self.output(kernel))) - self.target) ** 2, axis=0)


def nearest(kernel: np.ndarray, scale: np.ndarray, levels: int) -> np.ndarray:
    """A kernel [rows, channels] rounded to its grid: integers -levels..levels as float32."""
    return np.clip(np.rint(kernel / scale), -levels, levels).astype(np.float32)


def best_scale(kernel: np.ndarray, power: np.ndarray, levels: int) -> np.ndarray:
    """float32 [channels]: the grid's step, at most max|w| / levels, whose rounding error costs the output least.

    `power` is the mean square of what each weight is multiplied with, [rows, 1] or [rows, channels]. A smaller step
    than the full one clips the largest weights.
    """
    full = np.abs(kernel).max(axis=0) / levels
    full = np.where(full > 0, full, 1).astype(np.float32)
    least, best = np.full(full.shape, np.inf), full
    for part in SCALES:
        scale = (full * part).astype(np.float32)
        cost = ((nearest(kernel, scale, levels) * scale - kernel) ** 2 * power).sum(axis=0)
        best, least = np.where(cost < least, scale, best), np.minimum(cost, least)
    return best


def learn(problem: Problem, scale: np.ndarray, levels: int, iterations: int, seed: int) -> np.ndarray:
    """The kernel's integers [rows, channels], float32 -levels..levels, on the grids `scale` [channels].

    Deterministic by `seed`. In each channel that is not all 0, the largest weight is +-levels: the grid of the result
    is then again max|w| / levels.
    """
    import tensorflow as tf

    ratio = problem.kernel / scale
    floor = np.floor(ratio)
    start = np.clip(ratio - floor, 0.001, 0.999)
    base = _with_largest_fixed(floor, problem.kernel, levels)
    unit = problem.errors(nearest(problem.kernel, scale, levels) * scale) + TINY
    v = tf.Variable(_inverse(start))
    steps = _steps(problem, v, _Grid(base.astype(np.float32), scale, unit, levels), iterations, seed)
    for first in range(0, iterations, SLICE):
        steps(tf.constant(first), tf.constant(min(first + SLICE, iterations)))
    return np.clip(base + (v.numpy() >= 0), -levels, levels).astype(np.float32)


@dataclass(frozen=True)
class _Grid:
    """Down is `base` [rows, channels]; `unit` [channels] is the error that counts as 1."""

    base: np.ndarray
    scale: np.ndarray
    unit: np.ndarray
    levels: int


def _with_largest_fixed(floor: np.ndarray, kernel: np.ndarray, levels: int) -> np.ndarray:
    """The largest weight of a channel gets a floor from which up and down are both clipped to +-levels."""
    fixed, columns = floor.copy(), np.arange(kernel.shape[1])
    largest = np.abs(kernel).argmax(axis=0)
    sign = np.sign(kernel[largest, columns])
    fixed[largest, columns] = np.select([sign > 0, sign < 0], [levels, -levels - 1], floor[largest, columns])
    return fixed


def _inverse(h: np.ndarray) -> np.ndarray:
    """v of h(v) = clip(1.2 * sigmoid(v) - 0.1, 0, 1)"""
    s = (h + 0.1) / 1.2
    return np.log(s / (1 - s)).astype(np.float32)


def _steps(problem: Problem, v: Any, grid: _Grid, iterations: int, seed: int) -> Callable[[Any, Any], None]:
    """A TensorFlow function (first step, last step) that changes `v`: Adam, with gradients written out.

    Automatic ones would take more than twice the time.
    """
    import tensorflow as tf

    inputs, target = tf.constant(problem.inputs), tf.constant(problem.target, tf.float32)
    base, scale, bias = tf.constant(grid.base), tf.constant(grid.scale), tf.constant(problem.bias, tf.float32)
    positions, rows = len(problem.inputs), problem.kernel.shape[0]
    batch, top = min(BATCH, positions), float(grid.levels)
    weight = tf.constant(2 * rows * grid.scale / (batch * grid.unit), tf.float32)
    slope = tf.function(_slope(problem), autograph=False, jit_compile=problem.depthwise)  # fused: half the time
    mean, square = tf.Variable(tf.zeros_like(v)), tf.Variable(tf.zeros_like(v))

    def steps(first, last):  # type: ignore[no-untyped-def]
        for i in tf.range(first, last):
            picked = tf.random.stateless_uniform((batch,), tf.stack([seed, i]), 0, positions, tf.int32)
            s = tf.sigmoid(v)
            h = tf.clip_by_value(1.2 * s - 0.1, 0.0, 1.0)
            kernel = tf.clip_by_value(base + h, -top, top) * scale
            gradient = slope(tf.gather(inputs, picked), tf.gather(target, picked), kernel, bias) * weight
            total = (gradient + _push(h, tf.cast(i, tf.float32) / iterations)) * s * (1 - s)
            total *= tf.cast((h > 0) & (h < 1), tf.float32)
            t = tf.cast(i + 1, tf.float32)
            mean.assign(0.9 * mean + 0.1 * total)
            square.assign(0.999 * square + 0.001 * total * total)
            rate = RATE * tf.sqrt(1 - tf.pow(0.999, t)) / (1 - tf.pow(0.9, t))
            v.assign_sub(rate * mean / (tf.sqrt(square) + TINY))

    number = tf.TensorSpec((), tf.int32)
    return tf.function(steps).get_concrete_function(number, number)


def _push(h: Any, done: Any) -> Any:
    """The gradient of the regularizer 1 - |2h - 1|^sharp, a part `done` of the steps being done; 0 in the warm-up."""
    import tensorflow as tf

    part = (done - WARM_UP) / (1 - WARM_UP)
    sharp = SHARPNESS[0] + (SHARPNESS[1] - SHARPNESS[0]) * part
    side = 2 * h - 1
    return tf.where(part > 0, -2 * PENALTY * sharp, 0.0) * tf.sign(side) * tf.pow(tf.abs(side), sharp - 1)


def _slope(problem: Problem) -> Callable[..., Any]:
    """(inputs, target, kernel, bias) -> half the gradient of the error summed over positions, [rows, channels]."""
    import tensorflow as tf

    def slope(inputs: Any, target: Any, kernel: Any, bias: Any) -> Any:
        z = (tf.reduce_sum(inputs * kernel, 1) if problem.depthwise else inputs @ kernel) + bias
        with tf.GradientTape() as tape:
            tape.watch(z)
            half = 0.5 * tf.reduce_sum((problem.activation(z) - target) ** 2)
        dz = tape.gradient(half, z)
        return tf.reduce_sum(inputs * dz[:, None], 0) if problem.depthwise else tf.matmul(inputs, dz, transpose_a=True)

    return slope
