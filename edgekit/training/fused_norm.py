"""Batch normalization by TensorFlow's fused kernel, while training.

Keras 3 computes it on TensorFlow from some ten elementwise ops, forward and backward: half of a training step
of a MobileNet on a CPU, and a third of its tracing. The fused kernel does the same sums. Layers and weights
stay Keras's own.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from edgekit.models.fake_quant import QuantizedBatchNormalization

KINDS = (keras.layers.BatchNormalization, QuantizedBatchNormalization)  # alike by the statistics of the batch


@contextmanager
def fused_norm(model: keras.Model) -> Iterator[None]:
    """Within it, the model's batch normalizations use the fused kernel; on other backends nothing changes."""
    layers = [layer for layer in model._flatten_layers() if _fits(layer)] if _on_tensorflow() else []
    for layer in layers:
        object.__setattr__(layer, "call", types.MethodType(_fused_call, layer))
    try:
        yield
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")


def _on_tensorflow() -> bool:
    return keras.backend.backend() == "tensorflow"


def _fits(layer: Any) -> bool:
    """Plain batch normalization over the last axis of images."""
    if type(layer) not in KINDS or not layer.built:
        return False
    plain = layer.scale and layer.center and not layer.synchronized and not getattr(layer, "renorm", False)
    return plain and layer.input_spec.ndim == 4 and layer.axis in (-1, 3)


def _fused_call(self: Any, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
    """BatchNormalization.call: the same outputs, and the same update of the moving statistics."""
    if not (training and self.trainable) or mask is not None:
        return type(self).call(self, inputs, training=training, mask=mask)
    import tensorflow as tf

    x = tf.cast(inputs, tf.float32)
    y, mean, unbiased = tf.compat.v1.nn.fused_batch_norm(
        x,
        tf.convert_to_tensor(self.gamma),
        tf.convert_to_tensor(self.beta),
        epsilon=self.epsilon,
        is_training=True,
    )
    samples = tf.cast(tf.size(x[..., 0]), tf.float32)
    variance = unbiased * ((samples - 1) / samples)  # the kernel gives the sample variance, Keras keeps the plain one
    self.moving_mean.assign(self.moving_mean * self.momentum + mean * (1 - self.momentum))
    self.moving_variance.assign(self.moving_variance * self.momentum + variance * (1 - self.momentum))
    return tf.cast(y, self.compute_dtype)
