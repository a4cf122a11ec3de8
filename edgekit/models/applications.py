"""`keras:NAME`: any network of keras.applications as it stands, on logits, with the preprocessing it was trained with.

The table needs no Keras. Where the zoo has the same network, with the same weights and outputs, `keras:NAME` means the
zoo's: it has its normalization in the preset rather than in the graph, and takes small inputs. The others are built by
Keras. Of these, EfficientNetV2-B and ConvNeXt normalize in the graph only if asked to, which is not done here;
EfficientNetV2-S, -M and -L subtract and divide by 128, which no preset does, so they take raw pixels.
"""

from __future__ import annotations

from typing import Any

from edgekit.errors import BadInput, unknown
from edgekit.models.backend import import_keras
from edgekit.models.row import Imagenet, Row, Wanted

PREFIX = "keras:"
PUBLISHED = "keras.io/api/applications"
SMALLEST = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}  # px; Keras refuses less
SMALLEST_OTHERS = 32
UNNORMALIZED = ("EfficientNetV2B", "ConvNeXt")

# NAME -> the same network in the zoo.
OURS: dict[str, str] = {
    "MobileNet": "mobilenet_v1",
    "MobileNetV2": "mobilenet_v2",
    "MobileNetV3Small": "mobilenet_v3_small",
    "MobileNetV3Large": "mobilenet_v3_large",
    **{f"EfficientNetB{number}": f"efficientnet_b{number}" for number in range(8)},
    "ResNet50": "resnet50",
    "ResNet101": "resnet101",
    "ResNet152": "resnet152",
    "ResNet50V2": "resnet50_v2",
}

# NAME -> preset, published input size in px, top-1 of Keras's weights in percent.
THEIRS: dict[str, tuple[str, int, float]] = {
    "VGG16": ("caffe", 224, 71.3),
    "VGG19": ("caffe", 224, 71.3),
    "DenseNet121": ("imagenet", 224, 75.0),
    "DenseNet169": ("imagenet", 224, 76.2),
    "DenseNet201": ("imagenet", 224, 77.3),
    "InceptionV3": ("tf", 299, 77.9),
    "InceptionResNetV2": ("tf", 299, 80.3),
    "Xception": ("tf", 299, 79.0),
    "NASNetMobile": ("tf", 224, 74.4),
    "NASNetLarge": ("tf", 331, 82.5),
    "ResNet101V2": ("tf", 224, 77.2),
    "ResNet152V2": ("tf", 224, 78.0),
    "EfficientNetV2B0": ("imagenet", 224, 78.7),
    "EfficientNetV2B1": ("imagenet", 240, 79.8),
    "EfficientNetV2B2": ("imagenet", 260, 80.5),
    "EfficientNetV2B3": ("imagenet", 300, 82.0),
    "EfficientNetV2S": ("raw", 384, 83.9),
    "EfficientNetV2M": ("raw", 480, 85.3),
    "EfficientNetV2L": ("raw", 480, 85.7),
    "ConvNeXtTiny": ("imagenet", 224, 81.3),
    "ConvNeXtSmall": ("imagenet", 224, 82.3),
    "ConvNeXtBase": ("imagenet", 224, 85.3),
    "ConvNeXtLarge": ("imagenet", 224, 86.3),
    "ConvNeXtXLarge": ("imagenet", 224, 86.7),
}


def row(name: str) -> Row:
    """The row of a network of Keras's own, `name` without the prefix. Raises BadInput for a name of neither table."""
    if name not in THEIRS:
        raise unknown("model", f"{PREFIX}{name}", [f"{PREFIX}{one}" for one in (*OURS, *THEIRS)])
    preset, size, top1 = THEIRS[name]
    imagenet = Imagenet(top1, PUBLISHED, f"keras.applications.{name}")
    return Row("applications", name, 0, preset, size, None, f"keras.applications.{name}", imagenet)


def build(wanted: Wanted) -> Any:
    """The functional model [n, h, w, c] -> logits [n, classes] that Keras builds, with random weights.

    Layers and model have Keras's names. Raises BadInput for an input smaller than the network can take, and for a
    dropout: what Keras builds has its own.
    """
    if wanted.dropout:
        raise BadInput(f"{wanted.name} has the dropout that Keras gives it.", "Leave dropout out.")
    smallest = SMALLEST.get(wanted.variant, SMALLEST_OTHERS)
    if min(wanted.input_shape[:2]) < smallest:
        given = f"{wanted.input_shape[0]}x{wanted.input_shape[1]}"
        raise BadInput(
            f"{wanted.variant} needs an input of at least {smallest}x{smallest} pixels, not {given}.",
            f"Set the image size to {smallest} or more, or choose a model of the zoo, which takes small inputs.",
        )
    network = getattr(import_keras("Building a model").applications, wanted.variant)
    outside = {"include_preprocessing": False} if wanted.variant.startswith(UNNORMALIZED) else {}
    return network(
        weights=None,
        classes=wanted.classes,
        input_shape=wanted.input_shape,
        classifier_activation=None,
        **outside,
    )
