"""Random changes of training images, reproducible from a seed, outside the model that is saved.

Rotation, zoom and brightness are Keras's preprocessing layers. Flips and shifts, which only move pixels, are drawn
here: Keras's layers take ten times as long on a CPU, which is a fifth of training a small network. A shift is drawn as
Keras draws it; with both flips each axis has a draw of its own, where Keras 3 has one for both. MixUp and CutMix mix
images and labels of a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from edgekit.train_config import Augment

BLACK = {"fill_mode": "constant", "fill_value": 0.0}

# Images uint8 or float32 [b, h, w, 3] and the seed of this batch -> the images changed, same shape.
Change = Callable[[np.ndarray, np.random.SeedSequence], np.ndarray]


class Augmenter:
    """The changes of an `Augment`, built once and applied to many batches."""

    def __init__(self, config: Augment) -> None:
        self.config = config
        self._changes = _changes(config)

    @property
    def changes(self) -> bool:
        """Whether an image is not the same in every epoch."""
        return self.config.moves_pixels() or self.config.mixup > 0 or self.config.cutmix > 0

    def pixels(self, images: np.ndarray, seed: tuple[int, ...]) -> np.ndarray:
        """uint8 [b, h, w, 3] -> uint8, same shape, changed at random; the same seed gives the same bits.

        Back in uint8, so that an augmented image is one that a file could hold, whatever the normalization.
        """
        changed = images
        for number, change in enumerate(self._changes):
            changed = change(changed, np.random.SeedSequence((*seed, number)))
        return changed if changed.dtype == np.uint8 else np.clip(np.rint(changed), 0, 255).astype(np.uint8)

    def mixed(self, images: np.ndarray, labels: np.ndarray, seed: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """MixUp, CutMix, or one of the two at random where both are on: float32 [b,h,w,c] and [b,classes]."""
        kinds = [kind for kind in ("mixup", "cutmix") if getattr(self.config, kind) > 0]
        if not kinds:
            return images, labels
        rng = np.random.default_rng(seed)
        kind = kinds[int(rng.integers(len(kinds)))]
        return (mixup if kind == "mixup" else cutmix)(images, labels, getattr(self.config, kind), rng)


def mixup(
    images: np.ndarray, labels: np.ndarray, alpha: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Each image with a partner of the batch, in shares drawn from Beta(alpha, alpha) (Zhang et al. 2018).

    images: float32 [b, h, w, c]; labels: float32 [b, classes]. Both are mixed with the same share.
    """
    share = rng.beta(alpha, alpha, len(images)).astype(np.float32)
    partner = rng.permutation(len(images))
    wide, flat = share[:, None, None, None], share[:, None]
    return wide * images + (1 - wide) * images[partner], flat * labels + (1 - flat) * labels[partner]


def cutmix(
    images: np.ndarray, labels: np.ndarray, alpha: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A box of a partner pasted into each image; labels mixed by the area really pasted (Yun et al. 2019).

    images: float32 [b, h, w, c]; labels: float32 [b, classes]. The box has the share 1 - lambda of the area,
    lambda ~ Beta(alpha, alpha), around a random centre, and is cut at the border.
    """
    height, width = images.shape[1:3]
    partner = rng.permutation(len(images))
    result, kept = images.copy(), np.empty(len(images), np.float32)
    for i, share in enumerate(rng.beta(alpha, alpha, len(images))):
        side = np.sqrt(1 - share) / 2
        y, x = rng.integers(height), rng.integers(width)
        top, bottom = np.clip(np.rint([y - side * height, y + side * height]), 0, height).astype(int)
        left, right = np.clip(np.rint([x - side * width, x + side * width]), 0, width).astype(int)
        result[i, top:bottom, left:right] = images[partner[i], top:bottom, left:right]
        kept[i] = 1 - (bottom - top) * (right - left) / (height * width)
    return result, kept[:, None] * labels + (1 - kept[:, None]) * labels[partner]


def _changes(config: Augment) -> list[Change]:
    """Those asked for, in this order."""
    from keras import layers

    made: list[Change] = []
    if config.flip != "none":
        made.append(partial(_flipped, {"horizontal": (2,), "vertical": (1,), "both": (1, 2)}[config.flip]))
    if config.shift:
        made.append(partial(_shifted, config.shift))
    if config.rotation:
        made.append(partial(_by_keras, layers.RandomRotation(config.rotation / 360, **BLACK)))
    if config.zoom:
        made.append(partial(_by_keras, layers.RandomZoom(config.zoom, **BLACK)))
    if config.brightness:
        made.append(partial(_by_keras, layers.RandomBrightness(config.brightness, value_range=(0, 255))))
    return made


def _flipped(axes: tuple[int, ...], images: np.ndarray, seed: np.random.SeedSequence) -> np.ndarray:
    """About each of the axes, half of the images."""
    rng, result = np.random.default_rng(seed), images.copy()
    for axis in axes:
        flips = rng.random(len(images)) < 0.5
        result[flips] = np.flip(result[flips], axis)
    return result


def _shifted(most: float, images: np.ndarray, seed: np.random.SeedSequence) -> np.ndarray:
    """By whole pixels, as padding and cropping do, so that nothing is blurred; black where nothing was."""
    size = np.array(images.shape[1:3])
    margin = np.ceil(most * size).astype(int)
    drawn = np.random.default_rng(seed).uniform(-most, most, (len(images), 2))
    padded = np.pad(images, ((0, 0), *((one, one) for one in margin), (0, 0)))
    corners = margin - np.rint(drawn * size).astype(int)
    height, width = size
    return np.stack([image[y : y + height, x : x + width] for image, (y, x) in zip(padded, corners, strict=True)])


def _by_keras(layer: Any, images: np.ndarray, seed: np.random.SeedSequence) -> np.ndarray:
    from keras import ops, random

    generator = random.SeedGenerator(int(seed.generate_state(1)[0] >> 1), name="augment")
    draw = layer.get_random_transformation(images, training=True, seed=generator)
    changed: np.ndarray = ops.convert_to_numpy(layer.transform_images(images.astype(np.float32), draw, training=True))
    return changed
