"""Small real .tflite files with what is slow: hard-swish and swish in 8 bits, odd channels, other variants of them."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tests import tiny

SIZE = 16


@functools.cache
def path(variant: str, activation: str = "hard_silu", channels: int = 16, batch: int | None = 1) -> Path:
    """float32, int8, dynamic, float16 or int16x8 of: convolution, activation, depthwise, 1x1, mean, dense."""
    file = _folder() / f"{activation}-{channels}-{batch}-{variant}.tflite"
    file.write_bytes(_converted(variant, _model(activation, channels, batch)))
    return file


def _converted(variant: str, model: Any) -> bytes:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if variant == "float32":
        return tiny.converted(converter)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    images = np.random.default_rng(0).uniform(-1, 1, (16, SIZE, SIZE, 3)).astype(np.float32)
    ops = tf.lite.OpsSet
    if variant == "float16":
        converter.target_spec.supported_types = [tf.float16]
    elif variant != "dynamic":
        wide = ops.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.representative_dataset = lambda: ([image[None]] for image in images)
        converter.target_spec.supported_ops = [wide if variant == "int16x8" else ops.TFLITE_BUILTINS_INT8]
    return tiny.converted(converter)


def _model(activation: str, channels: int, batch: int | None) -> Any:
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    image = keras.Input((SIZE, SIZE, 3), batch_size=batch, name="image")
    x = layers.Conv2D(channels, 3, padding="same", name="stem")(image)
    x = layers.Activation(activation, name="stem_act")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="deep")(x)
    x = layers.Activation(activation, name="deep_act")(x)
    x = layers.Conv2D(4 * channels, 1, activation="relu", name="wide")(x)
    return keras.Model(image, layers.Dense(10, name="classes")(layers.GlobalAveragePooling2D()(x)))


@functools.cache
def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="edgekit-slow-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
