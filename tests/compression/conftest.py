"""The digits at 8x8, and a network of two convolutions that knows them."""

from typing import Any

import pytest

import edgekit as ek
from edgekit.train_config import Train


@pytest.fixture(scope="module")
def data() -> ek.Dataset:
    return ek.load_data("digits", preprocess=ek.preset("tf", 8, 8))


@pytest.fixture(scope="module")
def trained(data: ek.Dataset) -> Any:
    """92 % of the test digits or so: good enough to lose something."""
    from edgekit.training.fit import train  # what imports Keras waits until a test asks for it
    from tests.training import small

    model = small.model()
    train(model, data, Train(epochs=6, batch_size=32, learning_rate=5e-3))
    return model
