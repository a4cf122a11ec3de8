"""Magnitude pruning: the smallest weights become zeros, a few at a time while the others learn to do without them.

The schedule is tfmot's (Zhu and Gupta 2017, arXiv:1710.01878). The masks are computed here, to the weight: a layer's
smallest weights, or over all layers by LAMP (Lee et al. 2021, arXiv:2010.07611: the square of a weight as a share of
the squares not smaller than it in its layer, so that layers of any scale compare and none is lost whole).
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import keras
import numpy as np

from edgekit.compression.fine_tune import taught
from edgekit.compression.fold import is_depthwise
from edgekit.compression.lower import lower
from edgekit.compression.step import Note, Stepped
from edgekit.compression.step_context import StepContext
from edgekit.compression.weight_patterns import KeepZeros, chosen_layers, keep, zeros
from edgekit.step_config import Prune

Masks = Mapping[str, np.ndarray]  # layer -> bool, of the kernel's shape: which weights stay

UPDATES = 20  # of the masks during a ramp, at least where it has as many steps
SELDOMEST = 100  # steps between two updates: tfmot's


def prune(
    model: Any,
    *,
    sparsity: float = 0.5,
    pattern: str | None = None,
    scope: Literal["layer", "global"] = "layer",
    depthwise: bool = False,
    exclude: Collection[str] = (),
) -> Stepped:
    """The model with its smallest weights set to 0 at once, the others as they were; to be fine-tuned by your script.

    A share `sparsity` of the weights of each layer, or of all together (`scope`), or with `pattern` "n:m" all but n of
    m along the input channels. The zeros stay while `Stepped.model` is fitted. A functional or sequential Keras model
    is lowered first, its layers keep their names. The figures are those of `train_pruned`. Raises BadInput: no layer
    that can be pruned, a name or pattern in `exclude` that fits no layer; ValueError for settings that make no sense.
    """
    share = {"sparsity": sparsity} if pattern is None else {"pattern": pattern}
    config = Prune.model_validate({**share, "scope": scope, "depthwise": depthwise, "exclude": tuple(exclude)})
    done = _at_once(model, config)
    return replace(done, done=(*done.done, *keep(done.model)))


class GradualPruning(keras.callbacks.Callback):  # type: ignore[misc]
    """For `fit` in your own script: zeros grow over the first half of its steps, whose number it has to know, and stay.

    `model` is the functional or sequential model that is fitted; its Conv2D and Dense kernels are pruned, those of
    nested models are not. The settings are those of `prune`. Raises as `prune` does.
    """

    def __init__(self, model: Any, *, sparsity: float = 0.5, exclude: Collection[str] = ()) -> None:
        super().__init__()
        config = Prune(sparsity=sparsity, exclude=tuple(exclude))
        self._ramp, self._step = Ramp(_pruned_layers(model, config)[0], config), 0

    def on_train_begin(self, logs: object = None) -> None:
        self._step = 0
        self._ramp.start()

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        self._ramp.before_step(self._step, self.params["epochs"] * self.params["steps"])
        self._step += 1


def train_pruned(model: Any, config: Prune, context: StepContext) -> Stepped:
    """The step of a recipe: the zeros grow over the first epochs, the rest of them repairs. `model` is on logits.

    Its figures: `weights`, `zeros` and `sparsity` of the layers that are pruned, `layers`, a row each, and `training`
    (None where nothing is trained). Raises as `prune`, BadInput and UsageError as training does.
    """
    if not config.epochs:
        return _at_once(model, config)
    lowered = lower(model)
    pruned, skipped = _pruned_layers(lowered.model, config)
    teacher = context.teaching(model, config.distil)
    ramp = Ramp(pruned, config)
    training = taught("prune", lowered.model, teacher, config.epochs, config.learning_rate, context, shaping=ramp)
    return _reported(lowered, pruned, skipped, {"training": training})


def _at_once(model: Any, config: Prune) -> Stepped:
    lowered = lower(model)
    pruned, skipped = _pruned_layers(lowered.model, config)
    _silence(pruned, config, config.target)
    return _reported(lowered, pruned, skipped, {})


def _silence(pruned: Sequence[Any], config: Prune, wanted: float) -> Masks:
    """Sets the weights to 0 that are to be, in place; the others stay by these masks."""
    kernels = {layer.name: np.asarray(layer.kernel) for layer in pruned}
    masks = masks_of(kernels, config, wanted)
    for layer in pruned:
        layer.kernel.assign(kernels[layer.name] * masks[layer.name])
    return masks


class Ramp:
    """The zeros of a training run: more of them from update to update, at their target when `share` of it is over."""

    def __init__(self, pruned: Sequence[Any], config: Prune) -> None:
        self.share = 0.0 if config.schedule == "constant" else 1 - config.recovery
        self._pruned, self._config = pruned, config

    def start(self) -> None:
        """With the zeros that are there, none or those of the epoch that an interrupted run goes on from; without a
        ramp with all of them."""
        for layer in self._pruned:
            layer.kernel.constraint = KeepZeros(np.asarray(layer.kernel) != 0)
        if not self.share:
            self._set(self._config.target)

    def before_step(self, step: int, of: int) -> None:
        """Step `step`, counted from 0, is the next one."""
        steps = min(round(self.share * of), of - 1)  # without a recovery the last step is the first with all zeros
        if step in updates(steps):
            self._set(self._config.target if step == steps else scheduled(self._config.target, step, steps))

    def _set(self, wanted: float) -> None:
        masks = _silence(self._pruned, self._config, wanted)
        for layer in self._pruned:
            layer.kernel.constraint.mask.assign(masks[layer.name].astype(np.float32))


@functools.cache  # asked for before every step
def updates(steps: int) -> tuple[int, ...]:
    """The steps before which the masks are set anew in a ramp of so many: its end is one of them."""
    if not steps:
        return ()
    every = max(1, min(SELDOMEST, steps // UPDATES))
    return (*range(every, steps, every), steps)


def scheduled(target: float, step: int, steps: int) -> float:
    """tfmot's PolynomialDecay from 0 to `target`: fast at first, slower towards the end."""
    from tensorflow_model_optimization.sparsity import keras as sparsity_keras

    schedule = sparsity_keras.PolynomialDecay(0.0, target, begin_step=0, end_step=steps)
    return float(schedule(step)[1])


def masks_of(kernels: Mapping[str, np.ndarray], config: Prune, wanted: float) -> Masks:
    """Which weights stay, bool, at a share `wanted` of zeros; what is 0 already goes first.

    With a pattern n:m every m consecutive weights along the input channels keep their n largest, whatever is wanted.
    """
    if config.pattern is not None:
        return {name: largest_of(kernel, *config.kept_of) for name, kernel in kernels.items()}
    if config.scope == "layer":
        return {name: _largest(np.abs(kernel), wanted) for name, kernel in kernels.items()}
    scores = [lamp(kernel).reshape(-1) for kernel in kernels.values()]
    stay = _largest(np.concatenate(scores), wanted)
    ends = np.cumsum([one.size for one in scores])[:-1]
    parts = zip(kernels.items(), np.split(stay, ends), strict=True)
    return {name: part.reshape(kernel.shape) for (name, kernel), part in parts}


def lamp(kernel: np.ndarray) -> np.ndarray:
    """The layer-adaptive magnitude of each weight, float64 in [0, 1]; the largest of a layer has 1."""
    squares = np.square(kernel.astype(np.float64)).reshape(-1)
    order = np.argsort(-squares, kind="stable")
    not_smaller = np.empty_like(squares)
    not_smaller[order] = np.cumsum(squares[order])
    return np.divide(squares, not_smaller, out=np.zeros_like(squares), where=not_smaller > 0).reshape(kernel.shape)


def largest_of(kernel: np.ndarray, kept: int, of: int) -> np.ndarray:
    """The `kept` largest of each `of` consecutive ones along the input channels [..., in, out]; of a last group that is
    shorter as many."""
    channels = kernel.shape[-2]
    filled = np.abs(np.moveaxis(kernel, -2, -1))
    filled = np.pad(filled, [(0, 0)] * (filled.ndim - 1) + [(0, -channels % of)], constant_values=-1)
    groups = filled.reshape(*filled.shape[:-1], -1, of)
    rank = np.argsort(np.argsort(-groups, axis=-1, kind="stable"), axis=-1)
    stay = (rank < kept).reshape(filled.shape)[..., :channels]
    return np.moveaxis(stay, -1, -2)


def _largest(scores: np.ndarray, sparse: float) -> np.ndarray:
    """All but round(sparse * size) of the smallest; of equal ones the earlier are kept."""
    stay = np.ones(scores.size, bool)
    order = np.argsort(-scores.reshape(-1), kind="stable")
    stay[order[scores.size - round(sparse * scores.size) :]] = False
    return stay.reshape(scores.shape)


def _pruned_layers(model: Any, config: Prune) -> tuple[list[Any], list[Note]]:
    """The layers to prune, and why others with a kernel are not. Raises BadInput where there are none."""
    remedy = "Exclude fewer layers, or leave prune out."
    return chosen_layers(model, config.exclude, "prune", "pruned", functools.partial(_reason, config), remedy)


def _reason(config: Prune, layer: Any) -> str | None:
    if is_depthwise(layer):
        if config.pattern is not None:
            return "not pruned: a depthwise kernel has no input channels to count along"
        return None if config.depthwise else "not pruned: depthwise, whose few weights matter most (depthwise: true)"
    channels = layer.kernel.shape[-2]
    if config.pattern is not None and channels < config.kept_of[1]:
        return f"not pruned: {channels} input channels are fewer than the pattern {config.pattern} counts"
    return None


def _reported(lowered: Stepped, pruned: Sequence[Any], skipped: Sequence[Note], more: Mapping[str, Any]) -> Stepped:
    kernels = {layer.name: np.asarray(layer.kernel) for layer in pruned}
    counts = {name: (kernel.size, int(zeros(kernel).sum())) for name, kernel in kernels.items()}
    rows = [{"layer": name, "weights": n, "sparsity": round(gone / n, 6)} for name, (n, gone) in counts.items()]
    weights, gone = (sum(count[place] for count in counts.values()) for place in (0, 1))
    figures = {"weights": weights, "zeros": gone, "sparsity": gone / weights, "layers": rows, "training": None}
    notes = [Note(row["layer"], f"{row['sparsity']:.1%} of {row['weights']:,} weights are 0") for row in rows]
    return Stepped(lowered.model, (*lowered.done, *notes), (*lowered.skipped, *skipped), {**figures, **more})
