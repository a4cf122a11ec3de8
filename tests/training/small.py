"""A real, small training job: some digits at 8x8 and a model of two convolutions."""

from __future__ import annotations

import dataclasses
import functools
import hashlib

import keras
from keras import layers

from edgekit.data.dataset import Dataset, load_data
from edgekit.preprocess import preset

SIZE = 8


class Untouchable:
    """A split that fails on any use: what training must never read (R17)."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"training used the test split ({name})")

    def __len__(self) -> int:
        raise AssertionError("training asked how many test images there are")


@functools.cache
def digits(train: int = 96, val: int = 40) -> Dataset:
    """The first images of the digits, with a test split that cannot be read."""
    data = load_data("digits", preprocess=preset("tf", SIZE, SIZE))
    return dataclasses.replace(
        data, train=data.train.take(range(train)), val=data.val.take(range(val)), test=Untouchable()
    )


def model(seed: int = 0, dropout: float = 0.3, classes: int = 10) -> keras.Model:
    """Convolution, normalization, dropout: every kind of state that training has to keep."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="first")(image)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9, name="norm")(x))
    x = layers.Conv2D(16, 3, strides=2, padding="same", name="second")(x)
    x = layers.Dropout(dropout)(layers.Flatten()(layers.ReLU()(x)))
    return keras.Model(image, layers.Dense(classes, name="logits")(x))


def digest(model: keras.Model) -> str:
    """sha256 of all weights' bytes."""
    return hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest()
