"""Which channels hang together, and which must stay, with the reason."""

from __future__ import annotations

from typing import Any

import keras
import pytest
from keras import layers

from edgekit.compression.channel_groups import ChannelGraph, channel_groups
from edgekit.compression.quantize_aware import prepare
from edgekit.compression.remove_channels import masked, removed
from edgekit.errors import BadInput
from edgekit.models.zoo import build
from tests.compression.coupled import images, network, some, worst
from tests.compression.small import calibration


def table(found: ChannelGraph) -> dict[str, tuple[int, tuple[str, ...]]]:
    return {group.name: (group.size, group.layers) for group in found.free}


def test_a_residual_stage_is_one_group() -> None:
    found = channel_groups(build("resnet8", classes=10, input_shape=(32, 32, 3)))
    stages = {"stem_conv": 16, "stage1_block0_second_conv": 32, "stage2_block0_second_conv": 64}
    others = {"stem_conv": "stage0_block0_second_conv"}
    expected = {
        name: (size, (name, others.get(name, name.replace("second", "shortcut")))) for name, size in stages.items()
    }
    expected |= {f"stage{i}_block0_first_conv": (16 << i, (f"stage{i}_block0_first_conv",)) for i in range(3)}
    assert {name: (size, tuple(sorted(by))) for name, (size, by) in table(found).items()} == {
        name: (size, tuple(sorted(by))) for name, (size, by) in expected.items()
    }


def test_a_gate_goes_with_what_it_gates() -> None:
    assert table(channel_groups(network("residual"))) == {
        "stem": (8, ("stem", "project")),
        "expand": (16, ("expand", "excite")),
        "squeeze": (4, ("squeeze",)),
        "where": (1, ("where",)),
    }


def test_a_sum_over_a_concatenation_falls_into_its_parts() -> None:
    found = channel_groups(network("concatenated"))
    assert table(found) == {
        "stem": (8, ("stem", "beside")),
        "new0": (6, ("new0", "beside")),
        "new1": (6, ("new1", "beside")),
    }
    total = found.layouts[next(node.output for node in found.graph.nodes if node.layer.name == "sum")]
    assert total.tolist() == [group.first + i for group in found.free for i in range(group.size)]


def test_flattening_repeats_channels_and_reshaping_brings_them_together() -> None:
    found = channel_groups(network("depthwise"))
    assert table(found) == {
        "stem": (6, ("stem",)),
        "apart_pointwise": (10, ("apart_pointwise",)),
        "up": (7, ("up", "mixed")),
    }
    flat = found.layouts[next(node.inputs[0] for node in found.graph.nodes if node.layer.name == "each")]
    assert flat.tolist() == flat[:7].tolist() * 16 and len(set(flat.tolist())) == 7


def test_a_concatenation_over_positions_joins_and_a_channel_may_be_there_twice() -> None:
    image = keras.Input((8, 8, 3))
    x, y = (layers.Conv2D(4, 3, name=name)(image) for name in "ab")
    tall = layers.Concatenate(axis=1)([x, y])
    double = layers.Conv2D(5, 3, name="c")(layers.Concatenate()([tall, tall]))
    found = channel_groups(keras.Model(image, layers.Dense(2)(layers.GlobalMaxPooling2D()(double))))
    assert table(found) == {"a": (4, ("a", "b")), "c": (5, ("c",))}
    keep = some(found)
    assert worst(removed(found, keep), masked(found, keep), images(3, 8)) <= 1e-5


class Own(layers.Layer):
    def call(self, x: Any) -> Any:
        return x[..., ::-1]


def blocked(make: Any) -> dict[str, str]:
    """The reasons in a network of two convolutions with something between."""
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="before")(image)
    x = layers.Conv2D(6, 3, padding="same", name="after")(make(x))
    model = keras.Model(image, layers.Dense(2, name="logits")(layers.GlobalAveragePooling2D()(x)))
    found = channel_groups(model)
    keep = some(found)
    assert worst(removed(found, keep), masked(found, keep), images(3, 8)) <= 1e-5
    assert "after" in table(found)
    return {group.name: group.blocked for group in found.groups if group.blocked and group.name in ("before", "mid")}


def twice(x: Any) -> Any:
    conv = layers.Conv2D(4, 3, padding="same", name="mid")
    return conv(conv(x))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (Own(name="own"), "what own (Own) does with its channels is not known"),
        (layers.LayerNormalization(name="ln"), "what ln (LayerNormalization) does with its channels is not known"),
        (layers.Conv2D(4, 3, groups=2, name="mid"), "mid is a grouped convolution"),
        (layers.Softmax(name="sm"), "what sm (Softmax) does with its channels is not known"),
        (layers.Activation("softmax", name="sm"), "sm (softmax) works across channels"),
        (layers.BatchNormalization(axis=1, name="rows"), "rows normalizes axis 1, not the channels"),
        (layers.Permute((3, 2, 1), name="turn"), "turn moves the channels"),
        (layers.Dropout(0.1, noise_shape=(None, 1, 1, 4), name="drop"), "drop has a noise_shape"),
        (twice, "mid is called more than once"),
        (lambda x: x + keras.ops.mean(x, axis=-1, keepdims=True), "(Mean) does with its channels is not known"),
    ],
)
def test_what_is_not_known_leaves_its_channels_alone_and_says_so(make: Any, why: str) -> None:
    whys = blocked(make)
    assert "before" in whys and all(one.endswith(why) for one in whys.values()), whys


def test_excluded_layers_keep_their_channels_and_with_them_all_that_are_added_to_them() -> None:
    model = network("residual")
    whys = {group.name: group.blocked for group in channel_groups(model, ["project", "ex*te"]).groups if group.blocked}
    assert whys["stem"] == "project is excluded" and whys["expand"] == "excite is excluded"
    with pytest.raises(BadInput, match="Unknown layer 'nothing'"):
        channel_groups(model, ["nothing"])


def test_the_names_stay_when_channels_go() -> None:
    found = channel_groups(network("concatenated"))
    again = channel_groups(removed(found, some(found)))
    assert [(group.name, group.layers) for group in again.groups] == [
        (group.name, group.layers) for group in found.groups
    ]


def test_a_quantized_model_is_refused() -> None:
    quantized = prepare(network("residual"), calibration(images(12))).model
    with pytest.raises(BadInput, match="residual is fake-quantized; channels are removed from float models"):
        channel_groups(quantized)
