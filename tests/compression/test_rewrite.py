import keras
import numpy as np
import pytest
from keras import layers

from edgekit.compression.rewrite import rewrite
from edgekit.exporting.convert import convert
from edgekit.exporting.freeze import freeze
from edgekit.models.zoo import build
from edgekit.runtime.flatbuffer import op_name, parse
from edgekit.runtime.op_versions import oldest_runtime
from edgekit.step_config import Rewrite
from tests.compression.small import calibration, randomized

SIDE = 32


def images(n: int = 8) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (n, SIDE, SIDE, 3)).astype(np.float32)


def assert_equal(model: keras.Model, other: keras.Model) -> None:
    before, after = np.asarray(model(images())), np.asarray(other(images()))
    assert np.abs(before - after).max() <= 1e-5 * np.abs(before).max()


def operators(model: keras.Model, variant: str) -> list[str]:
    parsed = parse(convert(freeze(model, softmax=False), variant, calibration=calibration(images(10))))
    return [op_name(parsed, operator) for operator in parsed.subgraphs[0].operators]


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "mobilenet_v3_large"])
def test_hard_swish_goes_and_leaves_no_operator_for_its_sixth(name: str) -> None:
    model = randomized(build(name, classes=10, input_shape=(SIDE, SIDE, 3)))
    found = rewrite(model)
    assert_equal(model, found.model)
    assert found.figures["exact"] and found.skipped == ()
    assert found.figures["activations"] == sum("_swish" in layer.name for layer in model.layers)
    before, after = operators(model, "int8"), operators(found.model, "int8")
    assert before.count("HARD_SWISH") == found.figures["activations"] and "HARD_SWISH" not in after
    gates = sum("excite_sigmoid" in layer.name for layer in model.layers)
    assert after.count("MUL") == found.figures["activations"] + gates, "none is spent on a sixth"


def joined(same: bool) -> keras.Model:
    keras.utils.set_random_seed(0)
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Activation("hard_swish", name="one")(layers.Conv2D(8, 3, padding="same")(image))
    y = layers.Conv2D(8, 1, name="two")(x)
    y = layers.Activation("tanh" if same else "linear")(y)
    total = layers.Add(name="sum")([x, y])
    return keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(layers.ReLU(6.0)(total))))


def test_a_sixth_that_nothing_takes_in_stays_an_operator_and_is_named() -> None:
    model = joined(same=True)
    found = rewrite(model)
    assert_equal(model, found.model)
    assert [note.layer for note in found.skipped] == ["sum"]


def test_the_other_side_of_an_addition_is_raised_in_its_weights() -> None:
    model = joined(same=False)
    found = rewrite(model)
    assert_equal(model, found.model)
    assert "two" in {note.layer for note in found.done}
    assert [note.text.split(" ")[2] for note in found.skipped] == ["1/6"], "only before the ReLU6"


def test_normalization_takes_a_factor_in() -> None:
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Activation("hard_swish")(image)
    model = randomized(keras.Model(image, layers.BatchNormalization(name="norm")(layers.AveragePooling2D(2)(x))))
    found = rewrite(model)
    assert_equal(model, found.model)
    assert [note.layer for note in found.done if "takes in" in note.text or "take in" in note.text] == ["norm"]


def test_relu6_in_place_of_the_swishes_is_another_function_and_said_so() -> None:
    small = rewrite(build("mobilenet_v3_small", classes=4, input_shape=(SIDE, SIDE, 3)), Rewrite(hard_swish="relu6"))
    assert not small.figures["exact"]
    assert not any(isinstance(one, layers.Activation) for one in small.model.layers)
    assert "MUL" in operators(small.model, "float32"), "the gates stay"
    b0 = build("efficientnet_b0", classes=4, input_shape=(SIDE, SIDE, 3))
    swishes = sum("silu" in layer.name for layer in b0.layers)
    for form in ("relu6", "hard_swish"):
        found = rewrite(b0, Rewrite(swish=form))
        assert found.figures["activations"] == swishes and not found.figures["exact"]
        assert operators(found.model, "float32").count("LOGISTIC") == 16, "only those of the gates"


def test_what_is_to_be_kept_is_kept() -> None:
    model = randomized(build("mobilenet_v3_small", classes=4, input_shape=(SIDE, SIDE, 3)))
    found = rewrite(model, Rewrite(hard_swish="keep"))
    assert_equal(model, found.model)
    assert found.figures["activations"] == 0
    assert "HARD_SWISH" in operators(found.model, "float32")


def oldest(content: bytes) -> tuple[int, ...]:
    """The first release of TensorFlow whose runtime has every operator."""
    parsed = parse(content)
    codes = parsed.operatorCodes
    kinds = [(op_name(parsed, one), codes[one.opcodeIndex].version) for one in parsed.subgraphs[0].operators]
    return max(release for kind in kinds if (release := oldest_runtime(*kind)) is not None)


@pytest.mark.parametrize("name", ["lenet5", "mobilenet_v2", "mobilenet_v3_small"])
def test_dense_layers_as_convolutions_run_on_old_runtimes(name: str) -> None:
    model = randomized(build(name, classes=10, input_shape=(SIDE, SIDE, 3)))
    found = rewrite(model, Rewrite(dense="conv"))
    assert_equal(model, found.model)
    assert found.figures["exact"] and found.skipped == () and found.model.output_shape == model.output_shape
    assert found.figures["dense"] == sum(isinstance(layer, layers.Dense) for layer in rewrite(model).model.layers) > 0
    before, after = (convert(freeze(one, softmax=False), "dynamic") for one in (model, found.model))
    assert oldest(before) == (2, 17) and oldest(after) == (2, 4)


def test_a_dense_layer_of_a_map_becomes_a_convolution_of_it() -> None:
    image = keras.Input((SIDE, SIDE, 3))
    model = keras.Model(image, layers.Dense(4, use_bias=False, activation="tanh", name="each")(image))
    found = rewrite(model, Rewrite(dense="conv"))
    assert_equal(model, found.model)
    assert found.model.get_layer("each").get_config()["kernel_size"] == (1, 1)


def test_a_dense_layer_that_cannot_be_a_convolution_stays_and_is_named() -> None:
    image = keras.Input((SIDE, SIDE, 3))
    shared = layers.Dense(6, name="shared")
    rows = layers.Dense(2, name="rows")(layers.Reshape((SIDE, SIDE * 3))(image))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(6, 3)(image))
    total = layers.Add()([shared(shared(pooled)), layers.Dense(6)(layers.Flatten()(rows))])
    model = keras.Model(image, total)
    found = rewrite(model, Rewrite(dense="conv"))
    assert_equal(model, found.model)
    assert {note.layer: note.text for note in found.skipped} == {
        "shared": "stays a dense layer: it is called several times",
        "rows": "stays a dense layer: its input has 2 dimensions",
    }
    assert found.figures["dense"] == 1
