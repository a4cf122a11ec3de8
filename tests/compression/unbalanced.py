"""A trained classifier that int8 spoils in one known layer, for the steps that find it and mend it."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekit.data.dataset import Dataset, load_data
from edgekit.models.backend import import_keras
from edgekit.preprocess import preset

SPOILED = "wide"  # the layer whose activations int8 cannot hold: one channel is a thousand times the others


def digits() -> Dataset:
    return load_data("digits", preprocess=preset("tf", 8, 8))


def network(dataset: Dataset) -> Any:
    """8x8 RGB -> 10 logits. One channel of `wide` is a thousand times as large as the others, and its readers' weights
    a thousandth: the same function in float, while int8 has a single step left for the other channels."""
    keras = import_keras("Testing")
    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(12, 3, padding="same", activation="relu", name="stem")(image)
    x = layers.Conv2D(12, 3, padding="same", activation="relu", name=SPOILED)(x)
    x = layers.Conv2D(16, 3, activation="relu", name="narrow")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(image, layers.Dense(10, name="logits")(x), name="unbalanced")
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    pixels = dataset.train.read(range(len(dataset.train))) / 127.5 - 1
    model.fit(pixels, dataset.train.labels, batch_size=64, epochs=8, verbose=0)
    scale = np.where(np.arange(12) == 0, 1000.0, 1.0).astype(np.float32)
    kernel, bias = model.get_layer(SPOILED).get_weights()
    model.get_layer(SPOILED).set_weights([kernel * scale, bias * scale])
    kernel, bias = model.get_layer("narrow").get_weights()
    model.get_layer("narrow").set_weights([kernel / scale[:, None], bias])
    return model
