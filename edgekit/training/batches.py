"""Batches for `fit`, read from a Split: what batch `i` of epoch `e` holds follows from (seed, e, i) alone."""

from __future__ import annotations

import math

import keras
import numpy as np

from edgekit.data.images import normalize
from edgekit.data.split import Split
from edgekit.training.augment import Augmenter

PIXELS, MIXING = 1, 2  # what a random stream is for, so that no two share their numbers


class _Batches(keras.utils.PyDataset):
    """Remembers what went wrong: TensorFlow's pipeline would only tell that something did."""

    failure: Exception | None = None

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        try:
            return self.batch(index)
        except Exception as caught:
            self.failure = caught
            raise

    def batch(self, index: int) -> tuple[np.ndarray, ...]:
        raise NotImplementedError


class TrainBatches(_Batches):
    """One epoch: shuffled, augmented, normalized, with soft labels.

    Item: images float32 [b, h, w, 3], labels float32 [b, classes], weights float32 [b]. The batches are of
    nearly equal size, at most `batch_size`: a last batch of one image would upset batch normalization.
    """

    def __init__(
        self, split: Split, batch_size: int, augmenter: Augmenter, weights: np.ndarray, seed: int, epoch: int
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
        at = (self._seed, self._epoch, index)
        pixels = self._augmenter.pixels(self._split.read(rows), (*at, PIXELS))
        images, labels = self._augmenter.mixed(normalize(pixels, self._split.preprocess), labels, (*at, MIXING))
        return images, labels, labels @ self._weights


class PlainBatches(_Batches):
    """A whole split in its own order, unchanged: images float32 [b, h, w, 3], labels float32 [b, classes]."""

    def __init__(self, split: Split, batch_size: int, classes: int) -> None:
        super().__init__()
        self._split, self._batch_size, self._classes = split, batch_size, classes

    def __len__(self) -> int:
        return math.ceil(len(self._split) / self._batch_size)

    def batch(self, index: int) -> tuple[np.ndarray, ...]:
        rows = np.arange(len(self._split))[index * self._batch_size :][: self._batch_size]
        labels = np.eye(self._classes, dtype=np.float32)[self._split.labels[rows]]
        return normalize(self._split.read(rows), self._split.preprocess), labels


def class_weights(labels: np.ndarray, classes: int, kind: str) -> np.ndarray:
    """Float32 [classes]: all 1, or for "balanced" n / (classes * images of the class), 0 for a class without any."""
    if kind == "none":
        return np.ones(classes, np.float32)
    counts = np.bincount(labels, minlength=classes)
    weights = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return np.where(counts > 0, weights, 0).astype(np.float32)
