"""The CIFAR ResNets: three stages of 16, 32 and 64 channels at 32, 16 and 8 px; a table and a loop.

ResNet-20 and -56 are He et al. 2015 (arXiv:1512.03385), section 4.2, with projections instead of padded shortcuts;
ResNet-8 is MLPerf Tiny's network (github.com/mlcommons/tiny, image_classification), one block a stage.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from edgekit.models.mobilenet import BN_MOMENTUM
from edgekit.models.row import Wanted

BN_EPSILON = 1e-3
WIDTHS = (16, 32, 64)
BLOCKS_A_STAGE = {"8": 1, "20": 3, "56": 9}


def build(wanted: Wanted) -> keras.Model:
    """Float32 [n, h, w, c] -> logits [n, classes]; `strides` are those of the second and third stage."""
    inputs = keras.Input(wanted.input_shape, name="image")
    x = _conv(inputs, WIDTHS[0], 3, 1, "stem")
    x = layers.ReLU(name="stem_relu")(x)
    for stage, (filters, stride) in enumerate(zip(WIDTHS, (1, *wanted.strides), strict=True)):
        for number in range(BLOCKS_A_STAGE[wanted.variant]):
            x = _basic(x, filters, stride if number == 0 else 1, f"stage{stage}_block{number}")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if wanted.dropout:
        x = layers.Dropout(wanted.dropout, name="dropout")(x)
    return keras.Model(inputs, layers.Dense(wanted.classes, name="logits")(x), name=wanted.name)


def _basic(x: Any, filters: int, stride: int, name: str) -> Any:
    """Two 3x3 convolutions and a shortcut, projected by a 1x1 convolution where stride or channels change."""
    y = _conv(x, filters, 3, stride, f"{name}_first")
    y = layers.ReLU(name=f"{name}_first_relu")(y)
    y = _conv(y, filters, 3, 1, f"{name}_second")
    if stride != 1 or x.shape[-1] != filters:
        x = _conv(x, filters, 1, stride, f"{name}_shortcut")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))


def _conv(x: Any, filters: int, kernel: int, stride: int, name: str) -> Any:
    """Convolution and batch normalization; no bias, the normalization has one."""
    x = layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    return layers.BatchNormalization(momentum=BN_MOMENTUM, epsilon=BN_EPSILON, name=f"{name}_bn")(x)
