"""The head: found and exchanged in every kind of network that people bring."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers

from edgekit.errors import BadInput
from edgekit.models.head import ends_in_softmax, head_layers, on_logits, with_new_head
from edgekit.models.zoo import build

IMAGES = np.random.default_rng(0).normal(size=(3, 32, 32, 3)).astype(np.float32)


def base() -> keras.Model:
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, strides=4, name="conv")(image)
    return keras.Model(image, layers.ReLU()(layers.BatchNormalization(name="norm")(x)), name="base")


def zoo() -> keras.Model:
    return build("mobilenet_v2", classes=6, input_shape=(32, 32, 3), alpha=0.35, dropout=0.2)


def transfer() -> keras.Model:
    """As the Keras guide has it: a nested base, called for inference."""
    image = keras.Input((32, 32, 3))
    x = layers.Dropout(0.2, name="dropout")(layers.GlobalAveragePooling2D(name="pool")(base()(image, training=False)))
    return keras.Model(image, layers.Dense(6, activation="softmax", name="predictions")(x))


def stacked() -> keras.Model:
    rows = [base(), layers.GlobalAveragePooling2D(), layers.Dense(5, name="hidden"), layers.Dense(6, name="answer")]
    return keras.Sequential([keras.Input((32, 32, 3)), *rows, layers.Softmax(name="softmax")])


def nested_head() -> keras.Model:
    """The classifier sits in a model of its own, behind a layer with weights."""
    features = keras.Input((4,))
    x = layers.Dense(6, name="answer")(layers.Dropout(0.1, name="inner")(layers.Dense(5, name="hidden")(features)))
    head = keras.Model(features, x, name="head")
    image = keras.Input((32, 32, 3))
    return keras.Model(image, head(layers.GlobalAveragePooling2D()(base()(image))))


def flattened() -> keras.Model:
    return keras.Sequential([keras.Input((32, 32, 3)), base(), layers.Flatten(), layers.Dense(6, name="answer")])


def convolutional() -> keras.Model:
    """SqueezeNet's way: a 1x1 convolution to the classes, then the mean over the map."""
    rows = [base(), layers.Conv2D(6, 1, name="answer"), layers.GlobalAveragePooling2D(name="pool")]
    return keras.Sequential([keras.Input((32, 32, 3)), *rows, layers.Activation("softmax", name="softmax")])


KINDS: list[tuple[Callable[[], keras.Model], tuple[str, ...], bool]] = [
    (zoo, ("dropout", "logits"), False),
    (transfer, ("dropout", "predictions"), True),
    (stacked, ("answer", "softmax"), True),
    (nested_head, ("inner", "answer"), False),
    (flattened, ("answer",), False),
    (convolutional, ("answer", "pool", "softmax"), True),
]


def applications() -> list[tuple[Callable[[], keras.Model], tuple[str, ...], bool]]:
    kept = {"weights": None, "classes": 6, "input_shape": (32, 32, 3)}
    v3 = ("dropout", "logits", "flatten", "predictions")
    return [
        (lambda: keras.applications.MobileNetV3Small(**kept, alpha=0.25, include_preprocessing=False), v3, True),
        (lambda: keras.applications.MobileNetV2(**kept, alpha=0.35), ("predictions",), True),
    ]


def digests(model: keras.Model) -> dict[int, bytes]:
    return {id(v): keras.ops.convert_to_numpy(v).tobytes() for v in model.weights}


@pytest.mark.parametrize(("make", "names", "softmax"), KINDS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_new_head(make: Callable[[], keras.Model], names: tuple[str, ...], softmax: bool) -> None:
    """New logits for 4 classes on the very weights of the base; the old model is what it was."""
    old = make()
    before, answers = digests(old), old(IMAGES, training=False)
    assert head_layers(old) == names and ends_in_softmax(old) is softmax
    new = with_new_head(old, 4, dropout=0.3)
    assert new.layers[-1].name == "logits" and new.layers[-1].activation is keras.activations.linear
    assert new.output_shape == (None, 4) and head_layers(new)[-2:] == ("head_dropout", "logits")
    assert not ends_in_softmax(new)
    mine = digests(new)
    head = {id(v) for layer in new.layers[-1:] for v in layer.weights}
    assert mine.items() - before.items() == {(key, mine[key]) for key in head}
    assert np.isfinite(keras.ops.convert_to_numpy(new(IMAGES, training=False))).all()
    np.testing.assert_array_equal(old(IMAGES, training=False), answers)


@pytest.mark.parametrize(("make", "names", "softmax"), applications(), ids=["mobilenet_v3", "mobilenet_v2"])
def test_networks_of_keras(make: Callable[[], keras.Model], names: tuple[str, ...], softmax: bool) -> None:
    old = make()
    found = head_layers(old)
    assert [name.rstrip("_0123456789") for name in found] == list(names) and ends_in_softmax(old) is softmax
    new = with_new_head(old, 4)
    assert new.output_shape == (None, 4)
    assert len(new.weights) == len(old.weights)  # the classifier's two are exchanged, nothing else


@pytest.mark.parametrize(("make", "names", "softmax"), KINDS, ids=lambda value: getattr(value, "__name__", ""))
def test_logits_of_the_same_weights(make: Callable[[], keras.Model], names: tuple[str, ...], softmax: bool) -> None:
    old = make()
    new = on_logits(old)
    assert not ends_in_softmax(new) and (new is old) is not softmax
    logits = keras.ops.convert_to_numpy(new(IMAGES, training=False))
    if softmax:
        logits = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    np.testing.assert_allclose(logits, old(IMAGES, training=False), atol=1e-6)


def test_a_name_that_is_taken_is_not_taken_again() -> None:
    image = keras.Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D(name="logits")(image)
    new = with_new_head(keras.Model(image, layers.Dense(3, name="answer")(x)), 4)
    assert [layer.name for layer in new.layers[1:]] == ["logits", "logits_1"]


def two_outputs() -> keras.Model:
    model = base()
    return keras.Model(model.inputs, [model.output, model.output])


def branches() -> keras.Model:
    image = keras.Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D()(base()(image))
    return keras.Model(image, layers.Concatenate()([layers.Dense(2)(x), layers.Dense(2)(x)]))


class Written(keras.Model):
    def call(self, inputs: object) -> object:
        return inputs


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (base, "shape"),
        (two_outputs, "one input and one output"),
        (branches, "joins branches"),
        (Written, "not a graph of layers"),
        (lambda: keras.Sequential([layers.Dense(3)]), "not a graph of layers"),
    ],
)
def test_what_has_no_place_for_a_head_is_refused(make: Callable[[], keras.Model], why: str) -> None:
    with pytest.raises(BadInput, match=f"no classifier that a head could replace: .*{why}"):
        with_new_head(make(), 4)


def test_one_class_is_refused() -> None:
    with pytest.raises(BadInput, match="at least 2 classes"):
        with_new_head(flattened(), 1)
