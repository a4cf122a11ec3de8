"""Small networks whose channels hang together in every way there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from edgekit.compression.channel_groups import ChannelGraph
from tests.compression.small import randomized

SIDE = 12


def images(n: int = 6, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (n, side, side, 3)).astype(np.float32)


def some(found: ChannelGraph, share: float = 0.6, seed: int = 0) -> dict[str, list[int]]:
    """Of every group that can lose channels, a random part."""
    draw = np.random.default_rng(seed)
    return {g.name: sorted(draw.choice(g.size, max(1, int(g.size * share)), False).tolist()) for g in found.free}


def worst(model: Any, other: Any, given: Any) -> float:
    """How far the outputs are from each other, by the largest of them."""
    pairs = zip(*(keras.tree.flatten(one(given)) for one in (model, other)), strict=True)
    return max(float(np.abs(np.asarray(a) - np.asarray(b)).max() / np.abs(np.asarray(b)).max()) for a, b in pairs)


def _conv(x: Any, filters: int, name: str, size: int = 3, **rest: Any) -> Any:
    return layers.BatchNormalization(name=f"{name}_bn")(
        layers.Conv2D(filters, size, padding="same", name=name, **rest)(x)
    )


def residual(x: Any) -> Any:
    """A skip connection, a gate over the channels (SE) and a gate over the positions, which has one channel."""
    x = _conv(x, 8, "stem", activation="relu")
    y = layers.PReLU(shared_axes=[1, 2], name="prelu")(_conv(x, 16, "expand"))
    gate = layers.Dense(4, activation="swish", name="squeeze")(layers.GlobalAveragePooling2D(keepdims=True)(y))
    y = layers.Multiply(name="gated")([y, layers.Dense(16, activation="hard_sigmoid", name="excite")(gate)])
    y = layers.Multiply(name="seen")([y, layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="where")(y)])
    return layers.ReLU()(layers.Add(name="sum")([layers.Dropout(0.1, (None, 1, 1, 1))(_conv(y, 8, "project", 1)), x]))


def concatenated(x: Any) -> Any:
    """Dense blocks with normalization before activation, and branches that are added as one."""
    x = layers.Conv2D(8, 3, padding="same", name="stem")(x)
    for number in range(2):
        y = layers.Activation("elu")(layers.BatchNormalization(name=f"norm{number}")(x))
        x = layers.Concatenate(name=f"with{number}")([x, layers.Conv2D(6, 3, padding="same", name=f"new{number}")(y)])
    x = layers.Add(name="sum")([x, layers.Conv2D(20, 1, name="beside")(x)])
    return layers.Rescaling(np.linspace(0.5, 1.5, 20), np.linspace(-1, 1, 20), name="scaled")(x)


def depthwise(x: Any) -> Any:
    """Depthwise with a multiplier, separable, transposed, and down to a vector in two ways."""
    x = layers.ReLU(6.0)(_conv(x, 6, "stem"))
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="twice")(layers.ZeroPadding2D(1)(x))
    x = layers.SeparableConv2D(10, 3, strides=2, padding="same", activation="gelu", name="apart")(x)
    x = layers.Conv2DTranspose(7, 2, strides=2, name="up")(layers.SpatialDropout2D(0.1)(x))
    x = layers.Flatten()(layers.MaxPooling2D(3)(x))
    x = layers.Reshape((4, 4, 7), name="back")(layers.PReLU(name="each")(x))
    return layers.UpSampling2D()(layers.Average(name="mean")([x, layers.Dense(7, name="mixed")(x)]))


def nested(x: Any) -> Any:
    """Models in a model, operators and constants."""
    inner = keras.Input(x.shape[1:])
    y = layers.Conv2D(8, 3, name="inner")(inner / 2.0)
    part = keras.Model(inner, keras.ops.relu6(y) + 1.0, name="part")
    x = layers.Conv2D(12, 3, activation="relu", name="outer")(part(x) * np.linspace(1, 2, 8).astype(np.float32))
    return keras.ops.reshape(keras.ops.mean(x, axis=(1, 2)), (-1, 1, 1, 12))


BODIES: dict[str, Callable[[Any], Any]] = {
    "residual": residual,
    "concatenated": concatenated,
    "depthwise": depthwise,
    "nested": nested,
}


def network(body: str) -> Any:
    """The body between an image and four logits, with random batch statistics and biases."""
    keras.utils.set_random_seed(0)
    image = keras.Input((SIDE, SIDE, 3), name="image")
    x = layers.Flatten()(BODIES[body](image))
    model = keras.Model(image, layers.Dense(4, name="logits")(x), name=body)
    draw = np.random.default_rng(2)
    for weights in (weights for weights in model.weights if weights.name in ("bias", "alpha")):
        weights.assign(draw.normal(0, 0.3, weights.shape))
    return randomized(model)
