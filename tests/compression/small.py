"""Small real models for the steps: random weights, batch statistics included."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import layers

from edgekit.exporting.convert import Calibration


def randomized(model: Any, seed: int = 0) -> Any:
    """The model with every batch normalization unlike the one before, as after training."""
    generator = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            channels = layer.moving_mean.shape
            layer.moving_mean.assign(generator.normal(0, 0.3, channels))
            layer.moving_variance.assign(generator.uniform(0.3, 2, channels))
            if layer.scale:
                layer.gamma.assign(generator.uniform(0.5, 1.5, channels))
            if layer.center:
                layer.beta.assign(generator.normal(0.2, 0.3, channels))
    return model


def calibration(samples: np.ndarray) -> Calibration:
    """Of a model with one input; float32 [n, ...]."""
    return Calibration(lambda: ((one[None],) for one in samples))
