"""A small trained classifier with what makes quantization interesting: batch normalization and a residual add."""

from dataclasses import dataclass
from typing import Any

import pytest

from edgekit.data.dataset import Dataset, load_data
from edgekit.models.backend import import_keras
from edgekit.preprocess import preset


@dataclass(frozen=True)
class Trained:
    model: Any
    dataset: Dataset


@pytest.fixture(scope="package")
def trained() -> Trained:
    keras = import_keras("Testing")
    keras.utils.set_random_seed(0)
    dataset = load_data("digits", preprocess=preset("tf", 8, 8))
    image = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Conv2D(16, 3, padding="same", use_bias=False, name="stem")(image)
    x = keras.layers.ReLU(name="stem_relu")(keras.layers.BatchNormalization(momentum=0.8, name="stem_bn")(x))
    y = keras.layers.Conv2D(16, 3, padding="same", name="branch")(x)
    x = keras.layers.Add(name="sum")([x, y])
    x = keras.layers.GlobalAveragePooling2D(name="pool")(keras.layers.ReLU(name="relu")(x))
    model = keras.Model(image, keras.layers.Dense(10, name="logits")(x), name="tiny")
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    pixels = dataset.train.read(range(len(dataset.train))) / 127.5 - 1
    model.optimizer.learning_rate = 0.01
    model.fit(pixels, dataset.train.labels, batch_size=64, epochs=6, verbose=0)
    return Trained(model, dataset)
