"""Which layers learn in which epoch, and how fast: the phases of fine-tuning, and the flags that make them so."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import keras
import numpy as np

from edgekit.errors import BadInput
from edgekit.models.head import find_head
from edgekit.train_config import FineTune, Train
from edgekit.training.schedules import LONGEST_WARMUP, rate_at

NORMALIZATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.GroupNormalization,
    keras.layers.UnitNormalization,
)
Units = tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Phase:
    """Epochs `start` to `end` (from 0, the end not included), in which the top `unfrozen` units of the base learn.

    `unfrozen` is None where training is not fine-tuning: then everything is as the model has it. The schedule runs
    from epoch `since` to `until`.
    """

    start: int
    end: int
    unfrozen: int | None
    since: int
    until: int

    @property
    def frozen_base(self) -> bool:
        return self.unfrozen == 0

    def rate_at(self, config: Train, epoch: float) -> float:
        """The head's learning rate at `epoch` of all epochs: the schedule's, with a warm-up after the unfreezing."""
        rate = rate_at(config.model_copy(update={"epochs": self.until - self.since}), epoch - self.since)
        warmup = min(config.warmup_epochs, LONGEST_WARMUP * (self.end - self.start))
        if self.start == self.since or epoch - self.start >= warmup:  # the schedule itself begins with a warm-up
            return rate
        return rate * (epoch - self.start) / warmup


def phases(config: Train, units: int) -> tuple[Phase, ...]:
    """The phases of a training run, for a base of `units` units; one phase without `fine_tune`."""
    tuned, epochs = config.fine_tune, config.epochs
    if tuned is None:
        return (Phase(0, epochs, None, 0, epochs),)
    frozen = tuned.frozen_epochs(epochs)
    parts = [Phase(0, frozen, 0, 0, frozen)] if frozen else []
    tops = _tops(tuned, units) if frozen < epochs else []
    ends = [frozen + round((epochs - frozen) * (i / len(tops))) for i in range(len(tops) + 1)] if tops else []
    return (*parts, *(Phase(*at, top, frozen, epochs) for at, top in zip(pairwise(ends), tops, strict=True)))


def _tops(tuned: FineTune, units: int) -> list[int]:
    """How many units learn in each phase after the frozen one."""
    if tuned.mode == "progressive":
        return [int(top) for top in np.cumsum([len(group) for group in _groups(tuned, units)])]
    if tuned.mode == "full":
        return [units]
    wanted = tuned.layers if isinstance(tuned.layers, int) else math.ceil(tuned.layers * units)
    if wanted > units:
        raise BadInput(
            f"The base has {units} layers with weights, of which {wanted} cannot learn.",
            f"Give train.fine_tune.layers a number up to {units}, a share below 1, or choose mode full.",
        )
    return [wanted]


def _groups(tuned: FineTune, units: int) -> list[np.ndarray]:
    """The numbers of the units, from the top of the base, cut into groups."""
    return list(np.array_split(np.arange(units), min(tuned.groups, units)))


def base_units(model: keras.Model) -> Units:
    """The layers of the base that can learn, from its top: each a convolution or dense layer with its normalization.

    A normalization belongs to the layer with weights before it, in the model's order. Raises BadInput for a model
    without a head, or with nothing before it.
    """
    head = {id(step) for step in find_head(model).chain}
    units: list[list[Any]] = []
    for layer in _leaves(model):
        if id(layer) in head or not layer.trainable_variables:
            continue
        if isinstance(layer, NORMALIZATIONS) and units:
            units[-1].append(layer)
        else:
            units.append([layer])
    if not units:
        raise BadInput(
            f"The model {model.name!r} has no layers before its classifier that fine-tuning could train.",
            "Leave train.fine_tune out.",
        )
    return tuple(tuple(unit) for unit in reversed(units))


def _leaves(model: Any) -> Iterator[Any]:
    """The layers in the model's order, those of nested models in their place, each once."""
    seen: set[int] = set()
    for layer in model.layers:
        inner = _leaves(layer) if isinstance(layer, keras.Model) and getattr(layer, "outputs", None) else (layer,)
        for leaf in inner:
            if id(leaf) not in seen:
                seen.add(id(leaf))
                yield leaf


@contextlib.contextmanager
def everything_trainable(model: keras.Model) -> Iterator[None]:
    """Within it all layers can learn, whatever the model says; afterwards every flag is as it was."""
    layers = model._flatten_layers()
    variables = [variable for layer in layers for variable in layer._trainable_variables]
    before = [layer.trainable for layer in layers], [variable.trainable for variable in variables]
    try:
        _set_trainable(layers)
        yield
    finally:
        for layer, flag in zip(layers, before[0], strict=True):
            layer._trainable = flag  # the property would set the layers inside it and their weights too
        for variable, flag in zip(variables, before[1], strict=True):
            variable.trainable = flag


def unfreeze(model: keras.Model, units: Units, phase: Phase) -> None:
    """Sets what learns in a phase of fine-tuning, within `everything_trainable`.

    The flags are those of the variables. A batch normalization as a layer stays "not trainable", which in Keras
    means inference mode, although its gamma and beta may learn (R2).
    """
    assert phase.unfrozen is not None
    layers = model._flatten_layers()
    _set_trainable(layers)
    for layer in layers:
        layer._trainable = not isinstance(layer, keras.layers.BatchNormalization)
    for number, unit in enumerate(units):
        for layer in (part for whole in unit for part in whole._flatten_layers()):
            for variable in layer._trainable_variables:
                variable.trainable = number < phase.unfrozen


def _set_trainable(layers: list[Any]) -> None:
    """One by one: `model.trainable = True` does nothing to the layers where the model itself is trainable already."""
    for layer in layers:
        layer._trainable = True
        for variable in layer._trainable_variables:
            variable.trainable = True


def rate_factors(config: Train, units: Units) -> dict[int, float]:
    """Learning rate of each variable of the base as a share of the head's, by id (Howard and Ruder 2018, 3.2)."""
    tuned = config.fine_tune
    if tuned is None:
        return {}
    return {
        id(variable): tuned.base_rate * tuned.layer_rate**depth
        for depth, group in enumerate(_groups(tuned, len(units)))
        for number in group
        for layer in units[number]
        for variable in layer.variables
    }
