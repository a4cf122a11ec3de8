"""The fused kernel must compute what Keras's layer computes."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from edgekit.models.fake_quant import FakeQuantize, QuantizedBatchNormalization, QuantizedConv2D
from edgekit.training.fused_norm import fused_norm
from tests.training import small

tf = pytest.importorskip("tensorflow")
IMAGES = np.random.default_rng(0).normal(0.3, 2, (12, 8, 8, 3)).astype(np.float32)


def step(model: keras.Model) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Outputs, gradients and the weights after a training pass."""
    with tf.GradientTape() as tape:
        outputs = model(IMAGES, training=True)
        loss = tf.reduce_sum(outputs**2)
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    return outputs.numpy(), [g.numpy() for g in gradients], model.get_weights()


def test_same_outputs_gradients_and_statistics() -> None:
    plain, fused = small.model(dropout=0), small.model(dropout=0)
    want = step(plain)
    with fused_norm(fused):
        assert "call" in vars(fused.get_layer("norm"))
        got = step(fused)
    np.testing.assert_allclose(got[0], want[0], atol=1e-5)
    for a, b in zip(got[1] + got[2], want[1] + want[2], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    assert not np.allclose(fused.get_layer("norm").moving_variance, 1)


def test_the_layer_is_as_before_afterwards() -> None:
    model = small.model()
    with pytest.raises(RuntimeError), fused_norm(model):
        raise RuntimeError
    layer = model.get_layer("norm")
    assert "call" not in vars(layer) and type(layer) is keras.layers.BatchNormalization


def test_frozen_statistics_do_not_move() -> None:
    """R2: a layer that is not trainable normalizes with its moving statistics and leaves them alone."""
    model = small.model()
    model.get_layer("norm").trainable = False
    before = model.get_layer("norm").get_weights()
    with fused_norm(model):
        model(IMAGES, training=True)
    for a, b in zip(before, model.get_layer("norm").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_inference_uses_the_moving_statistics() -> None:
    model = small.model()
    want = model(IMAGES, training=False)
    with fused_norm(model):
        np.testing.assert_array_equal(model(IMAGES, training=False), want)


def test_the_normalization_of_a_fake_quantized_model_is_fused_too_and_rounds_its_bias_only_in_inference() -> None:
    def network() -> keras.Model:
        keras.utils.set_random_seed(0)
        image = keras.Input((8, 8, 3))
        x = QuantizedConv2D(4, 3)(FakeQuantize("image")(image))
        return keras.Model(image, QuantizedBatchNormalization(name="norm")(x))

    plain, fused = network(), network()
    want = step(plain)
    with fused_norm(fused):
        got = step(fused)
        inside = np.asarray(fused(IMAGES))
    np.testing.assert_allclose(got[0], want[0], atol=1e-5)
    for a, b in zip(got[2], want[2], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(inside, np.asarray(plain(IMAGES)), atol=1e-4)
