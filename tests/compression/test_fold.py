import keras
import numpy as np
import pytest
from keras import layers

from edgekit.compression.fold import fold
from edgekit.compression.step import Note
from tests.compression.small import randomized


def norms(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers if isinstance(layer, layers.BatchNormalization)]


def outputs_agree(one: keras.Model, other: keras.Model) -> None:
    x = np.random.default_rng(1).normal(size=(4, *one.input_shape[1:])).astype(np.float32)
    expected = np.asarray(one(x))
    np.testing.assert_allclose(np.asarray(other(x)), expected, atol=1e-5 * max(1, np.abs(expected).max()))


def test_behind_convolution_depthwise_and_dense() -> None:
    image = keras.Input((9, 8, 3))
    x = layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False, name="conv")(image)
    x = layers.ReLU(6.0)(layers.BatchNormalization(name="conv_bn")(x))
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x)
    x = layers.ReLU()(layers.BatchNormalization(scale=False, name="depthwise_bn")(x))
    x = layers.Conv2D(8, 1, groups=4, name="grouped")(x)
    x = layers.BatchNormalization(center=False, epsilon=0.01, name="grouped_bn")(x)
    x = layers.Dense(5, name="dense")(layers.GlobalAveragePooling2D()(x))
    model = randomized(keras.Model(image, layers.BatchNormalization(name="dense_bn")(x)))
    given = model.get_weights()
    step = fold(model)
    assert norms(step.model) == [] and step.skipped == ()
    assert [note.text for note in step.done] == [f"folded into {n}" for n in ("conv", "depthwise", "grouped", "dense")]
    assert step.figures == {"folded": 4, "left": 0}
    outputs_agree(model, step.model)
    for before, after in zip(given, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_what_cannot_be_folded_is_left_and_named() -> None:
    image = keras.Input((8, 8, 4))
    x = layers.BatchNormalization(name="first")(image)
    shared = layers.Conv2D(4, 3, padding="same", name="shared")
    x = layers.BatchNormalization(name="second")(shared(shared(x)))
    y = layers.Conv2D(4, 3, padding="same", activation="relu", name="fused")(x)
    y = layers.BatchNormalization(name="third")(y)
    z = layers.Conv2D(4, 1, name="used_twice")(y)
    x = layers.Add()([z, layers.BatchNormalization(name="fourth")(z), x])
    model = randomized(keras.Model(image, layers.BatchNormalization(axis=1, name="fifth")(layers.Conv2D(2, 1)(x))))
    step = fold(model)
    assert norms(step.model) == ["first", "second", "third", "fourth", "fifth"] and step.done == ()
    assert step.skipped[:2] == (
        Note("first", "stays: it stands behind the input, which has no weights to fold it into"),
        Note("second", "stays: shared or it is called more than once"),
    )
    outputs_agree(model, step.model)


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "resnet18"])
def test_the_zoo(name: str) -> None:
    from edgekit.models.zoo import build

    model = randomized(build(name, classes=5, input_shape=(32, 32, 3)))
    step = fold(model)
    assert norms(step.model) == []
    outputs_agree(model, step.model)
