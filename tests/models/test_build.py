"""`build` and `find`: input sizes, small-input stems, widths, dropout, names, and what is refused."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from edgekit.errors import BadInput
from edgekit.models.count import count
from edgekit.models.mobilenet import rounded_width
from edgekit.models.zoo import ALIASES, ZOO, build, find, stem_strides

SHALLOWEST = [  # of each kind of network
    *("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_small_minimalistic", "mobilenet_v3_large"),
    *("efficientnet_b0", "efficientnet_lite0", "resnet18", "resnet50", "resnet50_v2", "resnet8"),
    *("lenet5", "alexnet", "squeezenet", "three_conv"),
]


def test_weights_round_trip_in_a_whole_model(tmp_path) -> None:
    model = build("mobilenet_v3_small", classes=3, input_shape=(16, 16, 3), alpha=0.25)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    for mine, loaded in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, loaded)


def test_a_shortcut_is_projected_on_a_channel_change_alone() -> None:
    """R3: at stride 1 too, and without a projection where the shape is kept."""
    model = build("resnet20", classes=2, input_shape=(8, 8, 3))  # small stem: the second stage keeps its stride of 1
    projected = [layer.name for layer in model.layers if layer.name.endswith("shortcut_conv")]
    assert projected == ["stage1_block0_shortcut_conv", "stage2_block0_shortcut_conv"]
    assert model.get_layer("stage1_block0_shortcut_conv").strides == (1, 1)


def test_preactivation_has_no_relu_after_the_sum() -> None:
    """R4: what follows a sum is a normalization, another sum, or the subsampling of the next shortcut."""
    model = build("resnet50_v2", classes=2, input_shape=(32, 32, 3))
    after = {
        type(node.operation) for layer in model.layers if layer.name.endswith("_add") for node in layer._outbound_nodes
    }
    assert after == {keras.layers.BatchNormalization, keras.layers.Add, keras.layers.MaxPooling2D}


def test_widths_are_multiples_of_8_and_never_below_90_percent() -> None:
    """R7."""
    for alpha in (0.25, 0.35, 0.5, 0.75, 1.0, 1.3):
        for filters in (16, 24, 32, 64, 96, 160, 320, 512, 1024):
            width = rounded_width(filters, alpha)
            assert width % 8 == 0 and width >= max(8, 0.9 * filters * alpha)


@pytest.mark.parametrize(
    ("size", "strides"),
    [
        ((224, 224), (2, 2, 2, 2, 2)),
        ((65, 65), (2, 2, 2, 2, 2)),
        ((64, 64), (1, 2, 2, 2, 2)),
        ((49, 49), (1, 2, 2, 2, 2)),
        ((32, 32), (1, 1, 2, 2, 2)),
        ((28, 28), (1, 1, 2, 2, 2)),
        ((8, 8), (1, 1, 1, 1, 2)),
        ((32, 100), (1, 1, 2, 2, 2)),
    ],
)
def test_small_inputs_keep_a_4x4_map(size: tuple[int, int], strides: tuple[int, ...]) -> None:
    assert stem_strides(5, *size) == strides


@pytest.mark.parametrize("name", SHALLOWEST)
def test_a_small_input_leaves_a_4x4_map_in_every_family(name: str) -> None:
    """LeNet alone shrinks its map further, by a convolution without padding."""
    with keras.StatelessScope(initialize_variables=False):
        cost = count(build(name, classes=4, input_shape=(32, 32, 3)))
    last = {"resnet8": 8, "lenet5": 5, "three_conv": 8}.get(name, 4)
    assert cost.final_map == (last, last)


@pytest.mark.parametrize("name", SHALLOWEST)
def test_other_input_sizes_work(name: str) -> None:
    """R34: odd and non-square too. All are built, one is run."""
    alpha = 0.25 if ZOO[name].alpha else None
    for size in ((8, 8), (9, 27), (65, 65), (97, 130)):
        with keras.StatelessScope(initialize_variables=False):
            built = build(name, classes=4, input_shape=(*size, 3), alpha=alpha)
        assert built.output_shape == (None, 4) and min(count(built).final_map or (0,)) >= 1
    model = build(name, classes=4, input_shape=(33, 47, 3), alpha=alpha)
    assert model(np.zeros((1, 33, 47, 3), np.float32)).shape == (1, 4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"input_shape": (7, 32, 3)}, "at least 8x8"),
        ({"input_shape": (32, 32)}, "height, width, channels"),
        ({"input_shape": (None, None, 3)}, "height, width, channels"),
        ({"classes": 1}, "at least 2 classes"),
        ({"alpha": 9.0}, "outside"),
        ({"dropout": 1.0}, "not in"),
        ({"name": "resnet8", "alpha": 0.5}, "no width multiplier"),
    ],
)
def test_what_cannot_work_is_refused_with_a_reason(change: dict, said: str) -> None:
    call = {"name": "mobilenet_v2", "classes": 10, "input_shape": (32, 32, 3), **change}
    with pytest.raises(BadInput, match=said):
        build(call.pop("name"), **call)


def test_unknown_names_list_the_known_ones_closest_first() -> None:
    with pytest.raises(BadInput) as caught:
        build("mobilenet_v4", classes=10, input_shape=(32, 32, 3))
    assert "'mobilenet_v4'" in caught.value.fact
    assert caught.value.remedy.startswith("Did you mean 'mobilenet_v")
    assert "resnet8" in caught.value.remedy and "keras:NAME" in caught.value.remedy


def test_aliases() -> None:
    assert {alias: find(alias)[0] for alias in ALIASES} == {
        "mobilenet": "mobilenet_v2",
        "mobilenet_v3": "mobilenet_v3_small",
        "efficientnet": "efficientnet_b0",
        "efficientnet_lite": "efficientnet_lite0",
        "resnet": "resnet8",
    }


@pytest.mark.parametrize("name", [*SHALLOWEST, "keras:VGG16"])
def test_dropout_stands_before_the_last_layer_or_is_refused(name: str) -> None:
    with keras.StatelessScope(initialize_variables=False):
        if name.startswith("keras:"):
            with pytest.raises(BadInput, match="dropout that Keras gives it"):
                build(name, classes=4, input_shape=(32, 32, 3), dropout=0.5)
            return
        model = build(name, classes=4, input_shape=(16, 16, 3), dropout=0.5)
    rates = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert set(rates) == {0.5} and len(rates) == (2 if name == "alexnet" else 1)


def test_dropout_acts_while_training_only() -> None:
    model = build("resnet8", classes=4, input_shape=(16, 16, 3), dropout=0.5)
    images = np.ones((1, 16, 16, 3), np.float32)
    still = [keras.ops.convert_to_numpy(model(images, training=False)) for _ in range(2)]
    np.testing.assert_array_equal(*still)
    assert model.get_layer("dropout").rate == 0.5
