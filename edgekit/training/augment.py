"""Random changes of training images, reproducible from a seed, outside the model that is saved.

What is drawn, rotation, zoom and brightness are those of Keras's preprocessing layers, flips and shifts only move
pixels. MixUp and CutMix mix images and labels of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgekit.train_config import Augment

BLACK = {"fill_mode": "constant", "fill_value": 0.0}
DRAWN = {"flips", "translations"}  # what Keras's layers call what they have drawn


class Augmenter:
    """The Keras layers of an `Augment`, built once and applied to many batches."""

    def __init__(self, config: Augment) -> None:
        self.config = config
        self._layers = _layers(config)

    @property
    def changes(self) -> bool:
        """Whether an image is not the same in every epoch."""
        return self.config.moves_pixels() or self.config.mixup > 0 or self.config.cutmix > 0

    def pixels(self, images: np.ndarray, seed: tuple[int, ...]) -> np.ndarray:
        """uint8 [b, h, w, 3] -> uint8, same shape, changed at random; the same seed gives the same bits.

        Back in uint8, so that an augmented image is one that a file could hold, whatever the normalization.
        """
        if not self._layers:
            return images
        from keras import ops, random

        changed: Any = images
        for number, (layer, moved) in enumerate(self._layers):
            state = int(np.random.SeedSequence((*seed, number)).generate_state(1)[0] >> 1)
            generator = random.SeedGenerator(state, name="augment")
            draw = layer.get_random_transformation(images, training=True, seed=generator)
            if moved is not None:
                changed = moved(
                    changed, {name: np.asarray(ops.convert_to_numpy(draw[name])) for name in DRAWN & {*draw}}
                )
            else:
                changed = ops.convert_to_numpy(layer.transform_images(changed.astype(np.float32), draw, training=True))
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


def _flipped(axes: tuple[int, ...]) -> Callable[[np.ndarray, Mapping[str, np.ndarray]], np.ndarray]:
    def moved(images: np.ndarray, draw: Mapping[str, np.ndarray]) -> np.ndarray:
        result, flips = images.copy(), draw["flips"].ravel()
        result[flips] = np.flip(images[flips], axes)
        return result

    return moved


def _shifted(images: np.ndarray, draw: Mapping[str, np.ndarray]) -> np.ndarray:
    """By whole pixels, to the right and down; black where nothing was."""
    height, width = images.shape[1:3]
    result = np.zeros_like(images)
    for i, (right, down) in enumerate(np.rint(draw["translations"]).astype(int)):
        rows, columns = slice(max(down, 0), height + min(down, 0)), slice(max(right, 0), width + min(right, 0))
        taken = slice(max(-down, 0), height - max(down, 0)), slice(max(-right, 0), width - max(right, 0))
        result[i, rows, columns] = images[i, taken[0], taken[1]]
    return result


def _layers(config: Augment) -> list[tuple[Any, Any]]:
    """The layers asked for, and what moves pixels as they would in less than half of their time; None: they do it.

    A shift moves whole pixels, as padding and cropping do, so it does not blur.
    """
    if not config.moves_pixels():
        return []
    from keras import layers

    flips = {"both": "horizontal_and_vertical"}
    made: list[tuple[Any, Any]] = []
    if config.flip != "none":
        axes = {"horizontal": (2,), "vertical": (1,), "both": (1, 2)}[config.flip]
        made.append((layers.RandomFlip(flips.get(config.flip, config.flip)), _flipped(axes)))
    if config.shift:
        layer = layers.RandomTranslation(config.shift, config.shift, interpolation="nearest", **BLACK)
        made.append((layer, _shifted))
    if config.rotation:
        made.append((layers.RandomRotation(config.rotation / 360, **BLACK), None))
    if config.zoom:
        made.append((layers.RandomZoom(config.zoom, **BLACK), None))
    if config.brightness:
        made.append((layers.RandomBrightness(config.brightness, value_range=(0, 255)), None))
    return made
