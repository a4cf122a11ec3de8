"""Grad-CAM against maps that are known, and against gradients by finite differences."""

import numpy as np
import pytest

from edgekit.compression.quantize_aware import prepare
from edgekit.errors import BadInput
from edgekit.exporting.calibration import Calibration
from edgekit.grad_cam import feature_map, grad_cam, prepared
from edgekit.models.backend import import_keras

keras = import_keras("Testing")
layers = keras.layers


def colours(*tail):
    """Class 0 is red, class 1 blue: one channel of features each, averaged, so that the map is the colour's own."""
    image = keras.Input((4, 4, 3))
    x = layers.Conv2D(2, 1, use_bias=False, activation="relu", name="features")(image)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(2, use_bias=False, name="classes")(x)
    for layer in tail:
        x = layer(x)
    model = keras.Model(image, x, name="colours")
    model.get_layer("features").set_weights([np.array([[1, 0], [0, 0], [0, 1]], np.float32).reshape(1, 1, 3, 2)])
    model.get_layer("classes").set_weights([np.array([[3, -1], [-1, 3]], np.float32)])
    return model


def corners():
    """A red upper left corner, half as red beside it, and a blue lower right one: float32 [1, 4, 4, 3]."""
    picture = np.zeros((1, 4, 4, 3), np.float32)
    picture[0, 0, 0, 0], picture[0, 0, 1, 0], picture[0, 3, 3, 2] = 1.0, 0.5, 1.0
    return picture


@pytest.mark.parametrize("tail", [(), (layers.Softmax(),)], ids=["logits", "softmax"])
def test_each_class_is_where_its_colour_is(tail):
    maps, scores = grad_cam(prepared(colours(*tail)), np.repeat(corners(), 2, axis=0), [0, 1])
    red, blue = np.zeros((2, 4, 4))
    red[0, 0], red[0, 1], blue[3, 3] = 1.0, 0.5, 1.0
    np.testing.assert_allclose(maps, [red, blue], atol=1e-6)
    assert scores.argmax(axis=1).tolist() == [0, 0]


def test_nothing_speaks_for_a_class_that_is_not_there():
    picture = corners() * np.array([1, 1, 0], np.float32)
    maps, _ = grad_cam(prepared(colours()), picture, [1])
    assert not maps.any()


def test_one_score_tells_two_classes():
    both = colours()
    score = layers.Dense(1, use_bias=False, activation="sigmoid", name="second")(both.outputs[0])
    model = keras.Model(both.inputs, score)
    model.get_layer("second").set_weights([np.array([[-1], [1]], np.float32)])
    maps, scores = grad_cam(prepared(model), np.repeat(corners(), 2, axis=0), [0, 1])
    assert [np.unravel_index(one.argmax(), one.shape) for one in maps] == [(0, 0), (3, 3)] and scores.shape == (2, 1)


def network():
    """A tail that is not linear, behind maps that are pooled."""
    keras.utils.set_random_seed(3)
    image = keras.Input((10, 8, 3))
    x = layers.Conv2D(5, 3, padding="same", name="conv")(image)
    x = layers.Activation("relu", name="map")(layers.BatchNormalization()(x))
    x = layers.Dropout(0.5)(layers.AveragePooling2D(2)(x))
    x = layers.Dense(7, activation="tanh")(layers.Flatten()(x))
    return keras.Model(image, layers.Dense(4)(x), name="network")


def test_the_gradients_are_those_of_finite_differences():
    model = prepared(network())
    pictures = np.random.default_rng(0).normal(size=(2, 10, 8, 3)).astype(np.float32)
    wanted = [2, 0]
    found, _ = grad_cam(model, pictures, wanted)
    head, tail = _cut(model)
    for place, picture in enumerate(pictures):
        features = head(picture[None]).numpy()
        step = 1e-2
        moved = np.repeat(features, features.size, axis=0).reshape(features.size, -1)
        up, down = moved + step * np.eye(features.size), moved - step * np.eye(features.size)
        scores = [np.asarray(tail(one.reshape(-1, *features.shape[1:]).astype(np.float32))) for one in (up, down)]
        gradient = ((scores[0] - scores[1])[:, wanted[place]] / (2 * step)).reshape(features.shape[1:])
        expected = np.maximum((features[0] * gradient.mean(axis=(0, 1))).sum(axis=-1), 0)
        np.testing.assert_allclose(found[place], expected / expected.max(), atol=0.01)


def _cut(model):
    """The model up to its map, and from there on."""
    end = feature_map(model)
    taken = keras.Input(end.shape[1:])
    x, behind = taken, False
    for layer in model.layers:
        x = layer(x) if behind else x
        behind = behind or layer.output is end
    return keras.Model(model.inputs, end), keras.Model(taken, x)


def test_the_map_is_behind_the_last_convolutions_activation():
    assert feature_map(prepared(network())).shape[1:] == (10, 8, 5)
    inner = network()
    nested = keras.Sequential([keras.Input((10, 8, 3)), inner, layers.Dense(2)], name="nested")
    assert feature_map(prepared(nested)).shape[1:] == (10, 8, 5)


def test_a_twin_looks_where_its_float_model_looks():
    model = prepared(network())
    pictures = np.random.default_rng(1).normal(size=(20, 10, 8, 3)).astype(np.float32)
    twin = prepare(model, Calibration(lambda: [(one[None],) for one in pictures])).model
    assert prepared(twin) is twin
    found = [grad_cam(one, pictures[:3], [0, 1, 2])[0] for one in (model, twin)]
    assert 0 < np.abs(found[0] - found[1]).max() < 0.2


def test_what_has_no_map_is_said_in_one_sentence():
    flat = keras.Sequential([keras.Input((4, 4, 3)), layers.Flatten(), layers.Dense(2)], name="flat")
    with pytest.raises(BadInput, match="^flat has no convolutional feature map larger than one position"):
        grad_cam(prepared(flat), corners(), [0])
    with pytest.raises(BadInput, match="is not a graph of layers"):
        prepared(object())
