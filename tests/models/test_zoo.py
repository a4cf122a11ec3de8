"""Issue 2, Show 4: parameters exactly, MACs within 0.5 %, the final map and the outputs of every model of the zoo."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
import pytest

from edgekit.errors import BadInput
from edgekit.models.catalog import catalog
from edgekit.models.count import count
from edgekit.models.mobilenet import rounded_width
from edgekit.models.zoo import ALIASES, ZOO, build, find, stem_strides


@dataclass(frozen=True)
class Known:
    """A model at a size, and what is known about it: `params` in Keras, `deployed` with normalization folded."""

    name: str
    size: int
    classes: int
    alpha: float | None
    params: int
    deployed: int
    macs: float
    final_map: int


KNOWN = [
    # keras.applications' own counts; MACs from the papers' networks, as in REQUIREMENTS.
    Known("mobilenet_v1", 224, 1000, 1.0, 4_253_864, 4_221_032, 568.7e6, 7),
    Known("mobilenet_v2", 224, 1000, 1.0, 3_538_984, 3_487_816, 300.8e6, 7),
    # MLPerf Tiny's visual wake words and image classification networks.
    Known("mobilenet_v1", 96, 2, 0.25, 219_058, 210_850, 7.49e6, 3),
    Known("resnet8", 32, 10, None, 78_714, 77_706, 12.50e6, 8),
    # He et al. 2015, table 6, has 0.27 M for ResNet-20; ours has two projections more.
    Known("resnet20", 32, 10, None, 274_042, 271_690, 40.8e6, 8),
    # The default job: the small-input stem leaves a 4x4 map.
    Known("mobilenet_v2", 32, 10, 0.35, 423_018, 401_898, 15.61e6, 4),
]


@pytest.mark.parametrize("known", KNOWN, ids=lambda k: f"{k.name}-{k.alpha}-{k.size}")
def test_params_macs_final_map_and_outputs(known: Known) -> None:
    model = build(known.name, classes=known.classes, input_shape=(known.size, known.size, 3), alpha=known.alpha)
    cost = count(model)
    assert cost.params == model.count_params() == known.params
    assert cost.deployed_params == known.deployed
    assert cost.macs == pytest.approx(known.macs, rel=0.005)
    assert cost.final_map == (known.final_map, known.final_map)

    images = np.random.default_rng(0).uniform(-1, 1, (2, known.size, known.size, 3)).astype(np.float32)
    logits = keras.ops.convert_to_numpy(model(images, training=False))
    assert logits.shape == (2, known.classes) and logits.dtype == np.float32
    assert np.isfinite(logits).all() and np.ptp(logits) > 0
    np.testing.assert_allclose(keras.ops.convert_to_numpy(keras.ops.softmax(logits)).sum(1), 1, atol=1e-5)


def test_the_table_of_knowns_covers_the_zoo() -> None:
    assert {known.name for known in KNOWN} == set(ZOO)


@pytest.mark.parametrize(("name", "original"), [("mobilenet_v1", "MobileNet"), ("mobilenet_v2", "MobileNetV2")])
def test_weights_of_keras_applications_fit_and_give_the_same_outputs(name: str, original: str) -> None:
    keras.utils.set_random_seed(1)
    theirs = getattr(keras.applications, original)(
        input_shape=(96, 96, 3), alpha=0.5, weights=None, classes=7, classifier_activation=None
    )
    rng = np.random.default_rng(2)
    for variable in theirs.weights:  # batch statistics as after training
        if variable.name in ("moving_variance", "gamma"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        elif variable.name in ("moving_mean", "beta"):
            variable.assign(rng.normal(0, 0.2, variable.shape))
    ours = build(name, classes=7, input_shape=(96, 96, 3), alpha=0.5)
    weights = [
        w.reshape(v.shape) for w, v in zip(theirs.get_weights(), ours.weights, strict=True)
    ]  # V1's classifier is a 1x1 convolution there
    ours.set_weights(weights)
    images = rng.uniform(-1, 1, (4, 96, 96, 3)).astype(np.float32)
    want, got = (keras.ops.convert_to_numpy(m(images, training=False)).reshape(4, 7) for m in (theirs, ours))
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_weights_round_trip(tmp_path) -> None:
    model = build("resnet8", classes=3, input_shape=(16, 16, 3))
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


@pytest.mark.parametrize("size", [(8, 8), (28, 28), (33, 47), (64, 40), (97, 130)])
@pytest.mark.parametrize("name", list(ZOO))
def test_other_input_sizes_work(name: str, size: tuple[int, int]) -> None:
    """R34: odd and non-square too."""
    alpha = 0.25 if ZOO[name].alpha else None
    model = build(name, classes=4, input_shape=(*size, 3), alpha=alpha)
    assert model(np.zeros((1, *size, 3), np.float32)).shape == (1, 4)


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
    assert caught.value.remedy.startswith("Did you mean 'mobilenet_v") and "resnet8" in caught.value.remedy


def test_aliases() -> None:
    assert {alias: find(alias)[0] for alias in ALIASES} == {"mobilenet": "mobilenet_v2", "resnet": "resnet8"}


def test_dropout_acts_while_training_only() -> None:
    model = build("resnet8", classes=4, input_shape=(16, 16, 3), dropout=0.5)
    images = np.ones((1, 16, 16, 3), np.float32)
    still = [keras.ops.convert_to_numpy(model(images, training=False)) for _ in range(2)]
    np.testing.assert_array_equal(*still)
    assert model.get_layer("dropout").rate == 0.5


def test_catalog_counts_every_row_at_the_size_asked_for() -> None:
    entries = {entry.name: entry for entry in catalog(32, classes=10)}
    assert set(entries) == set(ZOO)
    assert entries["mobilenet_v2"].final_map == (4, 4) and entries["mobilenet_v2"].aliases == ("mobilenet",)
    assert entries["resnet8"].deployed_params == 77_706
