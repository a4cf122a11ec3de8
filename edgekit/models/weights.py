"""Weights from elsewhere into a model of the zoo: published ones, or a file.

Everything is read and compared before anything is assigned: a model is loaded whole or left as it was.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import BadInput, EdgekitWarning
from edgekit.models.row import Row
from edgekit.models.weight_files import Saved, read, weighted

IMAGENET = "imagenet"


def load_into(model: Any, name: str, row: Row | None, weights: str) -> tuple[str, ...]:
    """Loads `weights`, "imagenet" or the path of a file, into `model`, which is the zoo's `name` of `row`.

    Where the weights are of other classes, the last layer keeps its random values, and so it does where the file
    has none; the names of such layers are returned, and for a file it is warned of. Raises BadInput when there are
    no such weights, when they cannot be fetched or read, or when they are another model's, naming the first layer
    that differs and both shapes; MissingExtra when they come with a package that is not installed.
    """
    if not hasattr(model, "layers"):
        raise BadInput(f"{name} is a graph without layers, which takes no weights.", "Leave --weights out.")
    if weights == IMAGENET:
        from edgekit.models import published

        return assign(model, published.read(model, name, row), f"The ImageNet weights of {name}")
    kept = assign(model, read(Path(weights), model, row), weights)
    if kept:
        warnings.warn(
            f"{', '.join(kept)} keeps random values: {weights} is not of {model.output_shape[-1]} classes.",
            EdgekitWarning,
            stacklevel=2,
        )
    return kept


def copy_from_keras(model: Any, reference: Any) -> tuple[str, ...]:
    """Copies the weights of the same network as keras.applications builds it, without its in-graph normalization.

    With the last layer only where the classes agree; returns the names of layers that were left out. Raises BadInput
    naming the first layer that differs.
    """
    return assign(model, from_keras(reference), f"keras.applications' {reference.name}")


def from_keras(reference: Any) -> tuple[Saved, ...]:
    """The layers of a Keras model, without Normalization: ours is in the preset."""
    return tuple(
        Saved(layer.name, tuple(np.asarray(value) for value in layer.get_weights()))
        for layer in weighted(reference)
        if type(layer).__name__ != "Normalization"
    )


def assign(model: Any, saved: Sequence[Saved], source: str) -> tuple[str, ...]:
    """Gives each layer its arrays, all or none; a 1x1 convolution's fit a dense layer. Returns the layers left out."""
    layers = list(weighted(model))
    kept = _compare(layers, saved, model, source)
    for layer, found in zip(layers[: len(layers) - len(kept)], saved, strict=False):
        layer.set_weights([value.reshape(own.shape) for value, own in zip(found.arrays, layer.weights, strict=True)])
    return tuple(layer.name for layer in kept)


def _compare(layers: list[Any], saved: Sequence[Saved], model: Any, source: str) -> list[Any]:
    """The layers at the end that the weights do not have: none, or the classifier. Raises BadInput."""
    for index, (layer, found) in enumerate(zip(layers, saved, strict=False)):
        ours, theirs = _shapes(layer.weights), _shapes(found.arrays)
        if [_core(shape) for shape in ours] == [_core(shape) for shape in theirs]:
            continue
        if index == len(layers) - 1 == len(saved) - 1 and (not theirs or _other_classes(ours, theirs)):
            return [layer]
        raise BadInput(
            f"{source} does not fit {model.name}: its layer {layer.name} has {_say(ours)}, "
            f"and {found.name} of the weights has {_say(theirs)}.",
            "Choose the model, width and input that the weights were made with.",
        )
    if len(saved) == len(layers) - 1 and model.output_shape[-1] == layers[-1].weights[-1].shape[-1]:
        return layers[-1:]
    if len(saved) != len(layers):
        first = saved[len(layers)].name if len(saved) > len(layers) else layers[len(saved)].name
        raise BadInput(
            f"{source} has {len(saved)} layers with weights and {model.name} has {len(layers)}: the first that only "
            f"one of them has is {first}.",
            "Choose the model that the weights were made with.",
        )
    return []


def _shapes(arrays: Sequence[Any]) -> list[tuple[int, ...]]:
    return [tuple(int(side) for side in array.shape) for array in arrays]


def _core(shape: tuple[int, ...]) -> tuple[int, ...]:
    """[1,1,1024,1000] and [1024,1000] are the same weights."""
    return tuple(side for side in shape if side != 1)


def _other_classes(ours: list[tuple[int, ...]], theirs: list[tuple[int, ...]]) -> bool:
    """Whether only the last axis differs, and everywhere alike."""
    if len(ours) != len(theirs) or not all(ours) or not all(theirs):
        return False
    same_inputs = [_core(shape[:-1]) for shape in ours] == [_core(shape[:-1]) for shape in theirs]
    return same_inputs and len({shape[-1] for shape in theirs}) == 1 and math.prod(theirs[-1]) > 1


def _say(shapes: list[tuple[int, ...]]) -> str:
    return " and ".join(str(list(shape)) for shape in shapes) if shapes else "nothing"
