"""The ranges of a fake-quantized model in the flatbuffer: found by place, whatever is fused."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from edgekit.artifact import Normalization
from edgekit.errors import UsageError
from edgekit.evaluation.parity import run_all
from edgekit.exporting.calibration import Calibration
from edgekit.exporting.convert import calibrate, convert, quantized
from edgekit.exporting.freeze import freeze
from edgekit.models.fake_quant import FakeQuantize, QuantizedConv2D
from edgekit.runtime.flatbuffer import parse

RANGES = {"image": (-1.0, 128 / 127), "conv": (0.0, 3.0), "joined": (-0.5, 4.0)}


def images(n: int = 20) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (n, 8, 8, 3)).astype(np.float32)


def calibration(given: np.ndarray) -> Calibration:
    return Calibration(lambda: ((one[None],) for one in given))


def model(**options: Any) -> keras.Model:
    """A convolution with its ReLU, pooled and padded, added to itself: three tensors with ranges of their own."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3), name="pixels")
    x = FakeQuantize("image", fixed=True, name="a")(image)
    x = layers.ReLU()(QuantizedConv2D(4, 3, name="conv", **options)(x))
    x = FakeQuantize("conv", name="b", **options)(x)
    y = layers.ZeroPadding2D(1)(layers.MaxPooling2D(2)(x))
    made = keras.Model(image, FakeQuantize("joined", name="c")(layers.Add(name="joined")([y, y])), name="tapped")
    for layer in made.layers:
        if isinstance(layer, FakeQuantize):
            layer.set_range(*RANGES[layer.source])
    return made


def step(content: bytes, name: str) -> list[float]:
    """The scales of the tensors of a name."""
    tensors = parse(content).subgraphs[0].tensors
    return [float(t.quantization.scale[0]) for t in tensors if t.name.decode() == name]


def test_every_range_is_where_its_tensor_is_and_what_keeps_values_has_the_same() -> None:
    content = convert(freeze(model(), softmax=False), "int8", calibration=calibration(images()))
    assert step(content, "conv") == pytest.approx([3.0 / 255])
    graph = parse(content).subgraphs[0]
    assert [tuple(graph.tensors[int(i)].shape) for i in graph.outputs] == [(1, 5, 5, 4)], "taps are no outputs"
    scales = [float(t.quantization.scale[0]) for t in graph.tensors if t.type == 9 and len(t.quantization.scale) == 1]
    assert sorted({round(scale, 7) for scale in scales}) == sorted(
        {round((high - low) / 255, 7) for low, high in RANGES.values()}
    )
    given = images()
    np.testing.assert_allclose(run_all(content, (given,))[0], np.asarray(model()(given)), atol=4.5 / 255 + 1e-6)


def test_raw_pixels_are_normalized_in_the_graph_before_the_models_input() -> None:
    normalization = Normalization(mean=(127.5,) * 3, std=(127.5,) * 3)
    pixels = np.random.default_rng(1).integers(0, 256, (20, 8, 8, 3)).astype(np.float32)
    ends = tuple((np.full((1, 8, 8, 3), value, np.float32),) for value in (0, 255))
    samples = Calibration(lambda: ((one[None],) for one in pixels), ends)
    content = convert(
        freeze(model(), normalization=normalization, softmax=False), "int8", calibration=samples, io="uint8"
    )
    expected = np.asarray(model()((pixels - 127.5) / 127.5))
    got = run_all(content, (pixels.astype(np.uint8),))[0]
    assert np.mean(np.abs(got - expected)) < 2 * 4.5 / 255
    assert step(content, "conv") == pytest.approx([3.0 / 255])


def test_what_stays_float_and_what_has_four_bits_is_told_by_the_layers_name() -> None:
    frozen = freeze(model(weight_bits=4), softmax=False)
    made = calibrate(frozen, calibration(images()))
    assert made.weight_bits == {"conv": 4} and made.float_nodes == ()
    weights = parse(quantized(made))
    kernel = next(t for t in weights.subgraphs[0].tensors if tuple(t.shape) == (4, 3, 3, 3))
    codes = np.frombuffer(bytes(weights.buffers[kernel.buffer].data), np.int8)
    assert np.abs(codes).max() == 7
    left = model()
    left.get_layer("b").left_float = True
    assert calibrate(freeze(left, softmax=False), calibration(images())).float_nodes == ("conv",)


def test_a_fake_quantized_model_is_exported_as_int8_alone() -> None:
    with pytest.raises(UsageError, match="exported as int8, not float16"):
        convert(freeze(model(), softmax=False), "float16")
