from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from edgekit.compression.quantize_aware import prepare
from edgekit.errors import BadInput
from edgekit.evaluation.metrics import sqnr_db
from edgekit.evaluation.parity import float_operators, run_all
from edgekit.exporting.calibration import Calibration
from edgekit.exporting.convert import convert
from edgekit.exporting.freeze import freeze
from edgekit.models.count import count
from edgekit.models.fake_quant import FakeQuantize
from edgekit.models.zoo import build
from edgekit.runtime.flatbuffer import op_name, parse
from tests.compression.small import randomized

SIDE = 16


def images(n: int = 40, side: int = SIDE, low: float = -1.0) -> np.ndarray:
    """Blurred noise in [low, 1], every value that of a pixel."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 200, (n, 4, 4, 3)).repeat(side // 4, 1).repeat(side // 4, 2)
    pixels = coarse + generator.integers(0, 56, (n, side, side, 3))
    return (pixels / 255 * (1 - low) + low).astype(np.float32)


def calibration(given: np.ndarray, low: float = -1.0) -> Calibration:
    ends = tuple((np.full((1, *given.shape[1:]), value, np.float32),) for value in (low, 1.0))
    return Calibration(lambda: ((one[None],) for one in given[:20]), ends)


def settled(model: Any, given: np.ndarray) -> Any:
    """The model with the statistics of the images in its normalizations, as after training."""
    randomized(model)
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    model(given, training=True)
    return model


def exported(model: Any, given: np.ndarray) -> bytes:
    return convert(freeze(model, softmax=False), "int8", calibration=calibration(given))


def assert_says_what_the_file_says(model: Any, given: np.ndarray, **options: Any) -> tuple[Any, bytes]:
    """All-integer, and the file's answers are nearer to the fake-quantized model's than quantization is to float."""
    found = prepare(model, calibration(given), **options)
    content = exported(found.model, given)
    assert float_operators(content) == ()
    fake, real = np.asarray(found.model(given)), run_all(content, (given,))[0]
    assert sqnr_db(fake, real) >= sqnr_db(np.asarray(model(given)), fake) + 6
    return found, content


def conv(x: Any, filters: int, name: str, **rest: Any) -> Any:
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv", **rest)(x)
    return layers.BatchNormalization(name=f"{name}_bn")(x)


def squeeze_excite(x: Any) -> Any:
    """With hard-swish, swish, sigmoid and hard-sigmoid: the blocks of MobileNetV3 and EfficientNet."""
    x = layers.Activation("hard_swish")(conv(x, 8, "stem", strides=2))
    y = layers.DepthwiseConv2D(3, padding="same", activation="swish", name="depth")(x)
    s = layers.GlobalAveragePooling2D(keepdims=True)(y)
    s = layers.Conv2D(8, 1, activation="hard_sigmoid")(layers.Conv2D(4, 1, activation="relu")(s))
    return layers.Add()([layers.Multiply()([y, s]), x])


def preactivated(x: Any) -> Any:
    """Normalization before the convolution, as in ResNetV2: no convolution before it to take it in."""
    x = layers.Conv2D(8, 3, padding="same", name="stem")(x)
    for number in range(2):
        y = layers.ReLU()(layers.BatchNormalization(name=f"pre{number}")(x))
        x = layers.Add()([x, layers.Conv2D(8, 3, padding="same", name=f"conv{number}")(y)])
    return layers.ReLU()(layers.BatchNormalization(name="post")(x))


def dense_block(x: Any) -> Any:
    """Concatenations of what is read elsewhere too, and average pooling, as in DenseNet."""
    x = layers.MaxPooling2D(2)(layers.ReLU()(conv(x, 8, "stem")))
    for number in range(3):
        y = layers.ReLU()(layers.BatchNormalization(name=f"pre{number}")(x))
        x = layers.Concatenate(name=f"join{number}")([x, layers.Conv2D(4, 3, padding="same", name=f"new{number}")(y)])
    return layers.AveragePooling2D(2)(x)


def rescaled(x: Any) -> Any:
    """A model that normalizes by itself, its normalization behind a padding and a ReLU6 behind two additions."""
    x = layers.Rescaling(2.0, -0.5)(layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 0.5, 2.0])(x))
    x = layers.ReLU(6.0)(conv(layers.ZeroPadding2D(1)(x), 8, "stem", strides=2))
    y = layers.SeparableConv2D(8, 3, padding="same", activation="relu6", name="separable")(x)
    return layers.ReLU(6.0)(layers.Add()([x, y, layers.Average()([x, y])]))


BODIES: dict[str, Callable[[Any], Any]] = {
    one.__name__: one for one in (squeeze_excite, preactivated, dense_block, rescaled)
}


def network(body: Callable[[Any], Any]) -> Any:
    keras.utils.set_random_seed(0)
    image = keras.Input((SIDE, SIDE, 3), name="image")
    x = layers.GlobalAveragePooling2D(name="pool")(body(image))
    return settled(keras.Model(image, layers.Dense(10, name="logits")(x), name=body.__name__), images())


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("batch_norm", ["frozen", "live"])
def test_blocks_become_all_integer_and_answer_as_the_file(name: str, batch_norm: str) -> None:
    assert_says_what_the_file_says(network(BODIES[name]), images(), batch_norm=batch_norm)


@pytest.mark.parametrize("name", ["resnet8", "mobilenet_v1", "lenet5"])
def test_networks_of_the_zoo(name: str) -> None:
    given = images(side=32)
    model = settled(build(name, classes=10, input_shape=(32, 32, 3)), given)
    assert_says_what_the_file_says(model, given)


def test_ranges_are_in_the_file_as_they_are_in_the_model() -> None:
    """Those of joined tensors are one, pixels lie on codes, and what TFLite prescribes is as it prescribes."""
    found, content = assert_says_what_the_file_says(network(dense_block), images())
    parsed = parse(content)
    graph = parsed.subgraphs[0]
    steps = {t.name.decode(): float(t.quantization.scale[0]) for t in graph.tensors if t.quantization.scale is not None}
    points = {one.source: one for one in found.model.layers if isinstance(one, FakeQuantize) and not one.follows}
    inside = {name: point for name, point in points.items() if name not in ("image", "logits")}
    assert set(inside) <= set(steps)
    for name, point in inside.items():
        assert steps[name] == pytest.approx(float(point.step()), rel=1e-5), name
    low, high = points["image"].get_range()
    assert (low, high) == pytest.approx((-128 / 127, 1.0)) or (low, high) == pytest.approx((-1.0, 128 / 127))
    joined = {points[name].get_range() for name in ("stem_conv", "new0", "new1", "new2", "join0", "join2")}
    assert len(joined) == 1
    operators = [op_name(parsed, operator) for operator in graph.operators]
    assert operators.count("QUANTIZE") == 1, "nothing is brought to another scale"


def test_live_normalization_learns_and_frozen_does_not() -> None:
    for kind, moves in (("live", True), ("frozen", False)):
        model = prepare(network(dense_block), calibration(images()), batch_norm=kind).model
        model.compile(keras.optimizers.SGD(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        before = np.asarray(model.get_layer("stem_bn").moving_mean)
        model.fit(images(), np.arange(40) % 10, verbose=0, batch_size=20)
        assert bool(np.any(before != np.asarray(model.get_layer("stem_bn").moving_mean))) is moves


def test_it_is_counted_as_the_network_that_it_is_of() -> None:
    model = network(squeeze_excite)
    before, after = count(model), count(prepare(model, calibration(images())).model)
    assert (after.macs, after.params, after.deployed_params) == (before.macs, before.params, before.deployed_params)


def test_training_lowers_the_loss_of_four_bit_weights_and_the_file_follows() -> None:
    model, given = network(squeeze_excite), images()
    wanted = np.asarray(model(given))
    found = prepare(model, calibration(given), weight_bits=4, eight_bits=["logits"])
    bits = {layer.name: layer.weight_bits for layer in found.model.layers if hasattr(layer, "kernel")}
    assert bits["stem_conv"] == 4 and bits["logits"] == 8
    found.model.compile(keras.optimizers.Adam(2e-3), "mse")
    before = found.model.evaluate(given, wanted, verbose=0)
    found.model.fit(given, wanted, epochs=15, batch_size=20, verbose=0)
    assert found.model.evaluate(given, wanted, verbose=0) < 0.9 * before
    fake, real = np.asarray(found.model(given)), run_all(exported(found.model, given), (given,))[0]
    assert np.abs(fake - real).max() <= 4 * np.ptp(fake) / 255


def test_an_excluded_layer_stays_float_and_only_it() -> None:
    given = images()
    found = prepare(network(preactivated), calibration(given), exclude=["conv0", "log*"])
    assert found.figures["float_layers"] == ["conv0", "logits"]
    assert [note.text for note in found.skipped] == ["excluded: it stays float"] * 2
    content = exported(found.model, given)
    kinds = [name.split(" ")[0] for name in float_operators(content)]
    assert sorted(kind for kind in kinds if kind not in ("QUANTIZE", "DEQUANTIZE")) == ["CONV_2D", "FULLY_CONNECTED"]
    fake, real = np.asarray(found.model(given)), run_all(content, (given,))[0]
    assert sqnr_db(fake, real) > 40


def test_a_layer_that_is_called_twice_is_rounded_as_one() -> None:
    def twice(x: Any) -> Any:
        shared = layers.Conv2D(3, 3, padding="same", name="shared")
        return shared(layers.ReLU()(shared(x)))

    found, _ = assert_says_what_the_file_says(network(twice), images())
    points = [one.name for one in found.model.layers if isinstance(one, FakeQuantize) and one.source == "shared"]
    assert len(points) == 2


@keras.saving.register_keras_serializable("tests")
class Mixing(layers.Layer):
    """A layer of the user's own, with weights."""

    def build(self, shape: Any) -> None:
        self.mix = self.add_weight(shape=(shape[-1], shape[-1]), initializer="glorot_uniform", name="mix")

    def call(self, x: Any) -> Any:
        return keras.ops.tanh(keras.ops.matmul(x, self.mix))


def test_a_layer_of_the_users_own_is_named_and_can_be_excluded() -> None:
    def own(x: Any) -> Any:
        return layers.Conv2D(8, 3, name="after")(Mixing(name="mixing")(layers.Conv2D(8, 3, name="before")(x)))

    model, given = network(own), images()
    with pytest.raises(BadInput, match=r"'mixing' \(Mixing\) .*Exclude it \(exclude: \[mixing\]\)"):
        prepare(model, calibration(given))
    found = prepare(model, calibration(given), exclude=["mixing"])
    content = exported(found.model, given)
    parsed = parse(content)
    integer = [t for t in parsed.subgraphs[0].tensors if t.name.decode() in ("before", "after")]
    assert len(integer) == 2 and all(tensor.type == 9 for tensor in integer)  # TensorType.INT8
    assert float_operators(content), "what is inside mixing stays float"
    assert sqnr_db(np.asarray(found.model(given)), run_all(content, (given,))[0]) > 35


def test_what_cannot_be_is_said() -> None:
    model, given = network(preactivated), images()
    with pytest.raises(BadInput, match=r"layer 'konv0'.*conv0"):
        prepare(model, calibration(given), exclude=["konv0"])
    ready = prepare(model, calibration(given)).model
    with pytest.raises(BadInput, match="fake-quantized already"):
        prepare(ready, calibration(given))
    with pytest.raises(BadInput, match="not a graph of layers"):
        prepare(keras.Sequential([layers.Dense(1)]), calibration(given))
    same = Calibration(lambda: ((given[:1],) for _ in range(12)))
    with pytest.raises(BadInput, match="the same"):
        prepare(model, same)
