"""Batches for `fit`, read from a Split: what batch `i` of epoch `e` holds follows from (seed, e, i) alone."""

from __future__ import annotations

import abc
import contextlib
import itertools
import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from edgekit.data.images import normalize
from edgekit.data.split import Split
from edgekit.training.augment import Augmenter

REMEMBERED = 200_000_000  # bytes of decoded pixels kept for the next epoch
PIXELS, MIXING = 1, 2  # what a random stream is for, so that no two share their numbers


class Remembering:
    """Reads a split and keeps the first images of it, so that later epochs decode only what is beyond `limit` bytes.

    Decoding a small JPEG costs as much as training on it. The memory is bounded, whatever the size of the split.
    """

    def __init__(self, split: Split, limit: int = REMEMBERED) -> None:
        size = (split.preprocess.height, split.preprocess.width, 3)
        self._split, self._kept = split, min(len(split), limit // math.prod(size))
        self._pixels = np.empty((self._kept, *size), np.uint8)  # the system hands out pages as they are written
        self._known = np.zeros(self._kept, bool)
        self.labels, self.class_names, self.preprocess = split.labels, split.class_names, split.preprocess

    def __len__(self) -> int:
        return len(self._split)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """uint8 [b, height, width, 3], as Split.read."""
        keep = rows < self._kept
        new = ~keep
        new[keep] = ~self._known[rows[keep]]
        result = np.empty((len(rows), *self._pixels.shape[1:]), np.uint8)
        result[~new] = self._pixels[rows[~new]]
        if new.any():
            result[new] = self._split.read(rows[new])
        self._pixels[rows[keep]] = result[keep]
        self._known[rows[keep]] = True
        return result


class _Batches(keras.utils.PyDataset):
    """Remembers what went wrong: TensorFlow's pipeline would only tell that something did."""

    failure: Exception | None = None

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        try:
            return self.batch(index)
        except Exception as caught:
            self.failure = caught
            raise

    @abc.abstractmethod
    def batch(self, index: int) -> tuple[Any, ...]:
        """What `fit` gets as batch `index`."""


class TrainBatches(_Batches):
    """One epoch: shuffled, augmented, normalized, with soft labels.

    Item: images float32 [b, h, w, 3], labels float32 [b, classes], weights float32 [b]. The batches are of
    nearly equal size, at most `batch_size`: a last batch of one image would upset batch normalization.
    """

    def __init__(
        self,
        split: Split | Remembering,
        batch_size: int,
        augmenter: Augmenter,
        weights: np.ndarray,
        seed: int,
        epoch: int,
    ) -> None:
        super().__init__()
        self._split, self._augmenter, self._weights = split, augmenter, weights
        self._seed, self._epoch = seed, epoch
        order = np.random.default_rng((seed, epoch)).permutation(len(split))
        self._batches = np.array_split(order, math.ceil(len(split) / batch_size))

    def __len__(self) -> int:
        return len(self._batches)

    def batch(self, index: int) -> tuple[np.ndarray, ...]:
        rows = self._batches[index]
        labels = np.eye(len(self._weights), dtype=np.float32)[self._split.labels[rows]]
        images, labels = self._inputs(rows, labels, (self._seed, self._epoch, index))
        return images, labels, labels @ self._weights

    def _inputs(self, rows: np.ndarray, labels: np.ndarray, at: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        pixels = self._augmenter.pixels(self._split.read(rows), (*at, PIXELS))
        return self._augmenter.mixed(normalize(pixels, self._split.preprocess), labels, (*at, MIXING))


class FeatureTrainBatches(TrainBatches):
    """The same images in the same order, as features computed before: float32 [b, ...] instead of the images."""

    def __init__(self, features: np.ndarray, split: Split | Remembering, *rest: Any) -> None:
        super().__init__(split, *rest)
        self._features = features

    def _inputs(self, rows: np.ndarray, labels: np.ndarray, at: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        return self._features[rows], labels


class TaughtBatches(TrainBatches):
    """The same images in the same order, for a model with a teacher, each of the two only where it is there.

    Item: images float32 [b, h, w, 3], {"labels": float32 [b, classes], "answers": the teacher's, computed before, as
    float32 [b, ...]}, weights float32 [b]; the images alone where it needs no more.
    """

    def __init__(self, answers: tuple[np.ndarray, ...], labelled: bool, split: Split | Remembering, *rest: Any) -> None:
        super().__init__(split, *rest)
        self._answers, self._labelled = answers, labelled

    def batch(self, index: int) -> tuple[Any, ...]:
        rows = self._batches[index]
        known = {"answers": tuple(one[rows] for one in self._answers)} if self._answers else {}
        if self._labelled:
            images, labels, weights = super().batch(index)
            return images, {"labels": labels, **known}, weights
        images, _ = self._inputs(rows, np.zeros((len(rows), 1), np.float32), (self._seed, self._epoch, index))
        return (images, known) if known else (images,)


class PlainBatches(_Batches):
    """A whole split in its own order, unchanged: images float32 [b, h, w, 3], labels float32 [b, classes].

    `labels`: int64 [n] of the split, None where it has none.
    """

    def __init__(self, split: Split | Remembering, batch_size: int, classes: int) -> None:
        super().__init__()
        self.labels = split.labels if split.class_names else None
        self._split, self._batch_size, self._classes = split, batch_size, classes

    def __len__(self) -> int:
        return math.ceil(len(self._split) / self._batch_size)

    def batch(self, index: int) -> tuple[np.ndarray, ...]:
        rows = np.arange(len(self._split))[index * self._batch_size :][: self._batch_size]
        labels = np.eye(self._classes, dtype=np.float32)[self._split.labels[rows]]
        return self._inputs(rows), labels

    def _inputs(self, rows: np.ndarray) -> np.ndarray:
        return normalize(self._split.read(rows), self._split.preprocess)


class ImagePlainBatches(PlainBatches):
    """The same images alone."""

    def batch(self, index: int) -> tuple[np.ndarray, ...]:
        return (self._inputs(np.arange(len(self._split))[index * self._batch_size :][: self._batch_size]),)


class FeaturePlainBatches(PlainBatches):
    """A whole split as features computed before: float32 [b, ...], labels float32 [b, classes]."""

    def __init__(self, features: np.ndarray, split: Split | Remembering, batch_size: int, classes: int) -> None:
        super().__init__(split, batch_size, classes)
        self._features = features

    def _inputs(self, rows: np.ndarray) -> np.ndarray:
        return self._features[rows]


def stream(batches: TrainBatches | PlainBatches) -> Any:
    """What `fit`, `evaluate` and `predict` are given: with TensorFlow a tf.data.Dataset of the batches, two ahead.

    Keras would make one that tunes itself, and at whose end TensorFlow 2.21 waits until the thread that tunes looks up
    next: after 10, 20, 40 ms and so on, up to a minute. An epoch of 45 s took 82, and one of 21 s took 41.
    """
    if keras.backend.backend() != "tensorflow":
        return batches
    import tensorflow as tf

    first = batches[0]
    signature = keras.tree.map_structure(lambda one: tf.TensorSpec((None, *one.shape[1:]), one.dtype), first)
    fixed = tf.data.Options()
    fixed.autotune.enabled = False
    later = range(1, len(batches))
    dataset = tf.data.Dataset.from_generator(
        lambda: itertools.chain([first], (batches[index] for index in later)), output_signature=signature
    )
    counted = dataset.apply(tf.data.experimental.assert_cardinality(len(batches)))
    return counted.prefetch(2).with_options(fixed)


@contextlib.contextmanager
def own_errors(*sources: TrainBatches | PlainBatches) -> Iterator[None]:
    """Raises what happened while reading a batch, such as BadInput, instead of the pipeline's error about it."""
    try:
        yield
    except Exception as caught:
        for source in sources:
            if source.failure is not None and source.failure is not caught:
                raise source.failure from caught
        raise


def class_weights(labels: np.ndarray, classes: int, kind: str) -> np.ndarray:
    """Float32 [classes]: all 1, or for "balanced" n / (classes * images of the class), 0 for a class without any."""
    if kind == "none":
        return np.ones(classes, np.float32)
    counts = np.bincount(labels, minlength=classes)
    weights = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return np.where(counts > 0, weights, 0).astype(np.float32)
