"""A network without some channels answers as the one in which they are silenced, whatever the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from edgekit.compression.channel_groups import channel_groups
from edgekit.compression.remove_channels import mask, masked, remove, removed
from edgekit.errors import BadInput, UsageError
from edgekit.exporting.convert import convert
from edgekit.exporting.freeze import freeze
from edgekit.models.zoo import ZOO, build
from edgekit.runtime.flatbuffer import op_name, parse
from tests.compression.coupled import BODIES, images, network, some, worst
from tests.compression.small import calibration, randomized

FAMILIES = (
    "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large_minimalistic", "efficientnet_lite0",
    "efficientnet_b0", "resnet18", pytest.param("resnet50_v2", marks=pytest.mark.slow), "resnet8", "lenet5",
    "squeezenet", "three_conv",
)  # fmt: skip


def zoo(name: str, side: int = 32) -> Any:
    alpha = 0.25 if ZOO[name].alpha else None
    return randomized(build(name, classes=10, input_shape=(side, side, 3), alpha=alpha))


@pytest.mark.parametrize("name", FAMILIES)
def test_of_every_family(name: str) -> None:
    """All groups but the classes' can lose channels, and the answer changes when they do."""
    model = zoo(name)
    found = channel_groups(model)
    assert [group.name for group in found.groups if group.blocked and group.layers] == ["logits"]
    keep = some(found)
    smaller, silenced = removed(found, keep), masked(found, keep)
    assert worst(smaller, silenced, images(4, 32)) <= 1e-5
    assert worst(silenced, model, images(4, 32)) > 1e-2
    assert smaller.count_params() < 0.6 * model.count_params()
    names = [layer.name for layer in found.model.layers]
    assert [layer.name for layer in smaller.layers] == names


@pytest.mark.parametrize("body", BODIES)
def test_however_channels_hang_together(body: str) -> None:
    model = network(body)
    found = channel_groups(model)
    for seed in range(3):
        keep = some(found, 0.5, seed)
        assert worst(removed(found, keep), masked(found, keep), images()) <= 1e-5
    assert worst(masked(found, keep), model, images()) > 1e-2
    assert worst(remove(model, {}), model, images()) <= 1e-5, "nothing named, nothing removed"


def test_a_channel_that_is_constant_behind_its_normalization_is_silent_too() -> None:
    """Silencing its filter alone would leave the shift of the normalization to be read."""
    image = keras.Input((8, 8, 3))
    norm = layers.BatchNormalization(name="norm", beta_initializer="ones")
    x = layers.ReLU()(norm(layers.Conv2D(4, 3, name="conv")(image)))
    model = keras.Model(image, layers.Conv2D(2, 1, name="out")(x))
    smaller = remove(model, {"conv": [1, 3]})
    assert worst(smaller, mask(model, {"conv": [1, 3]}), images(4, 8)) <= 1e-5
    weights = {layer.name: layer.get_weights() for layer in smaller.layers}
    np.testing.assert_array_equal(weights["conv"][0], model.get_layer("conv").kernel.numpy()[..., [1, 3]])
    np.testing.assert_array_equal(weights["out"][0], model.get_layer("out").kernel.numpy()[:, :, [1, 3]])


def test_two_inputs_and_two_outputs() -> None:
    one, other = keras.Input((8, 8, 3), name="one"), keras.Input((5,), name="other")
    x = layers.Conv2D(6, 3, name="conv")(one)
    x = layers.Add()([x, layers.Dense(6, name="dense")(other)])
    first = layers.GlobalMaxPooling2D()(layers.Conv2D(4, 3, name="wide")(x))
    second = layers.Dense(2, name="second")(layers.Flatten()(x))
    model = keras.Model([one, other], [first, second])
    found = channel_groups(model)
    assert {group.name: group.layers for group in found.free} == {"conv": ("conv", "dense")}
    given = [images(4, 8), np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)]
    keep = some(found)
    assert worst(removed(found, keep), masked(found, keep), given) <= 1e-5


def test_what_is_left_can_be_saved_loaded_and_exported_as_int8(tmp_path: Path) -> None:
    smaller = remove(zoo("mobilenet_v2"), {"block1_expand_conv": [0, 5, 6, 7]})
    smaller.save(tmp_path / "smaller.keras")
    loaded = keras.saving.load_model(tmp_path / "smaller.keras")
    assert worst(loaded, smaller, images(4, 32)) == 0
    parsed = parse(convert(freeze(loaded, softmax=False), "int8", calibration=calibration(images(20, 32))))
    operators = {op_name(parsed, operator) for operator in parsed.subgraphs[0].operators}
    assert operators <= {"QUANTIZE", "CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MEAN", "FULLY_CONNECTED", "DEQUANTIZE"}


def test_what_cannot_be_kept_like_this_is_refused() -> None:
    model = network("residual")
    with pytest.raises(BadInput, match=r"Unknown group of channels 'stemm'. Did you mean 'stem'\?"):
        remove(model, {"stemm": [0]})
    with pytest.raises(BadInput, match="channels of logits cannot be removed: they are an output of the model"):
        remove(model, {"logits": [0]})
    for places in ([], [8], [-1]):
        with pytest.raises(UsageError, match="stem has 8 channels.*at least one of 0 to 7"):
            mask(model, {"stem": places})
