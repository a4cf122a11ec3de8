from dataclasses import dataclass

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from keras import layers

from edgekit.errors import BadInput
from edgekit.evaluation.metrics import sqnr_db
from edgekit.exporting.calibration import Calibration
from edgekit.exporting.convert import calibrate, quantized
from edgekit.exporting.freeze import freeze
from edgekit.exporting.low_bits import INT4, INT8, WEIGHTED, pack_int4, with_low_bits
from edgekit.runtime.flatbuffer import op_name, parse

SAMPLES = np.random.default_rng(0).uniform(-1, 1, (20, 9, 9, 3)).astype(np.float32)


ORDER = ("conv", "depthwise", "dense", "dense", "logits")  # the layers as the operators of the file have them
OWN_KERNELS = (OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, OpResolverType.BUILTIN_REF)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Every kernel lies on its grid of +-7; the layer `dense` is called twice."""
    keras.utils.set_random_seed(0)
    image = keras.Input((9, 9, 3), name="image")
    x = layers.Conv2D(5, 3, activation="relu", name="conv")(image)
    x = layers.DepthwiseConv2D(3, activation="relu6", name="depthwise")(x)
    dense = layers.Dense(5, name="dense")
    x = layers.Dense(4, name="logits")(dense(dense(layers.GlobalAveragePooling2D()(x))))
    made = keras.Model(image, x)
    generator = np.random.default_rng(1)
    for layer in (one for one in made.layers if one.weights):
        kernel, bias = layer.get_weights()
        codes = generator.integers(-7, 8, kernel.shape).astype(np.float64)
        codes[0 if kernel.ndim == 2 else (0, 0, slice(None), 0) if kernel.shape[-1] == 1 else (0, 0, 0)] = -7
        scales = generator.uniform(0.02, 0.08, (kernel.shape[2], 1) if kernel.shape[-1] == 1 else bias.shape)
        layer.set_weights([codes * scales, generator.normal(0, 0.2, bias.shape)])
    return made


@pytest.fixture(scope="module")
def int8(model: keras.Model) -> bytes:
    return quantized(calibrate(freeze(model, softmax=False), Calibration(lambda: ((x[None],) for x in SAMPLES))))


@dataclass(frozen=True)
class Kernel:
    """Of an operator: the name of the tensor it writes, its codes as stored and its real values."""

    name: str
    kind: int
    stored: np.ndarray
    real: np.ndarray


def kernels(content: bytes) -> list[Kernel]:
    parsed = parse(content)
    tensors, found = parsed.subgraphs[0].tensors, []
    for operator in parsed.subgraphs[0].operators:
        if op_name(parsed, operator) in WEIGHTED:
            kernel, name = tensors[operator.inputs[1]], tensors[operator.outputs[0]].name.decode()
            stored = np.frombuffer(parsed.buffers[kernel.buffer].data.tobytes(), np.int8)
            across = [1] * len(kernel.shape)
            across[kernel.quantization.quantizedDimension] = -1
            whole = stored.reshape(kernel.shape) if kernel.type == INT8 else np.zeros(kernel.shape)
            found.append(Kernel(name, kernel.type, stored, whole * kernel.quantization.scale.reshape(across)))
    return found


def answers(content: bytes, resolver: OpResolverType = OpResolverType.AUTO) -> np.ndarray:
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    found = []
    for sample in SAMPLES:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    return np.array(found)


def test_the_kernels_are_the_models_exactly_and_so_are_the_answers(model: keras.Model, int8: bytes) -> None:
    low = with_low_bits(int8, {one.name: 4 for one in kernels(int8)})
    expected = np.asarray(model(SAMPLES))
    assert sqnr_db(expected, answers(low)) >= max(25, sqnr_db(expected, answers(int8)) - 1)
    for name, before, after in zip(ORDER, kernels(int8), kernels(low), strict=True):
        assert (np.abs(before.stored).max(), np.abs(after.stored).max()) == (127, 7), name
        wanted = np.moveaxis(np.asarray(model.get_layer(name).kernel), -1, 0)  # the layout of TFLite
        np.testing.assert_allclose(after.real, wanted, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("resolver", OWN_KERNELS)
def test_packed_two_to_a_byte_the_answers_are_the_same(int8: bytes, resolver: OpResolverType) -> None:
    wanted = {one.name: 4 for one in kernels(int8)}
    low = with_low_bits(int8, wanted)
    packed = with_low_bits(low, wanted, packed=True)
    assert with_low_bits(low, wanted) == low and with_low_bits(int8, wanted, packed=True) == packed
    np.testing.assert_array_equal(answers(low, resolver), answers(packed, resolver))
    step = np.diff(np.unique(answers(low))).min()
    np.testing.assert_allclose(answers(low), answers(packed), atol=1.01 * step)  # XNNPACK takes not all of the second
    assert [one.kind for one in kernels(packed)] == [INT4] * 5
    assert [len(one.stored) for one in kernels(packed)] == [-(-len(one.stored) // 2) for one in kernels(low)]


def test_only_the_named_operators_and_their_own_copies_of_what_they_share(int8: bytes) -> None:
    first = kernels(int8)[2].name  # one of the two calls of `dense`
    before, after = kernels(int8), kernels(with_low_bits(int8, {first: 4}))
    assert [np.abs(one.stored).max() for one in after] == [127, 127, 7, 127, 127]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(one.real, other.real, atol=0.5 / 127 * np.abs(one.real).max())


def test_what_has_no_kernel_is_passed_over_and_an_unknown_name_is_not(int8: bytes) -> None:
    assert with_low_bits(int8, {"image": 4}) == with_low_bits(int8, {})
    with pytest.raises(BadInput, match="no tensor 'nobody'"):
        with_low_bits(int8, {"nobody": 4})


def test_the_first_of_two_codes_is_in_the_low_half() -> None:
    assert pack_int4(np.array([1, -1, -8, 7, 3], np.int8)).tolist() == [0xF1, 0x78, 0x03]
