from pathlib import Path

import keras
import numpy as np
from keras import layers

from edgekit.models.fake_quant import (
    FakeQuantize,
    QuantizedBatchNormalization,
    QuantizedConv2D,
    QuantizedDense,
    QuantizedDepthwiseConv2D,
    is_fake_quantized,
    levels,
    on_grid,
    quantizer_of,
    recording,
)


def values(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_activations_are_rounded_to_the_codes_of_the_range_and_the_gradient_passes_within_it() -> None:
    import tensorflow as tf

    layer = FakeQuantize("x")
    x = tf.constant(values(50, 4) * 2)
    layer(x)
    layer.set_range(-1.0, 2.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    step = 3.0 / 255
    codes = np.asarray(y) / step
    np.testing.assert_allclose(codes, np.round(codes), atol=1e-3)
    inside = (np.asarray(x) > -0.99) & (np.asarray(x) < 1.99)
    assert np.abs(np.asarray(y) - np.asarray(x))[inside].max() <= step / 2 + 1e-5
    outside = (np.asarray(x) < -1.02) | (np.asarray(x) > 2.02)
    gradient = np.asarray(tape.gradient(y, x))
    assert np.all(gradient[inside] == 1) and np.all(gradient[outside] == 0) and outside.any()


def test_a_range_always_holds_zero_and_moves_only_in_training_where_it_may() -> None:
    moving, fixed, frozen = FakeQuantize("a"), FakeQuantize("b", fixed=True), FakeQuantize("c")
    frozen.trainable = False
    for layer in (moving, fixed, frozen):
        layer(values(3, 2))
        layer.set_range(1.0, 3.0)
        assert layer.get_range() == (0.0, 3.0)
        layer(np.float32([[-2.0, 5.0]]))
        layer(np.float32([[-2.0, 5.0]]), training=True)
    assert fixed.get_range() == frozen.get_range() == (0.0, 3.0)
    np.testing.assert_allclose(moving.get_range(), (-0.02, 3.02), atol=1e-6)


def test_kernels_are_rounded_a_channel_out_and_biases_in_steps_of_input_times_weight() -> None:
    kinds = {
        QuantizedConv2D(3, 3, name="conv"): (0, 1, 2),
        QuantizedDepthwiseConv2D(3, depth_multiplier=2, name="depth"): (0, 1),
        QuantizedDense(5, weight_bits=4, name="dense"): (0,),
    }
    for layer, axes in kinds.items():
        image = keras.Input((6, 6, 2))
        entry = FakeQuantize("image", name="entry")
        x = entry(image)
        model = keras.Model(image, layer(layers.Flatten()(x) if layer.name == "dense" else x))
        entry.set_range(-1.0, 1.0)
        layer.set_weights([values(*layer.kernel.shape), values(*layer.bias.shape, seed=1)])
        kernel = np.asarray(layer.kernel)
        step = np.abs(kernel).max(axis=axes, keepdims=True) / levels(layer.weight_bits)
        np.testing.assert_allclose(np.asarray(layer.rounded_kernel()), np.round(kernel / step) * step, atol=1e-6)
        bias_step = np.asarray(layer.bias_step())
        np.testing.assert_allclose(bias_step, (step * 2 / 255).reshape(-1), rtol=1e-5)
        zero = np.asarray(model(np.zeros((1, 6, 6, 2), np.float32))).reshape(-1, layer.bias.shape[0])
        np.testing.assert_allclose(zero[0], np.round(np.asarray(layer.bias) / bias_step) * bias_step, atol=1e-6)


def test_a_normalization_rounds_its_shift_and_the_bias_before_it_as_one() -> None:
    image = keras.Input((4, 4, 3))
    entry, conv = FakeQuantize("image"), QuantizedConv2D(3, 1)
    norm = QuantizedBatchNormalization()
    model = keras.Model(image, norm(conv(entry(image))))
    entry.set_range(0.0, 2.55)
    norm.set_weights([np.float32([0.5, -2, 0]), values(3), values(3, seed=1), np.float32([0.3, 1, 2])])
    conv.set_weights([values(1, 1, 3, 3, seed=2), values(3, seed=3)])
    assert conv.normalized
    gamma, beta, mean, variance = (np.asarray(value) for value in norm.get_weights())
    factor = gamma / np.sqrt(variance + norm.epsilon)
    bias = beta + (np.asarray(conv.bias) - mean) * factor
    step = np.maximum(np.asarray(conv.bias_step()) * np.abs(factor), 1e-30)
    got = np.asarray(model(np.zeros((1, 4, 4, 3), np.float32)))[0, 0, 0]
    np.testing.assert_allclose(got, np.round(bias / step) * step, atol=1e-6)
    assert np.abs(got - bias)[:2].min() > 0


def test_average_pooling_gives_codes_of_its_input() -> None:
    image = keras.Input((4, 4, 1))
    entry = FakeQuantize("image", name="entry")
    pooled = layers.AveragePooling2D(2)(entry(image))
    model = keras.Model(image, FakeQuantize("pool", follows=True, name="behind")(pooled))
    pixels = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    entry.set_range(0.0, 255.0)
    np.testing.assert_array_equal(
        np.asarray(model(pixels))[0, :, :, 0], [[2, 4], [10, 12]]
    )  # of 2.5, 4.5, ...: codes -125.5, ...
    assert quantizer_of(model.outputs[0]) is model.get_layer("entry")


def test_while_recording_everything_passes_and_says_its_range() -> None:
    image = keras.Input((4, 4, 3))
    x = QuantizedConv2D(2, 1, weight_bits=4, name="conv")(FakeQuantize("image", name="a")(image))
    model = keras.Model(image, FakeQuantize("conv", weight_bits=4, left_float=True, name="b")(x))
    model.get_layer("b").set_range(-3.0, 4.0)
    plain = keras.Sequential([keras.Input((4, 4, 3)), layers.Conv2D(2, 1)])
    plain.set_weights(model.get_layer("conv").get_weights())
    given = values(2, 4, 4, 3)
    with recording() as taps:
        at_4_bits = np.asarray(model(given))
    conv = plain.layers[0]
    conv.kernel.assign(on_grid(conv.kernel, 4, (0, 1, 2)))
    np.testing.assert_allclose(at_4_bits, np.asarray(plain(given)), atol=1e-6)
    assert [(tap.name, tap.layer, tap.low, tap.high, tap.weight_bits, tap.left_float) for tap in taps] == [
        ("a", "image", -1.0, 1.0, 8, False),
        ("b", "conv", -3.0, 4.0, 4, True),
    ]
    assert np.abs(np.asarray(model(given)) - at_4_bits).max() > 1e-3, "activations are rounded again"


def test_a_saved_model_comes_back_with_its_ranges_and_its_links(tmp_path: Path) -> None:
    image = keras.Input((4, 4, 3))
    x = FakeQuantize("image", fixed=True, name="a")(image)
    x = QuantizedBatchNormalization(name="norm")(QuantizedConv2D(2, 1, weight_bits=4, name="conv")(x))
    model = keras.Model(image, FakeQuantize("conv", weight_bits=4, name="b")(x))
    model.get_layer("b").set_range(-0.7, 0.9)
    model.get_layer("norm").beta.assign(values(2))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    given = values(2, 4, 4, 3)
    np.testing.assert_array_equal(np.asarray(again(given)), np.asarray(model(given)))
    assert again.get_layer("conv").normalized and again.get_layer("conv").bias_step() is not None
    assert is_fake_quantized(again) and not is_fake_quantized(keras.Sequential([keras.Input((2,)), layers.Dense(1)]))
