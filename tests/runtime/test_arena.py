"""The arena's estimate against what TensorFlow Lite Micro's recording allocator said of the same files."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from edgekit.models.backend import import_keras
from edgekit.runtime.arena import Arena, arena

keras = import_keras("Testing")
MODELS = Path(__file__).parents[3] / "shared" / "models"

# tflite-micro 0.dev20261023's python wheel, x86-64: (head, total) of print_allocations().
RECORDED = {
    "mlperf_tiny/pretrainedResnet_quant.tflite": (49_152, 55_984),
    "mlperf_tiny/pretrainedResnet.tflite": (196_608, 203_376),
    "mlperf_tiny/vww_96_int8.tflite": (73_728, 103_680),
    "mlperf_tiny/vww_96_float.tflite": (294_912, 324_792),
    "floor/resnet8_cifar_jpeg_int8.tflite": (49_152, 55_936),
}


@pytest.mark.parametrize("name", RECORDED)
def test_it_is_what_tflm_recorded(name: str) -> None:
    if not (MODELS / name).exists():
        pytest.skip(f"{name} is not here")
    found, (head, total) = arena((MODELS / name).read_bytes()), RECORDED[name]
    assert found is not None and found.activations == head
    assert abs(found.total - total) < 0.02 * total


def test_the_peak_is_named_and_ties_are_laid_out_as_tflm_does() -> None:
    """A residual block of 16 x 16 x 32 behind a stem of 16 channels: three maps at once would fit 3 x 32 kB, but the
    stem's finds no hole between those of the block (TFLM's wheel recorded the same 3.5 maps of the int8 file)."""
    image = keras.Input((32, 32, 3))
    stem = keras.layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(image)
    first = keras.layers.Conv2D(32, 3, padding="same", activation="relu")(stem)
    second = keras.layers.Conv2D(32, 3, padding="same")(first)
    added = keras.layers.Add()([second, keras.layers.Conv2D(32, 1)(stem)])
    model = keras.Model(image, keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(added)))
    found = arena(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    one_map = 16 * 16 * 32 * 4
    assert isinstance(found, Arena) and found.activations == 3.5 * one_map
    assert found.peak_op.startswith("ADD") and 0 < found.kept < 10_000
    assert np.isclose(found.total, found.activations + found.kept)
