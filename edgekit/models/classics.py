"""Small classics of the teaching literature: LeNet-5, AlexNet, SqueezeNet 1.1 and a three-convolution student.

A table and a loop each; all end on logits. They keep their published structure at their published input size; small
inputs keep the resolution of the first strides, as everywhere in the zoo, and padding is then "same".

- lenet5: LeCun et al. 1998. tanh and average pooling, dense layers of 120 and 84; a full second convolution and pooling
  without coefficients, as it is taught. 28 px are padded to 32 in the first convolution, as the authors did.
- alexnet: the one-tower version of Krizhevsky 2014, arXiv:1404.5997, as torchvision has it: 61.1 M parameters, nearly
  all of them in two dense layers of 4096; no local response normalization. Its first convolution strides by 4, as
  published.
- squeezenet: 1.1, github.com/forresti/SqueezeNet, with the zoo's own head. The published one, a 1x1 convolution of the
  last map in front of the pooling, is the same function (but for a ReLU on the logits) at 86 M MACs more at 224 px.
- three_conv: the distillation student of some 29 thousand parameters for 32 px: 16, 32 and 80 channels, each with
  normalization and ReLU; 29,018 parameters once exported for 10 classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from edgekit.models.mobilenet import BN_EPSILON, BN_MOMENTUM
from edgekit.models.row import Wanted

LENET_CONVS, LENET_DENSE, LENET_UNPADDED = (6, 16), (120, 84), 32
# Filters, kernel, and whether a pooling follows.
ALEXNET_CONVS = ((64, 11, True), (192, 5, True), (384, 3, False), (256, 3, False), (256, 3, True))
ALEXNET_DENSE = (4096, 4096)
# Fire modules: squeezed and expanded channels (each of 1x1 and 3x3); None is a pooling.
SQUEEZENET_STEM = 64
FIRES = (
    *(None, (16, 64), (16, 64)),
    *(None, (32, 128), (32, 128)),
    *(None, (48, 192), (48, 192), (64, 256), (64, 256)),
)
THREE_CONV = (16, 32, 80)
SMALL = 64  # px; beyond it the published "valid" padding has room


def build(wanted: Wanted) -> keras.Model:
    """Float32 [n, h, w, c] -> logits [n, classes]; `strides`: those of the network's halvings, in order."""
    inputs = keras.Input(wanted.input_shape, name="image")
    return keras.Model(
        inputs, NETS[wanted.variant](inputs, wanted.classes, wanted.strides, wanted.dropout), name=wanted.name
    )


def _lenet5(x: Any, classes: int, strides: tuple[int, ...], dropout: float) -> Any:
    padding = "same" if min(x.shape[1:3]) < LENET_UNPADDED else "valid"
    for number, (filters, stride) in enumerate(zip(LENET_CONVS, strides, strict=True)):
        x = layers.Conv2D(filters, 5, padding=padding, name=f"conv{number}")(x)
        x = layers.Activation("tanh", name=f"conv{number}_tanh")(x)
        x = layers.AveragePooling2D(2, stride, padding=_same(stride), name=f"pool{number}")(x)
        padding = "valid"
    x = layers.Flatten(name="flatten")(x)
    for number, units in enumerate(LENET_DENSE):
        x = layers.Dense(units, activation="tanh", name=f"dense{number}")(x)
    return _logits(x, classes, dropout)


def _alexnet(x: Any, classes: int, strides: tuple[int, ...], dropout: float) -> Any:
    """The first two halvings are the first convolution's stride of 4. Dropout before each dense layer but the last."""
    small = min(x.shape[1:3]) <= SMALL
    stem, pools = strides[0] * strides[1], iter(strides[2:])
    for number, (filters, kernel, pooled) in enumerate(ALEXNET_CONVS):
        stride = stem if number == 0 else 1
        if number == 0 and not small:
            x = layers.ZeroPadding2D(2, name="conv0_pad")(x)
        padding = "same" if small or number else "valid"
        x = layers.Conv2D(
            filters, kernel, strides=stride, padding=padding, kernel_initializer="he_normal", name=f"conv{number}"
        )(x)
        x = layers.ReLU(name=f"conv{number}_relu")(x)
        if pooled:
            x = _max_pool(x, next(pools), small, f"conv{number}_pool")
    x = layers.Flatten(name="flatten")(x)
    for number, units in enumerate(ALEXNET_DENSE):
        x = layers.Dropout(dropout, name=f"dense{number}_dropout")(x) if dropout else x
        x = layers.Dense(units, activation="relu", kernel_initializer="he_normal", name=f"dense{number}")(x)
    return _logits(x, classes, 0.0)


def _squeezenet(x: Any, classes: int, strides: tuple[int, ...], dropout: float) -> Any:
    small = min(x.shape[1:3]) <= SMALL
    left = iter(strides)
    padding = "same" if small else "valid"
    x = _relu_conv(x, SQUEEZENET_STEM, 3, "stem", strides=next(left), padding=padding)
    for number, fire in enumerate(FIRES):
        if fire is None:
            x = _max_pool(x, next(left), small, f"pool{number}")
            continue
        squeezed, expanded = fire
        x = _relu_conv(x, squeezed, 1, f"fire{number}_squeeze")
        sides = [_relu_conv(x, expanded, kernel, f"fire{number}_expand{kernel}") for kernel in (1, 3)]
        x = layers.Concatenate(name=f"fire{number}_concat")(sides)
    return _logits(layers.GlobalAveragePooling2D(name="pool")(x), classes, dropout)


def _three_conv(x: Any, classes: int, strides: tuple[int, ...], dropout: float) -> Any:
    for number, filters in enumerate(THREE_CONV):
        x = layers.Conv2D(
            filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name=f"conv{number}"
        )(x)
        x = layers.BatchNormalization(momentum=BN_MOMENTUM, epsilon=BN_EPSILON, name=f"conv{number}_bn")(x)
        x = layers.ReLU(name=f"conv{number}_relu")(x)
        if number < len(strides):
            x = layers.MaxPooling2D(2, strides[number], padding=_same(strides[number]), name=f"pool{number}")(x)
    return _logits(layers.GlobalAveragePooling2D(name="pool")(x), classes, dropout)


def _logits(x: Any, classes: int, dropout: float) -> Any:
    x = layers.Dropout(dropout, name="dropout")(x) if dropout else x
    return layers.Dense(classes, name="logits")(x)


def _relu_conv(x: Any, filters: int, kernel: int, name: str, strides: int = 1, padding: str = "same") -> Any:
    x = layers.Conv2D(
        filters, kernel, strides=strides, padding=padding, kernel_initializer="he_normal", name=f"{name}_conv"
    )(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _max_pool(x: Any, stride: int, small: bool, name: str) -> Any:
    return layers.MaxPooling2D(3, stride, padding="same" if small else "valid", name=name)(x)


def _same(stride: int) -> str:
    return "same" if stride == 1 else "valid"


NETS: dict[str, Callable[[Any, int, tuple[int, ...], float], Any]] = {
    "lenet5": _lenet5,
    "alexnet": _alexnet,
    "squeezenet": _squeezenet,
    "three_conv": _three_conv,
}
