"""The counter against sums done by hand."""

from __future__ import annotations

import keras
import pytest
from keras import layers

from edgekit.errors import BadInput
from edgekit.models.count import count


def test_separable_convolution_costs_what_the_papers_say() -> None:
    """56x56x128 -> 256, kernel 3: 106,373,120 MACs against 924,844,032."""
    for layer, macs in (
        (layers.SeparableConv2D(256, 3, padding="same", use_bias=False), 106_373_120),
        (layers.Conv2D(256, 3, padding="same", use_bias=False), 924_844_032),
    ):
        inputs = keras.Input((56, 56, 128))
        assert count(keras.Model(inputs, layer(inputs))).macs == macs


def test_layers_by_hand() -> None:
    inputs = keras.Input((8, 8, 4))
    x = layers.Conv2D(6, 3, strides=2, padding="same", groups=2, name="grouped")(inputs)
    x = layers.BatchNormalization(name="folded_into_a_bias")(x)
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
    x = layers.BatchNormalization(name="becomes_a_bias")(x)
    x = layers.ReLU()(x)
    x = layers.BatchNormalization(name="alone")(x)
    x = layers.Dense(5, name="dense")(layers.GlobalAveragePooling2D()(x))
    cost = count(keras.Model(inputs, x))
    found = {layer.name: (layer.params, layer.deployed_params, layer.macs) for layer in cost.layers}
    assert found == {
        "grouped": (3 * 3 * 2 * 6 + 6, 3 * 3 * 2 * 6 + 6, 4 * 4 * 3 * 3 * 2 * 6),
        "folded_into_a_bias": (24, 0, 0),
        "depthwise": (54, 54, 4 * 4 * 9 * 6),
        "becomes_a_bias": (24, 6, 0),
        "alone": (24, 12, 0),
        "dense": (35, 35, 30),
    }
    assert cost.final_map == (4, 4)


def test_nested_models_are_counted_through() -> None:
    inner_in = keras.Input((8, 8, 3))
    inner = keras.Model(inner_in, layers.Conv2D(4, 3)(inner_in))
    inputs = keras.Input((8, 8, 3))
    outputs = layers.Dense(2)(layers.GlobalAveragePooling2D()(inner(inputs)))
    cost = count(keras.Model(inputs, outputs))
    assert cost.params == 3 * 9 * 4 + 4 + 4 * 2 + 2
    assert cost.macs == 6 * 6 * 9 * 3 * 4 + 8


def test_an_unknown_layer_with_weights_is_named() -> None:
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, layers.ConvLSTM1D(2, 3, name="odd")(inputs))
    with pytest.raises(BadInput, match="'odd' is a ConvLSTM1D"):
        count(model)


def test_a_layer_used_twice_is_named() -> None:
    inputs = keras.Input((8, 8, 3))
    twice = layers.Conv2D(3, 3, padding="same", name="twice")
    with pytest.raises(BadInput, match="'twice' is used more than once"):
        count(keras.Model(inputs, twice(twice(inputs))))


def test_no_fixed_size_is_refused() -> None:
    inputs = keras.Input((None, None, 3))
    with pytest.raises(BadInput, match="no fixed size"):
        count(keras.Model(inputs, layers.Conv2D(3, 3)(inputs)))
