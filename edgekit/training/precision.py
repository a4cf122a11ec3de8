"""Mixed precision for the time of training: computing in bfloat16, weights kept in float32."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import keras

from edgekit.errors import EdgekitWarning


@contextmanager
def mixed_precision(model: keras.Model, wanted: bool) -> Iterator[None]:
    """Within it the model computes in bfloat16, all but its last layer; afterwards it is as it was.

    bfloat16 has the range of float32, so that no loss scaling is needed. Warns, and stays in float32, where
    there is no accelerator: on a CPU it is slower.
    """
    if wanted and not has_accelerator():
        sentence = "Mixed precision needs an accelerator; this machine trains in float32."
        warnings.warn(sentence, EdgekitWarning, stacklevel=4)
        wanted = False
    if not wanted:
        yield
        return
    with bfloat16(model):
        yield


@contextmanager
def bfloat16(model: keras.Model) -> Iterator[None]:
    """Sets the policy of every layer but the last, and sets it back."""
    layers = list(model._flatten_layers(include_self=False))[:-1]
    before = [layer.dtype_policy for layer in layers]
    for layer in layers:
        layer.dtype_policy = keras.dtype_policies.DTypePolicy("mixed_bfloat16")
    try:
        yield
    finally:
        for layer, policy in zip(layers, before, strict=True):
            layer.dtype_policy = policy


def has_accelerator() -> bool:
    """Whether the Keras backend in use sees a GPU or TPU."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU") or tf.config.list_physical_devices("TPU"))
    if backend == "jax":
        import jax  # type: ignore[import-not-found]

        return str(jax.default_backend()) != "cpu"
    import torch  # type: ignore[import-not-found]

    return bool(torch.cuda.is_available())
