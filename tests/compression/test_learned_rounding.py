from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from edgekit.compression.learned_rounding import learn_rounding
from edgekit.compression.likeness import likeness
from edgekit.compression.quantize_aware import prepare
from edgekit.compression.step import Note
from edgekit.models.fake_quant import on_grid
from edgekit.progress import Progress
from tests.compression.small import calibration, randomized

SAMPLES = calibration(np.random.default_rng(0).uniform(-1, 1, (16, 16, 16, 3)).astype(np.float32))
OPTIONS = {"iterations": 150, "eight_bits": ("logits",)}


def network() -> keras.Model:
    """An inverted residual block."""
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="stem")(image)
    x = layers.ReLU(6.0)(layers.BatchNormalization(name="stem_bn")(x))
    y = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(24, 1, use_bias=False, name="expand")(x)))
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(y)
    y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
    y = layers.BatchNormalization()(layers.Conv2D(8, 1, use_bias=False, name="project")(y))
    x = layers.GlobalAveragePooling2D()(layers.Add(name="sum")([x, y]))
    return randomized(keras.Model(image, layers.Dense(5, name="logits")(x), name="net"))


def weights_agree(one: keras.Model, other: keras.Model) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def test_nearer_to_the_float_model_than_rounding_to_the_nearest() -> None:
    model = network()
    step = learn_rounding(model, SAMPLES, **OPTIONS)
    plain = prepare(model, SAMPLES, weight_bits=4, eight_bits=("logits",)).model
    assert likeness(model, step.model, SAMPLES).sqnr_db > likeness(model, plain, SAMPLES).sqnr_db + 3
    assert [note.layer for note in step.done] == ["stem", "expand", "depthwise", "project", "logits"]
    assert step.skipped == ()
    assert {name: found["bits"] for name, found in step.figures["errors"].items()} == {
        "stem": 4, "expand": 4, "depthwise": 4, "project": 4, "logits": 8,
    }  # fmt: skip
    for found in step.figures["errors"].values():
        assert found["learned"] < found["nearest"] or found["bits"] == 8
    for name in ("stem", "expand", "depthwise", "project", "logits"):
        layer = step.model.get_layer(name)
        kernel = np.asarray(layer.kernel)
        np.testing.assert_allclose(np.asarray(on_grid(kernel, layer.weight_bits, layer.AXES)), kernel, rtol=1e-5)


def test_what_it_does_not_round() -> None:
    image = keras.Input((16, 16, 3))
    x = layers.BatchNormalization(name="scale")(layers.MaxPooling2D()(image))
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    x = layers.Conv2D(4, 1, name="stays")(shared(layers.ReLU()(shared(x))))
    model = randomized(keras.Model(image, layers.Dense(2, name="last")(layers.Flatten()(x))))
    step = learn_rounding(model, SAMPLES, iterations=20, weight_bits=8, exclude=["stays"])
    assert [note.layer for note in step.done] == ["last"]
    assert set(step.skipped) == {
        Note("stays", "excluded: it stays float"),
        Note("scale", "a scale a channel, which is exact on its grid"),
        Note("shared", "called more than once: rounded to the nearest"),
    }


def test_after_a_kill_it_goes_on_and_ends_with_the_same_weights(tmp_path: Path) -> None:
    model, whole = network(), learn_rounding(network(), SAMPLES, **OPTIONS)

    def kill(said: Progress) -> None:
        if said.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn_rounding(model, SAMPLES, **OPTIONS, state=tmp_path, progress=kill)
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == ["000-stem.npz", "001-expand.npz", "002-depthwise.npz"]
    times = [path.stat().st_mtime_ns for path in files]
    step = learn_rounding(model, SAMPLES, **OPTIONS, state=tmp_path)
    assert weights_agree(step.model, whole.model)
    assert (step.done, step.figures) == (whole.done, whole.figures)
    assert [path.stat().st_mtime_ns for path in files] == times
    other = learn_rounding(model, SAMPLES, **{**OPTIONS, "iterations": 60}, state=tmp_path)
    assert not weights_agree(other.model, whole.model)
