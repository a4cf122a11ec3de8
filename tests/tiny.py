"""Tiny real .tflite files for tests: a three-layer classifier of 8x8 RGB images, converted once a process."""

from __future__ import annotations

import atexit
import contextlib
import functools
import io
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.runtime.quiet import captured_stderr

SIZE = 8
CLASSES = 6


def pictures(n: int = 64, seed: int = 0) -> np.ndarray:
    """uint8 [n,8,8,3]: one bright stripe whose row tells the class, on noise."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 120, (n, SIZE, SIZE, 3), np.uint8)
    images[np.arange(n), targets(n)] = 250
    return images


def targets(n: int = 64) -> np.ndarray:
    """int64 [n]: the classes of `pictures`."""
    return np.arange(n) % CLASSES


def converted(converter: Any) -> bytes:
    """The file, and not a word: whoever makes it first may be listening to a command."""
    with contextlib.redirect_stdout(io.StringIO()), captured_stderr():
        return converter.convert()


@functools.cache
def tflite(variant: str) -> bytes:
    """float32, int8 (float in and out), int8_io, uint8_io, raw (logits out), fixed and fixed_int8_io (a batch of 1
    wired in)."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(_model(variant))
    if "int8" in variant:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([x[None]] for x in pictures().astype(np.float32))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    if variant.endswith("_io"):
        kind = tf.uint8 if "uint8" in variant else tf.int8
        converter.inference_input_type = converter.inference_output_type = kind
    return converted(converter)


@functools.cache
def path(variant: str) -> Path:
    """`tflite(variant)` as a file, removed at exit."""
    file = _folder() / f"{variant}.tflite"
    file.write_bytes(tflite(variant))
    return file


@functools.cache
def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="edgekit-tiny-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@functools.cache
def _model(variant: str):
    """Its answers are set by hand: class c is a bright row c, so that accuracy is known without training."""
    import keras

    keras.utils.set_random_seed(0)
    fixed = variant.startswith("fixed")
    image = keras.Input((SIZE, SIZE, 3), batch_size=1 if fixed else None)
    x = keras.layers.Conv2D(4, (1, SIZE), activation="relu", name="rows")(image)
    x = keras.ops.reshape(x, (1, SIZE * 4)) if fixed else keras.layers.Flatten()(x)
    scores = keras.layers.Dense(CLASSES, name="classes")(x)
    model = keras.Model(image, scores if variant == "raw" else keras.layers.Softmax()(scores))
    model.get_layer("rows").set_weights([np.full((1, SIZE, 3, 4), 1 / (SIZE * 3)), np.zeros(4)])
    weights = np.zeros((SIZE, 4, CLASSES))
    for row in range(CLASSES):
        weights[row, :, row] = 0.01
    model.get_layer("classes").set_weights([weights.reshape(-1, CLASSES), np.zeros(CLASSES)])
    return model


def folder(root: Path, n: int = 60, classes: int = CLASSES) -> Path:
    """`pictures` as PNG files in class folders row0, row1 ...; the folder's path."""
    from PIL import Image

    for index, (image, target) in enumerate(zip(pictures(n), np.arange(n) % classes, strict=True)):
        place = root / f"row{target}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{index:03d}.png")
    return root


def real_int8() -> list[Path]:
    """MLPerf Tiny's int8 files, where they are there."""
    here = Path(__file__).resolve().parents[2] / "shared" / "models" / "mlperf_tiny"
    return [path for name in ("pretrainedResnet_quant", "vww_96_int8") if (path := here / f"{name}.tflite").is_file()]
