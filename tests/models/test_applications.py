"""keras.applications: the zoo's rows take its weights and give its outputs; keras:NAME is the rest of it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest

from edgekit.errors import BadInput
from edgekit.models import applications
from edgekit.models.applications import OURS, THEIRS
from edgekit.models.count import count
from edgekit.models.zoo import ZOO, build, find
from edgekit.preprocess import preset

CLASSES = 5


@dataclass(frozen=True)
class Pair:
    """A row of the zoo and what keras.applications calls it, at a size in px; `options` are Keras's."""

    name: str
    original: str
    size: int
    alpha: float | None = None
    options: tuple[tuple[str, object], ...] = ()


V3 = (("include_preprocessing", False), ("dropout_rate", 0))
MINIMALISTIC = (*V3, ("minimalistic", True))
PAIRS = [
    Pair("mobilenet_v1", "MobileNet", 96, 0.5),
    Pair("mobilenet_v2", "MobileNetV2", 96, 0.5),
    Pair("mobilenet_v2", "MobileNetV2", 80, 1.3),
    Pair("mobilenet_v3_small", "MobileNetV3Small", 224, None, V3),
    Pair("mobilenet_v3_small", "MobileNetV3Small", 97, 0.75, V3),
    Pair("mobilenet_v3_small_minimalistic", "MobileNetV3Small", 96, None, MINIMALISTIC),
    Pair("mobilenet_v3_large", "MobileNetV3Large", 96, 1.25, V3),
    Pair("mobilenet_v3_large_minimalistic", "MobileNetV3Large", 96, None, MINIMALISTIC),
    # Maps with odd sides, where padding before a stride of 2 differs: 97, 49, 25 and 7; 15 at B1's published size.
    Pair("efficientnet_b0", "EfficientNetB0", 97),
    Pair("efficientnet_b1", "EfficientNetB1", 240),
    Pair("resnet50", "ResNet50", 96),
    Pair("resnet50_v2", "ResNet50V2", 96),
]
DEEP = [
    Pair("efficientnet_b0", "EfficientNetB0", 224),
    Pair("efficientnet_b2", "EfficientNetB2", 65),
    Pair("efficientnet_b3", "EfficientNetB3", 75),
    Pair("efficientnet_b4", "EfficientNetB4", 65),
    Pair("resnet101", "ResNet101", 65),
]
# The same blocks as in DEEP more often: their shapes tell as much as their outputs, which take minutes.
DEEPER = [
    *(Pair(f"efficientnet_b{number}", f"EfficientNetB{number}", 65) for number in (5, 6, 7)),
    Pair("resnet152", "ResNet152", 65),
]


@pytest.mark.parametrize(
    "pair",
    [*PAIRS, *(pytest.param(pair, marks=pytest.mark.slow) for pair in DEEP)],
    ids=lambda pair: f"{pair.name}-{pair.alpha}-{pair.size}",
)
def test_weights_of_keras_applications_fit_and_give_the_same_outputs(pair: Pair) -> None:
    ours, theirs, weights = both(pair)
    shape = ours.input_shape[1:]
    rng = np.random.default_rng(2)
    as_after_training(theirs, rng)
    skipped = normalizing(theirs)
    for mine, weight in zip(ours.weights, weights, strict=True):
        value = keras.ops.convert_to_numpy(weight)
        # The classifiers of V1 and V3 are 1x1 convolutions there, dense layers here.
        mine.assign(value[0, 0] if value.shape == (1, 1, *mine.shape) else value)

    images = rng.uniform(0, 255, (2, *shape)).astype(np.float32)
    normalized = keras.Model(theirs.input, skipped[0].output)(images) if skipped else (images / 127.5 - 1)
    want = keras.ops.convert_to_numpy(theirs(images if skipped else normalized, training=False)).reshape(2, CLASSES)
    got = keras.ops.convert_to_numpy(ours(normalized, training=False))
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * max(1, np.abs(want).max()))
    assert np.ptp(want) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("pair", DEEPER, ids=lambda pair: pair.name)
def test_weights_of_keras_applications_fit(pair: Pair) -> None:
    ours, _, weights = both(pair)
    assert [tuple(one.shape) for one in ours.weights] == [tuple(one.shape) for one in weights]


def both(pair: Pair) -> tuple[Any, Any, list[Any]]:
    """Our network, Keras's, and the weights of Keras's that ours has too, in their order. They cost the same."""
    keras.utils.set_random_seed(1)
    shape = (pair.size, pair.size, 3)
    width = {"alpha": pair.alpha} if pair.alpha else {}
    theirs = getattr(keras.applications, pair.original)(
        input_shape=shape, weights=None, classes=CLASSES, classifier_activation=None, **width, **dict(pair.options)
    )
    ours = build(pair.name, classes=CLASSES, input_shape=shape, alpha=pair.alpha)
    assert count(ours).macs == count(theirs).macs
    assert count(ours).final_map == count(theirs).final_map
    left_out = {id(weight) for layer in normalizing(theirs) for weight in layer.weights}
    return ours, theirs, [weight for weight in theirs.weights if id(weight) not in left_out]


def normalizing(model: Any) -> list[Any]:
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Normalization)]


def as_after_training(model: keras.Model, rng: np.random.Generator) -> None:
    """Statistics far from 0 and 1, so that a wrong epsilon or a swapped pair of weights shows."""
    for variable in model.weights:
        if variable.name == "moving_variance":
            variable.assign(rng.uniform(0.01, 1.5, variable.shape))
        elif variable.name == "gamma":
            variable.assign(rng.uniform(0.3, 0.9, variable.shape))
        elif variable.name in ("moving_mean", "beta", "bias"):
            variable.assign(rng.normal(0, 0.2, variable.shape))


def test_every_row_that_keras_has_is_compared() -> None:
    origins = {name: row.imagenet.origin for name, row in ZOO.items() if row.imagenet and row.imagenet.origin}
    named = {name: f"keras.applications.{pair.original}" for pair in (*PAIRS, *DEEP, *DEEPER) for name in [pair.name]}
    assert named == {name: origin for name, origin in origins.items() if origin.startswith("keras.applications.")}


def test_the_tables_hold_every_network_of_keras_applications() -> None:
    functions = {name for name, value in vars(keras.applications).items() if inspect.isfunction(value)}
    assert functions == set(OURS) | set(THEIRS) and not set(OURS) & set(THEIRS)


def test_the_presets_are_what_keras_does_to_its_inputs() -> None:
    """The modules' own preprocess_input, and of the networks that normalize in their graph, that graph."""
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)
    for name, (preprocess, _, _) in THEIRS.items():
        function = getattr(keras.applications, name)
        module = __import__(function.__module__, fromlist=["preprocess_input"])
        want = module.preprocess_input(pixels.copy())
        if name.startswith(applications.UNNORMALIZED):
            with keras.StatelessScope(initialize_variables=False):
                model = function(weights=None, input_shape=(32, 32, 3))
            normalize = next(layer for layer in model.layers if isinstance(layer, keras.layers.Normalization))
            before = 255 if any(isinstance(layer, keras.layers.Rescaling) for layer in model.layers) else 1
            want = keras.ops.convert_to_numpy(normalize(want / before))
        block = preset(preprocess, 32, 32)
        ours = pixels[..., ::-1] if block.channels == "bgr" else pixels
        np.testing.assert_allclose((ours - np.array(block.mean)) / np.array(block.std), want, atol=2e-4)


# Published counts: keras.io; DenseNet, VGG and Inception MACs as in REQUIREMENTS; ConvNeXt's paper has 4.5, 8.7, 15.4,
# 34.4 and 60.9 G, EfficientNetV2's 8.8, 24 and 53 G for S, M and L at their (other) sizes.
COUNTED = {
    "VGG16": (138_357_544, 15.47e9, (7, 7)),
    "VGG19": (143_667_240, 19.63e9, (7, 7)),
    "DenseNet121": (8_062_504, 2.83e9, (7, 7)),
    "DenseNet169": (14_307_880, 3.36e9, (7, 7)),
    "DenseNet201": (20_242_984, 4.29e9, (7, 7)),
    "InceptionV3": (23_851_784, 5.71e9, (8, 8)),
    "InceptionResNetV2": (55_873_736, 13.16e9, (8, 8)),
    "Xception": (22_910_480, 8.36e9, (10, 10)),
    "NASNetMobile": (5_326_716, 564e6, (7, 7)),
    "NASNetLarge": (88_949_818, 23.8e9, (11, 11)),
    "ResNet101V2": (44_675_560, 7.19e9, (7, 7)),
    "ResNet152V2": (60_380_648, 10.91e9, (7, 7)),
    "EfficientNetV2B0": (7_200_312, 718e6, (7, 7)),
    "EfficientNetV2B1": (8_212_124, 1197e6, (8, 8)),
    "EfficientNetV2B2": (10_178_374, 1698e6, (9, 9)),
    "EfficientNetV2B3": (14_467_622, 3011e6, (10, 10)),
    "EfficientNetV2S": (21_612_360, 8.37e9, (12, 12)),
    "EfficientNetV2M": (54_431_388, 24.58e9, (15, 15)),
    "EfficientNetV2L": (119_027_848, 56.1e9, (15, 15)),
    "ConvNeXtTiny": (28_589_128, 4.455e9, (7, 7)),
    "ConvNeXtSmall": (50_223_688, 8.68e9, (7, 7)),
    "ConvNeXtBase": (88_591_464, 15.35e9, (7, 7)),
    "ConvNeXtLarge": (197_767_336, 34.36e9, (7, 7)),
    "ConvNeXtXLarge": (350_196_968, 60.92e9, (7, 7)),
}


@pytest.mark.parametrize("name", THEIRS)
def test_a_network_of_keras_is_built_on_logits_and_counted(name: str) -> None:
    full, row = find(f"keras:{name}")
    assert full == f"keras:{name}" and row.imagenet and row.imagenet.origin == f"keras.applications.{name}"
    with keras.StatelessScope(initialize_variables=False):
        model = build(f"keras:{name}", classes=1000, input_shape=(row.image_size, row.image_size, 3))
    assert model.output_shape == (None, 1000)
    assert model.layers[-1].activation is keras.activations.linear
    cost = count(model)
    params, macs, final_map = COUNTED[name]
    assert cost.params == model.count_params() == params
    assert cost.macs == pytest.approx(macs, rel=0.005)
    assert cost.final_map == final_map


def test_a_network_that_the_zoo_has_is_the_zoos() -> None:
    for original, ours in OURS.items():
        assert find(f"keras:{original}") == (ours, ZOO[ours])


def test_a_network_of_keras_runs_at_a_size_of_its_own() -> None:
    model = build("keras:DenseNet121", classes=4, input_shape=(32, 40, 3))
    assert model(np.zeros((1, 32, 40, 3), np.float32)).shape == (1, 4)


@pytest.mark.parametrize(("name", "smallest"), [("VGG16", 32), ("Xception", 71), ("InceptionV3", 75)])
def test_too_small_an_input_is_refused_with_the_smallest(name: str, smallest: int) -> None:
    with pytest.raises(BadInput, match=f"at least {smallest}x{smallest} pixels, not {smallest}x{smallest - 1}"):
        build(f"keras:{name}", classes=4, input_shape=(smallest, smallest - 1, 3))
    with keras.StatelessScope(initialize_variables=False):
        assert build(f"keras:{name}", classes=4, input_shape=(smallest, smallest, 3)).output_shape == (None, 4)


@pytest.mark.parametrize(
    ("name", "guess"), [("vgg16", "VGG16"), ("MobilenetV3large", "MobileNetV3Large"), ("Resnet50v2", "ResNet50V2")]
)
def test_an_unknown_name_lists_the_nearest_first(name: str, guess: str) -> None:
    with pytest.raises(BadInput) as caught:
        find(f"keras:{name}")
    assert f"'keras:{name}'" in caught.value.fact
    assert caught.value.remedy.startswith(f"Did you mean 'keras:{guess}'?")
    assert all(network in caught.value.remedy for network in (*OURS, *THEIRS))
