import pytest

from edgekit.errors import BadInput
from edgekit.exporting.freeze import served
from edgekit.models.backend import import_keras


def test_a_sequential_model_is_served_as_it_is_and_one_without_an_input_is_said() -> None:
    keras = import_keras("Testing")
    whole = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="last")])
    assert served(whole).output_names == ("last",)
    with pytest.raises(BadInput, match="does not know what it is given"):
        served(keras.Sequential([keras.layers.Dense(3)], name="unbuilt"))
