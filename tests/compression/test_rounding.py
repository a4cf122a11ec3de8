import itertools
from typing import Any

import numpy as np
import pytest
from keras import layers

from edgekit.compression.rounding import Problem, best_scale, learn, nearest

LEVELS = 7


def problem(depthwise: bool, relu: bool, rows: int = 8) -> Problem:
    """Correlated inputs, on which rounding to the nearest is far from best."""
    generator = np.random.default_rng(3)
    shape, common = ((1000, rows, 12), (1000, 1, 12)) if depthwise else ((1000, rows), (1000, 1))
    inputs = (generator.normal(size=shape) + 2 * np.abs(generator.normal(size=common))).astype(np.float32)
    kernel = generator.normal(size=(rows, 12)).astype(np.float32)
    bias, activation = generator.normal(size=12).astype(np.float32), layers.ReLU() if relu else _same
    given = Problem(inputs, np.zeros((1000, 12), np.float32), kernel, bias, activation)
    return Problem(inputs, np.asarray(activation(given.output(kernel))), kernel, bias, activation)


def _same(z: Any) -> Any:
    return z


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("relu", [False, True])
def test_it_comes_near_the_best_of_all_roundings(depthwise: bool, relu: bool) -> None:
    one = problem(depthwise, relu)
    scale = np.abs(one.kernel).max(axis=0) / LEVELS
    floor = np.floor(one.kernel / scale + 1e-5)
    every = itertools.product((0, 1), repeat=8)
    choices = (np.clip(floor + np.reshape(up, (8, 1)), -LEVELS, LEVELS) for up in every)
    best = np.min([one.errors((choice * scale).astype(np.float32)) for choice in choices], axis=0).sum()
    codes = learn(one, scale, LEVELS, 600, seed=0)
    learned, plain = (one.errors(k * scale).sum() for k in (codes, nearest(one.kernel, scale, LEVELS)))
    assert best <= learned < best + 0.2 * (plain - best)
    assert (np.abs(codes).max(axis=0) == LEVELS).all()
    np.testing.assert_array_equal(codes, learn(one, scale, LEVELS, 600, seed=0))


def test_the_largest_weight_stays_on_its_end_of_the_grid_and_a_channel_of_zeros_stays_zero() -> None:
    kernel = np.array([[1.0, -1.0, 0.0], [0.4, 0.4, 0.0]], np.float32)
    scale = best_scale(kernel, np.ones((2, 1)), LEVELS)
    inputs = np.eye(2, dtype=np.float32)
    for target in (-10.0, 10.0):  # however much the output asks for less
        one = Problem(inputs, np.full((2, 3), target, np.float32), kernel, np.zeros(3, np.float32), _same)
        codes = learn(one, scale, LEVELS, 100, seed=0)
        assert codes[0, 0] == LEVELS and codes[0, 1] == -LEVELS


def test_the_best_scale_clips_an_outlier_that_little_comes_in_on() -> None:
    kernel = np.concatenate([np.linspace(-0.5, 0.5, 40), [1.0]])[:, None].astype(np.float32)
    even = best_scale(kernel, np.ones((41, 1)), LEVELS)[0]
    power = np.ones((41, 1))
    power[-1] = 1e-3
    assert best_scale(kernel, power, LEVELS)[0] < even <= np.float32(1 / LEVELS)
    assert best_scale(np.zeros((3, 2), np.float32), np.ones((3, 1)), LEVELS).tolist() == [1, 1]
