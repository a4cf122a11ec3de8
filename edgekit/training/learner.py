"""What learns in a phase: the whole model, or its head alone on features that a frozen base computes."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from edgekit.data.dataset import Dataset
from edgekit.models.head import copies, find_head, move_weights
from edgekit.train_config import Train
from edgekit.training.augment import Augmenter
from edgekit.training.batches import (
    FeaturePlainBatches,
    FeatureTrainBatches,
    ImagePlainBatches,
    PlainBatches,
    Remembering,
    TaughtBatches,
    TrainBatches,
    class_weights,
    own_errors,
    stream,
)
from edgekit.training.optimizer import make_optimizer

VAL_BATCH = 256  # images at a time where nothing is learned, at most
VAL_PIXELS = VAL_BATCH * 64 * 64  # of larger images fewer, so that they need no more memory
REMEMBERED = 500_000_000  # bytes of features kept, of the training and of the validation images each


class Material:
    """The images of one call of `train`, and how they are changed: the same in every phase."""

    def __init__(self, dataset: Dataset, config: Train, seed: int, *, labels: bool = True) -> None:
        self.classes, self.labelled = len(dataset.class_names), labels
        self.train, self.val = Remembering(dataset.train), Remembering(dataset.val)
        self._dataset = dataset
        self.augmenter = Augmenter(config.augment.on(dataset.name))
        weights = class_weights(dataset.train.labels, self.classes, config.class_weights)
        size = dataset.preprocess
        self._plain = max(16, min(VAL_BATCH, VAL_PIXELS // (size.height * size.width))), self.classes
        self._rest = (config.batch_size, self.augmenter, weights, seed)

    @functools.cached_property
    def identity(self) -> str:
        """Of the training images as the model takes them."""
        prepared = self._dataset.preprocess.model_dump_json().encode()
        return hashlib.sha256(self._dataset.train.hashes.tobytes() + prepared).hexdigest()

    def batches(self, epoch: int, features: np.ndarray | None = None) -> TrainBatches:
        """The training batches of an epoch, counted from 0."""
        if features is None:
            return TrainBatches(self.train, *self._rest, epoch)
        return FeatureTrainBatches(features, self.train, *self._rest, epoch)

    def taught(self, epoch: int, answers: tuple[np.ndarray, ...]) -> TrainBatches:
        """The same with a teacher's answers, where they are known."""
        return TaughtBatches(answers, self.labelled, self.train, *self._rest, epoch)

    def validation(self, features: np.ndarray | None = None) -> PlainBatches:
        """The validation images in their order."""
        if features is None:
            return self.plain(self.val)
        return FeaturePlainBatches(features, self.val, *self._plain)

    def plain(self, images: Remembering) -> PlainBatches:
        """All images in their order, not augmented."""
        return (PlainBatches if self.labelled else ImagePlainBatches)(images, *self._plain)


@dataclass(frozen=True)
class Learner:
    """`model` is fitted on the batches of `material`, `judge` (a model, or who asks one) evaluated on `val`; both share
    their weights.

    `features` are those of the training images where `model` begins behind the base. `parts` are pairs of a layer
    of the model that is trained in the end and the layer that learns in its place. `extra` are variables that learn
    and are not the model's. `answers` are those of a teacher to the training images, none where it runs along, and
    None where there is no teacher.
    """

    model: keras.Model
    judge: Any
    material: Material
    val: PlainBatches
    features: np.ndarray | None = None
    parts: tuple[tuple[Any, Any], ...] = ()
    extra: tuple[Any, ...] = ()
    answers: tuple[np.ndarray, ...] | None = None

    def batches(self, epoch: int) -> TrainBatches:
        if self.answers is not None:
            return self.material.taught(epoch, self.answers)
        return self.material.batches(epoch, self.features)

    def held_out(self) -> dict[str, float]:
        """What the judge finds on the validation images: `loss`, `top1`, ..."""
        if isinstance(self.judge, keras.Model):
            return dict(self.judge.evaluate(stream(self.val), verbose=0, return_dict=True))
        return dict(self.judge.evaluate(self.val))

    def hand_over(self) -> None:
        """Brings what was learned into the model."""
        for own, learned in self.parts:
            move_weights(learned, own)

    def close(self) -> None:
        """Drops the traced graphs, which hold on to memory."""
        for model in (self.model, getattr(self.judge, "model", self.judge)):
            model.train_function = model.test_function = model.predict_function = None


def whole_model(model: keras.Model, material: Material, config: Train, factors: Mapping[int, float]) -> Learner:
    """Everything that is trainable learns, on images."""
    compile_model(model, config, make_optimizer(config, model.trainable_variables, factors))
    return Learner(model, model, material, material.validation())


def head_alone(model: keras.Model, material: Material, config: Train) -> Learner:
    """The head learns; the base runs as in inference, and over each image once, where its features do not change.

    They do where training images are augmented, and they are computed anew where they do not fit into REMEMBERED.
    The head that learns is a copy, so that the model's graph stays as it is. To be called while no variable of the
    base is trainable.
    """
    found = find_head(model)
    base = keras.Model(model.inputs, found.features, name="base")
    base.compile(None, jit_compile=jit())
    inputs = keras.Input(found.features.shape[1:], name="features")
    head, chain = inputs, copies(found.chain)
    for layer in chain:
        head = layer(head)
    judge = keras.Model(inputs, head, name="head")
    parts = tuple(zip(found.chain, chain, strict=True))
    for own, copy in parts:
        move_weights(own, copy)
    optimizer = make_optimizer(config, judge.trainable_variables)
    val = _features(base, material.val, material)
    train = None if val is None or material.augmenter.changes else _features(base, material.train, material)
    whole = judge if train is not None else _on_images(base, judge)
    compile_model(whole, config, optimizer)
    if val is None:
        return Learner(whole, whole, material, material.validation(), None, parts)
    if whole is not judge:
        compile_model(judge, config, None)
    return Learner(whole, judge, material, material.validation(val), train, parts)


def _on_images(base: keras.Model, head: keras.Model) -> keras.Model:
    image = keras.Input(base.input_shape[1:], name="image")
    # A twin that is not compiled: the loss of a compiled one would be reported as that of the model around it.
    twin = keras.Model(base.inputs, base.outputs[0], name="base")
    return keras.Model(image, head(_Inference(twin)(image)), name="frozen_base")


class _Inference(keras.layers.Layer):
    """A model that runs as in inference while the model around it trains.

    `base(image, training=False)` in a functional model does not do that: `fit` tells every layer that it trains.
    """

    def __init__(self, model: keras.Model) -> None:
        super().__init__(name="inference")
        self._model = model

    def call(self, images: Any) -> Any:
        return self._model(images, training=False)


def _features(base: keras.Model, images: Remembering, material: Material) -> np.ndarray | None:
    """Float32 [n, ...] of all images in their order, or None where they do not fit into REMEMBERED."""
    if 4 * len(images) * math.prod(base.output_shape[1:]) > REMEMBERED:
        return None
    batches = material.plain(images)
    with own_errors(batches):
        return np.asarray(base.predict(stream(batches), verbose=0), np.float32)


def compile_model(model: keras.Model, config: Train, optimizer: Any) -> None:
    """Cross-entropy on logits, and top-1."""
    model.compile(optimizer, cross_entropy(config), metrics=[top1()], jit_compile=jit())


def cross_entropy(config: Train) -> keras.losses.Loss:
    """Of logits with soft labels [n, classes], in nats."""
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=config.label_smoothing)


def top1() -> keras.metrics.Metric:
    """Of logits with soft labels [n, classes]."""
    return keras.metrics.CategoricalAccuracy(name="top1")


def jit() -> bool | str:
    """XLA takes minutes to compile a MobileNet for a CPU; the other backends know best."""
    return False if keras.backend.backend() == "tensorflow" else "auto"
