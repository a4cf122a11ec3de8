import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from edgekit.artifact import VARIANTS, Normalization
from edgekit.data.images import normalize
from edgekit.errors import BadInput, UsageError
from edgekit.exporting.convert import SIGNATURE, Calibration, convert
from edgekit.exporting.freeze import freeze
from edgekit.runtime.flatbuffer import activations, parse
from edgekit.runtime.interpreter import open_model
from edgekit.runtime.ranges import Observer
from tests.exporting.conftest import Trained

CONVERTED = tuple(variant for variant in VARIANTS if variant != "mixed")  # which is found by measuring
TF = Normalization(mean=(127.5,) * 3, std=(127.5,) * 3)


def pixels(trained: Trained, n: int = 60) -> np.ndarray:
    return trained.dataset.test.read(range(n))


def calibration(images: np.ndarray, raw: bool = False) -> Calibration:
    """uint8 [n, 8, 8, 3] -> a Calibration for a frozen function that takes raw pixels, or [-1, 1]."""
    real = images.astype(np.float32) if raw else images.astype(np.float32) / 127.5 - 1
    ends = (np.zeros((1, 8, 8, 3), np.float32), np.full((1, 8, 8, 3), 255, np.float32))
    ends = ends if raw else (ends[0] - 1, ends[1] / 127.5 - 1)
    return Calibration(lambda: ((image[None],) for image in real), tuple((end,) for end in ends))


def run(content: bytes, inputs: np.ndarray) -> np.ndarray:
    model = open_model(content)
    return np.concatenate([model.run(one[None])[0] for one in inputs])


def probabilities(trained: Trained, images: np.ndarray) -> np.ndarray:
    logits = np.asarray(trained.model(images.astype(np.float32) / 127.5 - 1, training=False))
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("variant", CONVERTED)
def test_every_variant_takes_one_image_and_says_what_the_model_says(trained: Trained, variant: Any) -> None:
    images = pixels(trained)
    content = convert(
        freeze(trained.model), variant, calibration=calibration(trained.dataset.calibration.read(range(100)))
    )
    opened = open_model(content)
    assert [(i.name, i.shape, i.dtype) for i in opened.inputs] == [("image", (1, 8, 8, 3), "float32")]
    assert [(o.shape, o.dtype) for o in opened.outputs] == [((1, 10), "float32")]
    outputs = run(content, normalize(images, trained.dataset.preprocess))
    wanted = probabilities(trained, images)
    tolerance = {"float32": 1e-5, "float16": 1e-2, "int16x8": 2e-2}.get(variant, 0.12)
    np.testing.assert_allclose(outputs, wanted, atol=tolerance)
    np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-5 if variant == "float32" else 0.02)  # R29
    # In whole images: which of the 60 is nearly a tie depends on the CPU that trained.
    flips, share = int((outputs.argmax(1) != wanted.argmax(1)).sum()), 0.05 if "int8" in variant else 0.01
    assert flips <= math.ceil(share * len(images))


def test_the_serving_signature_names_the_models_own_ends(trained: Trained) -> None:
    model = parse(convert(freeze(trained.model), "float32"))
    (signature,) = model.signatureDefs
    assert signature.signatureKey.decode() == SIGNATURE == "serving_default"
    assert [entry.name.decode() for entry in signature.inputs] == ["image"]
    assert [entry.name.decode() for entry in signature.outputs] == ["logits"]
    assert signature.inputs[0].tensorIndex == model.subgraphs[0].inputs[0]


@pytest.mark.parametrize(("io", "zero_point"), [("uint8", 0), ("int8", -128)])
def test_integer_inputs_take_raw_pixels(trained: Trained, io: Any, zero_point: int) -> None:
    """--io uint8: scale 1, zero point 0, the normalization in the graph; --io int8 is pixel - 128 (golden vectors)."""
    images = pixels(trained)
    raw = trained.dataset.calibration.read(range(100))
    content = convert(freeze(trained.model, normalization=TF), "int8", io=io, calibration=calibration(raw, raw=True))
    (entry,) = open_model(content).inputs
    assert (entry.dtype, entry.scale, entry.zero_point) == (io, 1.0, zero_point)
    codes = (images.astype(np.int16) + zero_point).astype(io)
    outputs = run(content, codes)
    normalized = convert(freeze(trained.model), "int8", calibration=calibration(raw))
    np.testing.assert_allclose(outputs, run(normalized, normalize(images, trained.dataset.preprocess)), atol=0.05)
    assert (outputs.argmax(1) == probabilities(trained, images).argmax(1)).mean() >= 0.95


def test_the_input_scale_covers_every_picture_even_if_calibrated_on_dark_ones(trained: Trained) -> None:
    dark = trained.dataset.calibration.read(range(20)) // 4
    graph = parse(convert(freeze(trained.model), "int8", calibration=calibration(dark))).subgraphs[0]
    first = graph.tensors[graph.operators[0].outputs[0]].quantization
    low, high = (float(first.scale[0]) * (code - int(first.zeroPoint[0])) for code in (-128, 127))
    assert low <= -1 + first.scale[0] and high >= 1 - first.scale[0]


def test_calibration_sees_exactly_the_images_it_is_given(trained: Trained) -> None:  # R39
    images = trained.dataset.calibration.read(range(100))
    seen: list[tuple[Any, ...]] = []

    def watched() -> Iterator[tuple[np.ndarray, ...]]:
        for (one,) in calibration(images).samples():
            seen.append((one.dtype, one.shape))
            yield (one,)

    convert(freeze(trained.model), "int8", calibration=Calibration(watched, calibration(images).extremes))
    assert seen == [(np.dtype("float32"), (1, 8, 8, 3))] * 100


def test_observed_ranges_are_those_of_the_keras_layers(trained: Trained) -> None:
    """The branch before the residual add keeps its own range, which TensorFlow's calibrator gives the sum's."""
    import keras

    images = trained.dataset.calibration.read(range(50)).astype(np.float32) / 127.5 - 1
    content = convert(freeze(trained.model), "float32")
    ranges = Observer(content, threads=1).over((image[None],) for image in images)
    graph = parse(content).subgraphs[0]
    assert set(ranges) == set(activations(parse(content)))
    for layer in ("stem_relu", "branch", "logits"):
        part = keras.Model(trained.model.inputs, trained.model.get_layer(layer).output)
        values = np.asarray(part(images, training=False))
        wanted = (values.min(), values.max())
        near = [r for r in ranges.values() if np.allclose(r, wanted, atol=1e-4)]
        assert near, f"{layer}: {wanted} is not among {[(graph.tensors[i].name, r) for i, r in ranges.items()]}"


def test_the_fast_path_gives_what_the_slow_one_gives(trained: Trained) -> None:
    import tensorflow as tf

    slow = tf.lite.TFLiteConverter.from_keras_model(trained.model).convert()
    images = normalize(pixels(trained, 20), trained.dataset.preprocess)
    fast = convert(freeze(trained.model, softmax=False), "float32")
    np.testing.assert_allclose(run(fast, images), run(slow, images), atol=1e-6)


def test_converting_twice_gives_the_same_bytes(trained: Trained) -> None:
    given = calibration(trained.dataset.calibration.read(range(30)))
    first, second = (convert(freeze(trained.model), "int8", calibration=given) for _ in range(2))
    assert first == second


def test_what_does_not_fit_is_refused(trained: Trained) -> None:
    frozen = freeze(trained.model)
    with pytest.raises(UsageError, match="--io uint8 is for the int8 variant, not float32"):
        convert(frozen, "float32", io="uint8")
    with pytest.raises(UsageError, match="needs calibration samples"):
        convert(frozen, "int8")


def test_an_operator_that_tflite_lacks_is_named() -> None:
    import keras
    import tensorflow as tf

    image = keras.Input((8, 8, 3))
    unsupported = keras.layers.Lambda(lambda x: tf.math.igamma(tf.abs(x) + 1.0, tf.abs(x)))(image)
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(unsupported)))
    with pytest.raises(BadInput, match="operators that TFLite lacks: .*Igamma"):
        convert(freeze(model), "float32")


def test_a_model_without_a_fixed_size_is_refused() -> None:
    import keras

    image = keras.Input((None, None, 3))
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(image))
    with pytest.raises(BadInput, match="is not fixed"):
        freeze(model)
