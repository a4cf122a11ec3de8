import keras
import numpy as np
import pytest
from keras import layers

from edgekit.compression.likeness import Likeness, likeness
from edgekit.exporting.calibration import Calibration
from tests.compression.small import calibration

X = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)


def scaled(factor: float) -> keras.Model:
    inputs = keras.Input((4,), name="features")
    return keras.Model(inputs, layers.Rescaling(factor)(inputs))


def test_against_a_scaled_copy() -> None:
    found = likeness(scaled(1.0), scaled(0.9), calibration(X))
    assert found.sqnr_db == pytest.approx(20, abs=1e-3)  # an error of a tenth
    assert (found.agreement, found.samples) == (1.0, 20)
    assert found.said() == "20.0 dB and 100.0% agreement"
    assert likeness(scaled(1.0), scaled(-1.0), calibration(X)).agreement == 0
    assert likeness(scaled(1.0), scaled(1.0), calibration(X)).to_json() == {
        "sqnr_db": None, "agreement": 1.0, "samples": 20,
    }  # fmt: skip


def test_of_several_outputs_the_worst_counts_and_nothing_agrees() -> None:
    def model(factor: float) -> keras.Model:
        first, second = keras.Input((4,), name="first"), keras.Input((4,), name="second")
        return keras.Model([first, second], [layers.Rescaling(1.0)(first), layers.Rescaling(factor)(second)])

    found = likeness(model(1.0), model(0.5), Calibration(lambda: ((x[None], x[None] + 1) for x in X)))
    assert found.sqnr_db == pytest.approx(20 * np.log10(2), abs=1e-3)
    assert found.agreement is None and found.said() == "6.0 dB"


def test_better_is_more_than_other_roundings_make() -> None:
    worse = Likeness(30.0, None, 5)
    assert Likeness(30.6, None, 5).better_than(worse) and not Likeness(30.4, None, 5).better_than(worse)
