import keras
import numpy as np
from keras import layers

from edgekit.compression.bias import correct_bias, split, with_biases
from edgekit.compression.quantize_aware import prepare
from edgekit.compression.step import Note
from tests.compression.small import calibration, randomized

SAMPLES = calibration(np.random.default_rng(0).uniform(0, 1, (30, 12, 12, 3)).astype(np.float32))


def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    image = keras.Input((12, 12, 3), name="image")
    x = layers.Conv2D(8, 3, use_bias=False, name="conv")(image)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.ReLU()(layers.DepthwiseConv2D(3, name="depthwise")(x))
    x = layers.ReLU()(layers.Conv2D(8, 1, use_bias=False, name="bare")(x))
    x = layers.Dense(6, name="logits")(layers.GlobalAveragePooling2D()(x))
    return randomized(keras.Model(image, x, name="net"))


def test_the_mean_of_every_channel_is_the_float_models() -> None:
    model = network()
    step = correct_bias(prepare(model, SAMPLES, weight_bits=4).model, model, SAMPLES)
    assert step.figures["kept"] and step.skipped == ()
    assert [note.layer for note in step.done] == ["conv", "depthwise", "bare", "logits"]
    assert step.figures["after"]["sqnr_db"] > step.figures["before"]["sqnr_db"] + 1
    seen = np.concatenate([one for (one,) in split(SAMPLES)[0].samples()])
    wanted, found = (np.asarray(one(seen)).mean(axis=0) for one in (model, step.model))
    np.testing.assert_allclose(found, wanted, atol=0.02 * np.abs(wanted).max())


def test_a_model_without_error_is_left_as_it_was() -> None:
    model = network()
    exact = prepare(model, SAMPLES).model
    step = correct_bias(exact, exact, SAMPLES)  # nothing to correct
    assert not step.figures["kept"] and step.done == ()
    assert step.skipped[-1].layer == "net" and step.skipped[-1].text.startswith("left as it was")
    for before, after in zip(exact.get_weights(), step.model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_what_is_not_corrected_is_named() -> None:
    image = keras.Input((12, 12, 3), name="image")
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    x = layers.Conv2D(4, 1, name="stays")(shared(layers.ReLU()(shared(image))))
    model = keras.Model(image, layers.Dense(6, name="logits")(layers.GlobalAveragePooling2D()(x)))
    step = correct_bias(prepare(model, SAMPLES, weight_bits=4, exclude=["stays"]).model, model, SAMPLES)
    assert set(step.skipped[:2]) == {
        Note("shared", "not corrected: it is called more than once"),
        Note("stays", "not corrected: it stays float"),
    }


def test_a_bias_of_zero_changes_nothing() -> None:
    model = network()
    other = with_biases(model)
    assert all(one.use_bias for one in other.layers if hasattr(one, "use_bias"))
    (x,) = next(iter(SAMPLES.samples()))
    np.testing.assert_array_equal(np.asarray(other(x)), np.asarray(model(x)))


def test_every_fifth_sample_measures_unless_there_are_few() -> None:
    learned, held = (list(part.samples()) for part in split(SAMPLES))
    assert (len(learned), len(held)) == (24, 6)
    few = calibration(np.zeros((4, 2), np.float32))
    assert [len(list(part.samples())) for part in split(few)] == [4, 4]
