from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers, ops

from edgekit.compression.lower import lower
from edgekit.errors import BadInput
from edgekit.models.zoo import build
from tests.compression.small import randomized

SIDE = 32
PLAIN = {
    "Conv2D", "DepthwiseConv2D", "Dense", "BatchNormalization", "ReLU", "Activation", "Add", "Multiply", "Rescaling",
    "Concatenate", "MaxPooling2D", "AveragePooling2D", "GlobalAveragePooling2D", "ZeroPadding2D", "Flatten", "Reshape",
    "Dropout", "InputLayer",
}  # fmt: skip


def images(shape: tuple[int, ...] = (SIDE, SIDE, 3), n: int = 2) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (n, *shape)).astype(np.float32)


def assert_equal(model: keras.Model, flat: keras.Model, given: np.ndarray) -> None:
    """Within 1e-5, or within what the last bit of the input changes, where a network of random weights makes more."""
    before, after = np.asarray(model(given)), np.asarray(flat(given))
    last_bit = np.abs(before - np.asarray(model(given * np.float32(1 + 1e-7)))).max()
    assert np.abs(before - after).max() <= max(1e-5 * max(1.0, np.abs(before).max()), 2 * last_bit)


@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v1",
        "mobilenet_v2",
        "mobilenet_v3_small",
        "efficientnet_b0",
        "efficientnet_lite0",
        "resnet8",
        "lenet5",
    ],
)
def test_networks_of_the_zoo_become_flat_and_plain(name: str) -> None:
    model = randomized(build(name, classes=10, input_shape=(SIDE, SIDE, 3)))
    found = lower(model)
    assert_equal(model, found.model, images())
    assert {type(layer).__name__ for layer in found.model.layers} <= PLAIN
    assert all(getattr(one, "activation", None) is not keras.activations.silu for one in found.model.layers)
    assert found.skipped == ()


@pytest.mark.parametrize("name", ["MobileNetV3Small", "EfficientNetB0", "EfficientNetV2B0"])
def test_networks_of_keras_applications_with_their_preprocessing(name: str) -> None:
    keras.utils.set_random_seed(0)
    network = getattr(keras.applications, name)
    model = network(weights=None, input_shape=(SIDE, SIDE, 3), classes=5, classifier_activation=None)
    for layer in model.layers:  # the statistics of the images: signals neither grow nor fade from block to block
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    model((images(n=32) + 1) * 127.5, training=True)
    found = lower(model)
    assert_equal(model, found.model, (images() + 1) * 127.5)
    assert {type(layer).__name__ for layer in found.model.layers} <= PLAIN
    pools = [one for one in found.model.layers if isinstance(one, layers.GlobalAveragePooling2D)]
    assert all(one.keepdims for one in pools if "se" in one.name), "squeeze and excitation pools to a map of 1x1"
    assert not any(isinstance(one, layers.Reshape) for one in found.model.layers)


def test_nested_and_sequential_models_are_spread_out_and_keep_shared_layers() -> None:
    keras.utils.set_random_seed(0)
    inner = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(4, 3, activation="relu", name="conv"), layers.BatchNormalization()],
        name="inner",
    )
    left, right = keras.Input((8, 8, 3), name="left"), keras.Input((8, 8, 3), name="right")
    x = layers.Concatenate()([inner(left), inner(right)])
    model = keras.Model([left, right], layers.Dense(3, activation="softmax", name="conv")(layers.Flatten()(x)))
    found = lower(model)
    pair = [images((8, 8, 3)), -images((8, 8, 3))]
    np.testing.assert_allclose(np.asarray(found.model(pair)), np.asarray(model(pair)), atol=1e-6)
    names = [layer.name for layer in found.model.layers]
    assert len(names) == len(set(names)) and {"conv", "conv_1", "conv_relu"} <= set(names)
    assert sum(isinstance(layer, layers.Conv2D) for layer in found.model.layers) == 1
    assert [note.layer for note in found.done] == ["inner", "inner"]


OPERATORS: dict[str, Callable[[keras.KerasTensor], keras.KerasTensor]] = {
    "scale and shift": lambda x: x / 127.5 - 1.0,
    "shift from the left": lambda x: 1.0 - x,
    "a number a channel": lambda x: x * np.float32([1, 2, 3]) + np.float32([[[1, 0, -1]]]),
    "gate": lambda x: x * ops.relu6(x + 3.0) * (1.0 / 6.0),
    "swish": lambda x: ops.silu(x),
    "hard sigmoid": lambda x: ops.hard_sigmoid(x) + ops.sigmoid(x) - ops.tanh(x),
    "mean": lambda x: ops.mean(x, axis=(1, 2), keepdims=True) * x,
    "largest": lambda x: ops.max(x, axis=[1, 2]),
    "reshape": lambda x: ops.reshape(x, (-1, SIDE * SIDE, 3)),
    "concatenate and pad": lambda x: ops.pad(ops.concatenate([x, -x], axis=-1), [[0, 0], [1, 0], [0, 2], [0, 0]]),
    "clip": lambda x: ops.clip(x, 0.0, 0.5) + ops.relu(x),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_become_layers(name: str) -> None:
    image = keras.Input((SIDE, SIDE, 3))
    model = keras.Model(image, OPERATORS[name](image))
    found = lower(model)
    assert_equal(model, found.model, images())
    assert {type(layer).__name__ for layer in found.model.layers} <= {*PLAIN, "Subtract", "GlobalMaxPooling2D"}
    assert found.skipped == ()


def test_separable_convolutions_and_activations_within_layers() -> None:
    keras.utils.set_random_seed(0)
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.SeparableConv2D(8, 3, strides=2, padding="same", depth_multiplier=2, activation="swish", name="sep")(
        image
    )
    x = layers.Average()([x, layers.Conv2D(8, 1, activation="hard_sigmoid")(x)])
    x = layers.DepthwiseConv2D(3, activation="relu6")(x)
    model = keras.Model(image, layers.Dense(4, activation="gelu")(layers.Flatten()(x)))
    found = lower(model)
    assert_equal(model, found.model, images())
    names = {layer.name for layer in found.model.layers}
    assert {"sep_depthwise", "sep_pointwise"} <= names and found.skipped == ()


@keras.saving.register_keras_serializable("tests")
class Doubled(layers.Layer):
    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return x * 2


class Closed(layers.Layer):
    def __init__(self, factor: float) -> None:
        super().__init__(name="closed")
        self.factor = factor

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return x * self.factor


def test_what_is_not_known_stays_and_is_named() -> None:
    image = keras.Input((SIDE, SIDE, 3))
    model = keras.Model(image, ops.sqrt(ops.abs(Doubled(name="own")(image))))
    found = lower(model)
    assert_equal(model, found.model, images())
    assert [note.layer for note in found.skipped] == ["own", "absolute", "sqrt"]
    assert all("left as it is" in note.text for note in found.skipped)


def test_a_layer_that_cannot_be_copied_is_named() -> None:
    image = keras.Input((SIDE, SIDE, 3))
    with pytest.raises(BadInput, match="'closed' \\(Closed\\) cannot be copied"):
        lower(keras.Model(image, Closed(2.0)(image)))
