import keras
import numpy as np
import pytest
from keras import layers

from edgekit.compression import stream
from edgekit.compression.graph import graph_of, rebuilt
from edgekit.compression.stream import Pair, peak_of_one, together
from edgekit.errors import BadInput
from tests.compression.small import calibration

SAMPLES = np.random.default_rng(0).normal(size=(20, 8, 8, 3)).astype(np.float32)


def branched() -> keras.Model:
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    x = layers.ReLU(6.0)(layers.Conv2D(4, 3, padding="same", name="first")(image))
    y = layers.DepthwiseConv2D(3, padding="same", name="second")(x)
    x = layers.Add()([x, layers.Conv2D(4, 1, name="third")(y)])
    shared = layers.Dense(4, name="shared")
    x = shared(shared(layers.GlobalAveragePooling2D()(x)))
    return keras.Model(image, layers.Dense(2, name="last")(x))


def test_layers_are_shown_in_order_with_what_both_models_give_them() -> None:
    model, seen = branched(), []
    other = rebuilt(model)

    def visit(pair: Pair) -> None:
        seen.append((pair.name, pair.relu is not None))
        change = np.abs(np.concatenate(pair.expected) - np.concatenate(pair.given)).max()
        assert (change > 0) == (pair.name not in ("first", "second")), pair.name
        if pair.name == "second":
            pair.layer.kernel.assign(2 * pair.layer.kernel)

    done = together(model, other, calibration(SAMPLES), visit)
    assert seen == [("first", True), ("second", False), ("third", False), ("last", False)]
    inputs = keras.Model(other.input, other.get_layer("last").input)(SAMPLES)
    shown: list[np.ndarray] = []
    together(other, other, calibration(SAMPLES), lambda pair: shown.append(np.concatenate(pair.given)))
    np.testing.assert_allclose(shown[-1], inputs, atol=1e-5)
    assert (done.samples, done.of) == (20, 20)


def test_as_many_samples_as_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    model = branched()
    each = 2 * peak_of_one(graph_of(model))
    assert each == 2 * 4 * 64 * 8  # both models, float32: two maps of 8x8x4 are alive at a time
    monkeypatch.setattr(stream, "MEMORY", 5 * each)
    counted: list[int] = []
    done = together(model, model, calibration(SAMPLES), lambda pair: counted.append(sum(map(len, pair.given))))
    assert done.to_json() == {"samples": 5, "calibration_samples": 20, "peak_bytes": 5 * each}
    assert set(counted) == {5}


def test_no_samples() -> None:
    model = branched()
    with pytest.raises(BadInput, match="no calibration samples"):
        together(model, model, calibration(SAMPLES[:0]), lambda pair: None)
