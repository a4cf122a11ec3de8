"""Weight clustering: the weights of a layer get a few values that they share, so that the file packs better.

Centroids are k-means of the weights and learn as the mean of what their members would (Han et al. 2016,
arXiv:1510.00149), as in tfmot. Unlike tfmot's, the values are shared by all channels of a layer as multiples of the
largest weight of the channel: int8 has a scale a channel, and only so the int8 file has as few codes as there are
values. The largest weights and zeros are values of their own, so that scales and sparsity stay.
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from edgekit.compression.fine_tune import taught
from edgekit.compression.fold import is_depthwise
from edgekit.compression.lower import lower
from edgekit.compression.step import Note, Stepped
from edgekit.compression.step_context import StepContext
from edgekit.compression.weight_patterns import (
    LEAST_WEIGHTS,
    LEAST_ZEROS,
    Shared,
    channel_axes,
    chosen_layers,
    keep,
    sparsity,
)
from edgekit.evaluation.parity import worst_sqnr_db
from edgekit.step_config import Cluster

MOST_WEIGHTS = 100_000  # that k-means looks at in a layer; all of them get the centroids


def cluster(
    model: Any,
    *,
    clusters: int = 16,
    scale: Literal["channel", "layer"] = "channel",
    init: Literal["kmeans++", "linear", "density"] = "kmeans++",
    depthwise: bool = False,
    exclude: Collection[str] = (),
    seed: int = 0,
) -> Stepped:
    """The model with the weights of each layer moved to the nearest of a few values; to be fine-tuned by your script.

    The values stay shared while `Stepped.model` is fitted. A functional or sequential Keras model is lowered first, its
    layers keep their names. The settings are those of the step, the figures those of `train_clustered`. Raises
    BadInput: no layer with enough weights, a name or pattern in `exclude` that fits no layer; ValueError for settings
    that make no sense.
    """
    settings = {"clusters": clusters, "scale": scale, "init": init, "depthwise": depthwise, "exclude": tuple(exclude)}
    done = _at_once(model, Cluster.model_validate(settings), seed)
    return replace(done, done=(*done.done, *keep(done.model)))


def train_clustered(model: Any, config: Cluster, context: StepContext) -> Stepped:
    """The step of a recipe: clusters, then trains the values. `model` is on logits.

    Its figures: `weights` of the layers that are clustered, `layers`, a row each, and `training` (None where nothing is
    trained). Raises as `cluster`, BadInput and UsageError as training does.
    """
    done = _at_once(model, config, context.seed)
    if not config.epochs:
        return done
    teacher = context.teaching(model, config.distil)
    training = taught("cluster", done.model, teacher, config.epochs, config.learning_rate, context)
    return replace(done, figures={**done.figures, "training": training})


def _at_once(model: Any, config: Cluster, seed: int) -> Stepped:
    lowered = lower(model)
    clustered, skipped = _clustered_layers(lowered.model, config)
    rows = []
    for layer in clustered:
        before = np.asarray(layer.kernel)
        shared = shared_by(before, channel_axes(layer), config, seed)
        after = shared.kernel()
        layer.kernel.assign(after)
        rows.append({"layer": layer.name, "weights": before.size, "values": len(shared.values),
                     "sqnr_db": worst_sqnr_db((before,), (after,)), "sparsity": round(sparsity(after), 6)})  # fmt: skip
    notes = [Note(row["layer"], f"{row['weights']:,} weights have {row['values']} values") for row in rows]
    return Stepped(
        lowered.model,
        (*lowered.done, *notes),
        (*lowered.skipped, *skipped),
        {"weights": sum(row["weights"] for row in rows), "layers": rows, "training": None},
    )


def shared_by(kernel: np.ndarray, axes: tuple[int, ...], config: Cluster, seed: int) -> Shared:
    """The values that a kernel is to have. `axes` are those within one output channel."""
    scale = np.ones((1,) * kernel.ndim, np.float32)
    fixed = [0.0] if sparsity(kernel) >= LEAST_ZEROS else []
    if config.scale == "channel":
        largest = np.abs(kernel).max(axis=axes, keepdims=True)
        scale = np.where(largest > 0, largest, 1).astype(np.float32)
        fixed += [-1.0, 1.0]
    units = (kernel / scale).reshape(-1)
    learned = _centroids(units[~np.isin(units, fixed)], config, config.clusters - len(fixed), seed)
    values = np.unique(np.concatenate([np.asarray(fixed, np.float32), learned]))
    open_to_all = values[values != 0] if 0.0 in fixed else values  # what is not pruned does not become 0 either
    moved = open_to_all[np.searchsorted((open_to_all[1:] + open_to_all[:-1]) / 2, units)]
    moved[np.isin(units, fixed)] = units[np.isin(units, fixed)]
    return Shared(np.searchsorted(values, moved).reshape(kernel.shape), values, scale, np.isin(values, fixed))


def _centroids(units: np.ndarray, config: Cluster, count: int, seed: int) -> np.ndarray:
    """At most `count` of them, float32, by k-means from the start that `config.init` names."""
    from sklearn.cluster import KMeans

    units = units.astype(np.float64)
    if len(units) > MOST_WEIGHTS:
        units = np.random.default_rng(seed).choice(units, MOST_WEIGHTS, replace=False)
    different = np.unique(units)
    if len(different) <= count:
        return different.astype(np.float32)
    init = "k-means++" if config.init == "kmeans++" else _starts(units, config.init, count)
    found = KMeans(count, init=init, n_init=1, max_iter=50, random_state=seed).fit(units[:, None])
    return np.unique(found.cluster_centers_.astype(np.float32))


def _starts(units: np.ndarray, init: str, count: int) -> np.ndarray:
    """float64 [count, 1]: evenly from the smallest to the largest weight (linear), or with as many weights between
    each two (density)."""
    even = np.linspace(0, 1, count)
    points = np.quantile(units, even) if init == "density" else units.min() + even * np.ptp(units)
    return np.asarray(points)[:, None]


def _clustered_layers(model: Any, config: Cluster) -> tuple[list[Any], list[Note]]:
    """The layers to cluster, and why others with a kernel are not. Raises BadInput where there are none."""
    remedy = "Ask for fewer clusters, or leave cluster out."
    return chosen_layers(model, config.exclude, "cluster", "clustered", functools.partial(_reason, config), remedy)


def _reason(config: Cluster, layer: Any) -> str | None:
    if is_depthwise(layer) and not config.depthwise:
        return "not clustered: depthwise, whose few weights matter most (depthwise: true)"
    size = int(np.prod(layer.kernel.shape))
    if size < LEAST_WEIGHTS * config.clusters:
        return f"not clustered: {size} weights are too few for {config.clusters} values"
    return None
