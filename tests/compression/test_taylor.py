"""Channels ranked by what the loss says of them."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from edgekit.compression.channel_groups import channel_groups
from edgekit.compression.remove_channels import masked
from edgekit.compression.taylor import Evidence, by_taylor, given_evidence
from edgekit.data.arrays import ArrayData
from edgekit.errors import UsageError
from tests.compression.coupled import images, network
from tests.training import small


def loss(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """float64 [n]: cross-entropy."""
    powers = np.exp(logits.astype(np.float64))
    return -np.log(powers[np.arange(len(labels)), labels] / powers.sum(axis=1))


def with_gate(gated: keras.Model, value: float) -> np.ndarray:
    """The logits when what was silenced is there `value` times."""
    for layer in gated.layers:
        if layer.name.endswith("_mask"):
            layer.scale = np.where(np.isin(layer.scale, 1), 1, value).astype(np.float32)
    return np.asarray(gated(images(5)))


@pytest.mark.parametrize("body", ["residual", "concatenated", "depthwise"])
def test_it_is_the_squared_derivative_of_the_loss_by_how_much_of_a_channel_is_there(body: str) -> None:
    found = channel_groups(network(body))
    labels = np.array([0, 1, 2, 3, 0])
    importance = by_taylor(found, Evidence((images(5),), labels))
    assert not importance.relative
    step = 1e-2
    for group in (group for group in found.free if group.size > 1):
        gated = masked(found, {group.name: range(1, group.size)})
        more, less = (loss(with_gate(gated, value), labels) for value in (1 + step, 1 - step))
        expected = float(np.square((more - less) / (2 * step)).mean())
        assert importance.values[group.first] == pytest.approx(expected, rel=0.05, abs=1e-6)


def dead(softmax: bool = False) -> keras.Model:
    """Its second channel is read with weight 0, its third is always 0."""
    keras.utils.set_random_seed(0)
    image = keras.Input((12, 12, 3))
    x = layers.ReLU()(layers.Conv2D(4, 3, name="conv")(image))
    x = layers.Dense(5, name="out", activation="softmax" if softmax else None)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, x)
    read, bias = model.get_layer("out").get_weights()
    read[1] = 0
    model.get_layer("out").set_weights([read, bias])
    model.get_layer("conv").bias.assign([0, 0, -100, 0])
    return model


@pytest.mark.parametrize(
    "evidence",
    [
        Evidence((images(8),), np.arange(8) % 5),
        Evidence((images(8),)),
        Evidence((images(8),), classifier=False),
        Evidence((images(8),), softmax=True),
    ],
    ids=["labels", "own answers", "values", "probabilities"],
)
def test_a_channel_that_nobody_needs_is_worth_nothing_with_labels_or_without(evidence: Evidence) -> None:
    found = channel_groups(dead(evidence.softmax))
    (group,) = found.free
    values = by_taylor(found, evidence).values[group.first : group.first + 4]
    assert values[1] == values[2] == 0 and values[0] > 1e-6 and values[3] > 1e-6
    np.testing.assert_array_equal(values, by_taylor(found, evidence).values[group.first : group.first + 4])


def test_probabilities_say_what_their_logits_say() -> None:
    found, other = channel_groups(dead()), channel_groups(dead(True))
    labels = np.arange(8) % 5
    ours = by_taylor(found, Evidence((images(8),), labels)).values
    theirs = by_taylor(other, Evidence((images(8),), labels, softmax=True)).values
    np.testing.assert_allclose(ours[: found.channels], theirs[: found.channels], rtol=1e-4, atol=1e-9)


def test_evidence_of_what_is_given() -> None:
    digits = small.digits()
    found = given_evidence(small.model(), digits, 0)
    assert found.classifier and found.labels is not None and len(found.inputs[0]) == 96 == len(found.labels)
    assert found.inputs[0].min() >= -1 and found.inputs[0].max() <= 1
    array = images(7)
    held = ArrayData("a", (array,), (array[:2],), "0")
    for given in (array, (array,), held):
        evidence = given_evidence(network("nested"), given, 3)
        assert evidence.inputs[0] is array and evidence.labels is None and not evidence.classifier
    assert given_evidence(dead(softmax=True), array, 0).softmax
    with pytest.raises(UsageError, match="taylor needs samples"):
        given_evidence(small.model(), None, 0)
