"""Conversion and calibration: freezing first against TFLiteConverter.from_keras_model, Keras 3 and tf_keras.

python benchmarks/conversion.py [--rounds 3] [--images 100]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from record import claim, conditions, in_turn, ratio, save, timed

from edgekit.exporting.convert import Calibration, calibrate, convert
from edgekit.exporting.freeze import Frozen, freeze
from edgekit.models.backend import import_keras
from edgekit.runtime.interpreter import open_model
from edgekit.runtime.quiet import captured_stderr

MODELS = ("MobileNet", "MobileNetV2", "ResNet50")
SIZE = 224


def pair(name: str) -> tuple[Any, Any]:
    """The same network with the same random weights, in Keras 3 and in tf_keras."""
    import tf_keras

    keras = import_keras("This benchmark")
    keras.utils.set_random_seed(0)
    ours = getattr(keras.applications, name)(weights=None, input_shape=(SIZE, SIZE, 3))
    theirs = getattr(tf_keras.applications, name)(weights=None, input_shape=(SIZE, SIZE, 3))
    theirs.set_weights(ours.get_weights())
    return ours, theirs


def slow(model: Any, images: np.ndarray | None = None) -> bytes:
    """What the TFLite documentation does; int8 with `images`."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    _quantize(converter, images)
    with captured_stderr(), contextlib.redirect_stdout(io.StringIO()):  # it prints what it saves on the way
        return bytes(converter.convert())


def frozen_with_its_calibrator(frozen: Frozen, images: np.ndarray) -> bytes:
    """Our frozen function, TensorFlow's calibrator: what attacking the calibration alone is measured against."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen.function])
    _quantize(converter, images)
    with captured_stderr():
        return bytes(converter.convert())


def _quantize(converter: Any, images: np.ndarray | None) -> None:
    import tensorflow as tf

    if images is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = lambda: ([image] for image in images[:, None])


def calibration(images: np.ndarray) -> Calibration:
    def each() -> Iterator[tuple[np.ndarray]]:
        return ((image[None],) for image in images)

    return Calibration(each, tuple((np.full((1, SIZE, SIZE, 3), end, np.float32),) for end in (-1, 1)))


def run(content: bytes, images: np.ndarray) -> np.ndarray:
    model = open_model(content, threads=2)
    return np.concatenate([model.run(image[None])[0] for image in images])


def measure(name: str, rounds: int, count: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    model, legacy = pair(name)
    images = np.random.default_rng(0).uniform(-1, 1, (count, SIZE, SIZE, 3)).astype(np.float32)

    def fast() -> bytes:
        return convert(freeze(model, softmax=False), "float32")

    works: dict[str, Callable[[], Any]] = {
        "edgekit": fast,
        "freeze": lambda: freeze(model, softmax=False),
        "from_keras_model, Keras 3": lambda: slow(model),
        "from_keras_model, tf_keras": lambda: slow(legacy),
    }
    fast()  # what TensorFlow sets up once is nobody's
    seconds = in_turn(works, rounds)
    content = fast()
    reference = run(slow(model), images[:5])
    difference = float(np.abs(run(content, images[:5]) - reference).max() / np.abs(reference).max())
    legacy_difference = float(np.abs(run(slow(legacy), images[:5]) - reference).max() / np.abs(reference).max())
    frozen = freeze(model, softmax=False)
    int8 = {"TensorFlow's calibrator": timed(lambda: frozen_with_its_calibrator(frozen, images))[0],
            "TensorFlow's, one image": timed(lambda: frozen_with_its_calibrator(frozen, images[:1]))[0],
            "edgekit": timed(lambda: convert(frozen, "int8", calibration=calibration(images)))[0],
            "edgekit, one image": timed(lambda: convert(frozen, "int8", calibration=calibration(images[:1])))[0],
            "edgekit, ranges alone": timed(lambda: calibrate(frozen, calibration(images)))[0]}  # fmt: skip
    observed = int8["TensorFlow's calibrator"] - int8["TensorFlow's, one image"]
    ours = int8["edgekit"] - int8["edgekit, one image"]
    claims = [
        claim(f"{name}: freeze + convert, against Keras 3", ratio(seconds["from_keras_model, Keras 3"],
                                                                 seconds["edgekit"]), "x", least=3),
        claim(f"{name}: freeze + convert, against tf_keras", ratio(seconds["from_keras_model, tf_keras"],
                                                                   seconds["edgekit"]), "x", least=5),
        claim(f"{name}: largest difference of the outputs", max(difference, legacy_difference), "", most=1e-5),
        claim(f"{name}: int8 conversion with {count} images, before", int8["TensorFlow's calibrator"], "s"),
        claim(f"{name}: int8 conversion with {count} images, after", int8["edgekit"], "s"),
        claim(f"{name}: observing {count - 1} more images, before / after", observed / ours, "x"),
    ]  # fmt: skip
    return claims, {"seconds": seconds, "int8_seconds": int8, "difference": difference, "bytes": len(content)}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--images", type=int, default=100)
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    measured_under = conditions()
    claims, raw = [], {}
    for name in MODELS:
        found, raw[name] = measure(name, given.rounds, given.images)
        claims += found
    save("conversion", claims, raw, measured_under)


if __name__ == "__main__":
    main()
