import keras
import numpy as np
import pytest
from keras import layers

from edgekit.compression.equalize import equalize
from edgekit.compression.step import Note
from tests.compression.small import calibration, randomized

PIXELS = np.random.default_rng(0).uniform(-1, 1, (16, 12, 12, 3)).astype(np.float32)


def network(uneven: bool, limit: float | None = None) -> keras.Model:
    """A convolution, a depthwise one, a 1x1 and a dense layer; `uneven` channels differ up to 300 times."""
    keras.utils.set_random_seed(0)
    image = keras.Input((12, 12, 3), name="image")
    x = layers.ReLU(limit, name="relu1")(layers.BatchNormalization()(layers.Conv2D(8, 3, name="conv")(image)))
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x)
    x = layers.ReLU(limit, name="relu2")(layers.BatchNormalization()(x))
    x = layers.ReLU(limit, name="relu3")(layers.Conv2D(6, 1, name="point")(layers.MaxPooling2D()(x)))
    x = layers.Dense(4, name="logits")(layers.GlobalAveragePooling2D()(x))
    model = randomized(keras.Model(image, x, name="net"))
    if uneven:
        factors = np.geomspace(0.05, 15, 8).astype(np.float32)
        norm = next(one for one in model.layers if isinstance(one, layers.BatchNormalization))
        norm.gamma.assign(norm.gamma * factors)
        norm.beta.assign(norm.beta * factors)
        depthwise = model.get_layer("depthwise")
        depthwise.kernel.assign(depthwise.kernel / factors[:, None])
    return model


def test_uneven_channels_are_evened_out_and_int8_wins() -> None:
    model = network(uneven=True)
    step = equalize(model, calibration(PIXELS))
    assert [(note.layer, note.text) for note in step.done] == [
        ("conv", "equalized with depthwise"),
        ("depthwise", "equalized with point"),
        ("point", "equalized with logits"),
    ]
    assert step.skipped == (Note("logits", "not equalized: its output is the model's"),)
    assert step.figures["kept"] and step.figures["pairs"] == 3
    assert step.figures["after"]["sqnr_db"] > step.figures["before"]["sqnr_db"] + 3
    expected = np.asarray(model(PIXELS))
    np.testing.assert_allclose(np.asarray(step.model(PIXELS)), expected, atol=1e-4 * np.abs(expected).max())
    conv, depthwise = (np.abs(step.model.get_layer(name).get_weights()[0]) for name in ("conv", "depthwise"))
    np.testing.assert_allclose(conv.max(axis=(0, 1, 2)), depthwise.max(axis=(0, 1, 3)), rtol=0.02)


def test_the_model_stays_as_it_was_where_nothing_is_won() -> None:
    model = network(uneven=False)
    step = equalize(model, calibration(PIXELS))
    assert not step.figures["kept"] and step.done == ()
    assert step.skipped[-1].text.startswith("left as it was: equalization does not help")
    for before, after in zip(model.get_weights(), step.model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_without_samples_the_report_says_that_nothing_was_measured() -> None:
    step = equalize(network(uneven=True))
    assert step.done[0].text == "equalized with depthwise; not measured, no calibration samples were given"
    assert step.figures["before"] is None


def test_relu6_does_not_scale() -> None:
    step = equalize(network(uneven=False, limit=6.0))
    assert step.done == () and step.figures == {"pairs": 0, "kept": False}
    assert step.skipped[0] == Note(
        "conv", "not equalized: relu1 (ReLU up to 6) behind it does not scale with its input"
    )


def test_branches_shared_and_grouped_layers_and_other_activations_are_named() -> None:
    image = keras.Input((8, 8, 4))
    shared = layers.Conv2D(4, 3, padding="same", name="shared")
    x = shared(shared(image))
    y = layers.Conv2D(4, 1, name="branch")(x)
    x = layers.Add(name="sum")([layers.Conv2D(4, 1, name="one")(y), layers.ReLU(name="other")(y)])
    x = layers.Activation("tanh", name="bend")(layers.Conv2D(4, 1, name="bent")(x))
    x = layers.Conv2D(4, 1, groups=2, name="grouped")(layers.Conv2D(4, 1, name="before")(x))
    step = equalize(randomized(keras.Model(image, x)))
    assert {note.layer: note.text.removeprefix("not equalized: ") for note in step.skipped} == {
        "shared": "it is called more than once",
        "branch": "one and other use its output",
        "one": "sum (Add) behind it does not scale with its input",
        "bent": "bend (tanh) behind it does not scale with its input",
        "before": "grouped behind it is a grouped convolution",
        "grouped": "its output is the model's",
    }


@pytest.mark.parametrize("name", ["mobilenet_v1", "resnet18"])
def test_the_zoo_keeps_its_function(name: str) -> None:
    from edgekit.models.zoo import build

    model = randomized(build(name, classes=5, input_shape=(32, 32, 3)))
    step = equalize(model)
    expected = np.asarray(model(np.resize(PIXELS, (4, 32, 32, 3))))
    found = np.asarray(step.model(np.resize(PIXELS, (4, 32, 32, 3))))
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
