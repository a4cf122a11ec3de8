"""Channels ranked by their weights and by their normalization."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from edgekit.compression.channel_groups import ChannelGraph, Group, channel_groups
from edgekit.compression.importance import Importance, by_bn, by_l1
from tests.compression.coupled import network


def group(found: ChannelGraph, name: str) -> Group:
    return next(one for one in found.groups if one.name == name)


def of(found: ChannelGraph, importance: Importance, name: str) -> np.ndarray:
    one = group(found, name)
    return importance.values[one.first : one.first + one.size]


def sums(kernel: np.ndarray) -> np.ndarray:
    values = np.abs(kernel).reshape(-1, kernel.shape[-1]).sum(axis=0, dtype=np.float64)
    return np.asarray(values / values.mean())


def test_l1_is_summed_over_the_layers_that_compute_a_channel_each_by_its_mean() -> None:
    model = network("residual")
    model.get_layer("excite").kernel.assign(100 * model.get_layer("excite").kernel)
    found = channel_groups(model)
    expected = sum(sums(model.get_layer(name).kernel.numpy()) for name in ("expand", "excite"))
    np.testing.assert_allclose(of(found, by_l1(found), "expand"), expected, rtol=1e-6)
    assert by_l1(found).relative


def test_l1_of_a_transposed_convolution_goes_by_its_filters() -> None:
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, layers.Conv2D(2, 1)(layers.Conv2DTranspose(5, 2, name="up")(image)))
    found = channel_groups(model)
    kernel = np.moveaxis(model.get_layer("up").kernel.numpy(), 2, 3)
    np.testing.assert_allclose(of(found, by_l1(found), "up"), sums(kernel), rtol=1e-6)


def test_bn_is_the_scale_and_l1_where_there_is_none() -> None:
    model = network("residual")
    found = channel_groups(model)
    importance = by_bn(found)
    gamma = np.abs(model.get_layer("expand_bn").gamma.numpy().astype(np.float64))
    np.testing.assert_allclose(of(found, importance, "expand"), gamma / gamma.mean(), rtol=1e-6)
    np.testing.assert_allclose(of(found, importance, "squeeze"), sums(model.get_layer("squeeze").kernel.numpy()))
    assert {note.layer for note in importance.notes} == {"squeeze", "where"}
    assert all("ranked by l1" in note.text for note in importance.notes)


def test_bn_of_channels_that_go_through_several_normalizations_is_their_sum() -> None:
    model = network("concatenated")
    found = channel_groups(model)
    first, second = (np.abs(model.get_layer(f"norm{i}").gamma.numpy().astype(np.float64)) for i in range(2))
    expected = first / first.mean() + (second / second.mean())[:8]
    np.testing.assert_allclose(of(found, by_bn(found), "stem"), expected, rtol=1e-6)
    assert [note.layer for note in by_bn(found).notes] == ["new1"]
