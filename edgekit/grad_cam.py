"""Where in a picture a Keras classifier finds what speaks for a class: Grad-CAM.

Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization",
arXiv:1610.02391, section 3: each channel of the last convolutional feature map is weighted by the mean of the gradient
of the class's score (before the softmax) over its positions; the weighted sum, where it is above 0, is the map. Needs
the TensorFlow backend.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgekit.compression.graph import keras_nodes
from edgekit.compression.lower import lower
from edgekit.errors import BadInput
from edgekit.models.backend import import_keras
from edgekit.models.fake_quant import is_fake_quantized
from edgekit.models.head import ends_in_softmax, on_logits

keras = import_keras("Grad-CAM")
KERNEL_RANK = 4  # of a convolution's weights: height, width, in, out


def prepared(model: Any) -> Any:
    """The model as `grad_cam` takes it: flat, on logits; one that is fake-quantized is so already. Raises BadInput for
    what is no graph of layers."""
    if is_fake_quantized(model):
        return model
    flat = lower(model).model
    return on_logits(flat) if ends_in_softmax(flat) else flat


def feature_map(model: Any) -> Any:
    """The symbolic tensor [n, height, width, channels] of the last convolutional feature map larger than 1x1: behind
    the normalization and the activation of the last such convolution, and what joins others to it, in front of pooling.
    Raises BadInput where there is none."""
    maps = [(node.operation, node.output_tensors[0]) for node in keras_nodes(model) if _is_map(node.output_tensors[0])]
    size = next((one.shape[1:3] for operation, one in reversed(maps) if _convolves(operation)), None)
    if size is None:
        raise BadInput(
            f"{model.name} has no convolutional feature map larger than one position, so Grad-CAM has nothing to show.",
            "Give a convolutional network.",
        )
    return next(one for _, one in reversed(maps) if one.shape[1:3] == size)


def grad_cam(model: Any, images: np.ndarray, classes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """(maps, scores) of a `prepared` model with one input and one score a class.

    images: float32 [n, height, width, 3], as the model takes them; classes: of each the one to explain. Of two classes
    one score is enough, that of the second. maps: float32 [n, h, w] of the feature map's size, the largest value of
    each 1, or all 0 where nothing in the picture speaks for the class; scores: float32 [n, scores]. Raises BadInput for
    another kind of model, or values that are not finite.
    """
    import tensorflow as tf

    both = keras.Model(model.inputs, [feature_map(model), _scores(model)])
    maps, scores = [], []
    for image, wanted in zip(images, classes, strict=True):  # one at a time: the tape holds every activation
        with tf.GradientTape() as tape:
            given = tf.convert_to_tensor(image[None])
            tape.watch(given)  # so that a model of frozen layers is recorded too
            features, answer = both(given, training=False)
            answer = tf.reshape(answer, (-1,))
            score = answer[wanted] if answer.shape[0] > 1 else answer[0] * (1.0 if wanted else -1.0)
        gradient = tape.gradient(score, features)
        maps.append(
            _map(features.numpy()[0], np.zeros(features.shape[1:]) if gradient is None else gradient.numpy()[0])
        )
        scores.append(answer.numpy())
    if not np.isfinite(maps).all():
        raise BadInput(f"The gradients of {model.name} are not finite.", "Check the model: it overflows.")
    return np.asarray(maps, np.float32), np.asarray(scores, np.float32)


def _map(features: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """[h, w, channels] twice -> [h, w], the largest value 1."""
    found = np.maximum(features @ gradient.mean(axis=(0, 1)), 0.0)
    return found / (found.max() or 1.0)


def _scores(model: Any) -> Any:
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise BadInput(f"{model.name} has not one input and one output.", "Give a classifier of one image.")
    return model.outputs[0]


def _is_map(tensor: Any) -> bool:
    sides = tensor.shape[1:]
    return len(sides) == 3 and None not in sides and math.prod(sides[:2]) > 1


def _convolves(operation: Any) -> bool:
    return any(len(weight.shape) == KERNEL_RANK for weight in getattr(operation, "weights", ()))
