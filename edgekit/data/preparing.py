"""From an opened picture to what a model sees: decode, resize, normalize. It imports nothing but numpy and Pillow.

edgekit trains and evaluates through this file, and `edgekit bundle --for rpi` puts it beside the app as it is, so that
a picture means the same to both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Protocol

import numpy as np
from PIL import Image, ImageOps

FORMATS = ("PNG", "JPEG", "WEBP", "BMP")  # no other decoder is tried, whatever the file is called
MAX_PIXELS = 89_478_485  # Pillow's own limit: a quarter of a GiB at 24 bits

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "area": Image.Resampling.BOX,
}


class Wanted(Protocol):
    """What a model wants: the fields of `edgekit.preprocess.Preprocess`."""

    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def channels(self) -> str: ...
    @property
    def resize(self) -> str: ...
    @property
    def antialias(self) -> bool: ...
    @property
    def crop(self) -> str: ...
    @property
    def mean(self) -> tuple[float, float, float]: ...
    @property
    def std(self) -> tuple[float, float, float]: ...


def pixels_of(stream: BinaryIO) -> np.ndarray:
    """uint8 [h, w, 3] RGB, upright. May be read-only.

    Grayscale is repeated over the channels, 16-bit grayscale scaled to 8, transparency laid on white. Raises whatever
    Pillow does for damage, and ValueError for more than MAX_PIXELS.
    """
    with Image.open(stream, formats=FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"{image.width} x {image.height} pixels, more than the limit of {MAX_PIXELS:,}")
        image.load()  # also finds truncation; PNG keeps EXIF behind the pixels
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode.startswith("I"):
            return _from_16_bit(image)
        if image.has_transparency_data:
            upper = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", upper.size, "white"), upper)
        return np.asarray(image.convert("RGB"))


def _from_16_bit(image: Image.Image) -> np.ndarray:
    """Modes I;16 and I are what Pillow makes of a 16-bit grayscale PNG: scale 0..65535 to 0..255, rounding."""
    raw = np.asarray(image).astype(np.uint32)
    gray = ((raw + 128) // 257).astype(np.uint8)
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        gray[raw == clear] = 255
    return np.repeat(gray[:, :, None], 3, axis=2)


def resize(image: np.ndarray, preprocess: Wanted) -> np.ndarray:
    """Crop, resize and order the channels: uint8 [h, w, 3] RGB -> uint8 [height, width, 3] rgb or bgr.

    `crop: center` takes the largest centred square first. With `antialias` the filters are Pillow's, whose support
    grows when shrinking. Without it, bilinear reads 2x2 and bicubic (Keys, a = -0.5) 4x4 source pixels around each
    half-pixel centre, as most phone runtimes and `tf.image.resize(antialias=False)` do. `area` (Pillow's box: the
    mean of the covered pixels) and `nearest` are the same with and without. docs/contracts.md ("Resizing, to the bit")
    states the arithmetic, which the apps of `edgekit bundle` repeat.
    """
    if preprocess.crop == "center":
        image = _center_square(image)
    height, width = preprocess.height, preprocess.width
    if image.shape[:2] != (height, width):
        if preprocess.antialias or preprocess.resize not in _KERNELS:
            image = _by_pillow(image, height, width, _FILTERS[preprocess.resize])
        else:
            image = _point_sampled(image, height, width, preprocess.resize)
    return image if preprocess.channels == "rgb" else image[:, :, ::-1]


def _by_pillow(image: np.ndarray, height: int, width: int, kind: Image.Resampling) -> np.ndarray:
    """The width first, then the height: Pillow 13 begins with the height where that is cheaper, and since the image in
    between is rounded to 8 bits, the order decides pixels."""
    between = Image.fromarray(image).resize((width, image.shape[0]), kind)
    return np.asarray(between.resize((width, height), kind))


def _center_square(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(image[top : top + side, left : left + side])


def _triangle(distance: np.ndarray) -> np.ndarray:
    return np.maximum(1.0 - distance, 0.0)


def _keys(distance: np.ndarray) -> np.ndarray:
    """Keys' cubic convolution with a = -0.5, as in Pillow and TensorFlow (OpenCV takes -0.75)."""
    d = distance
    near = (1.5 * d - 2.5) * d * d + 1.0
    far = ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0
    return np.where(d < 1.0, near, np.where(d < 2.0, far, 0.0))


_KERNELS = {"bilinear": (2, _triangle), "bicubic": (4, _keys)}  # taps, weight by distance in source pixels


def _point_sampled(image: np.ndarray, height: int, width: int, kind: str) -> np.ndarray:
    rows, row_weights = _taps(image.shape[0], height, kind)
    columns, column_weights = _taps(image.shape[1], width, kind)
    lines = _summed(image[rows[:, tap]] * row_weights[:, tap, None, None] for tap in range(rows.shape[1]))
    result = _summed(lines[:, columns[:, tap]] * column_weights[:, tap, None] for tap in range(columns.shape[1]))
    return np.clip(np.floor(result + 0.5), 0, 255).astype(np.uint8)


def _summed(terms: Iterator[np.ndarray]) -> np.ndarray:
    """float32, added in order, each product and each sum rounded: what an app can repeat to the bit."""
    total = next(terms)
    for term in terms:
        total += term
    return total


def _taps(size: int, target: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """For each of `target` outputs: source positions [target, taps] and weights that sum to 1, none outside."""
    taps, kernel = _KERNELS[kind]
    centers = (np.arange(target) + 0.5) * (size / target) - 0.5
    positions = np.floor(centers).astype(np.int64)[:, None] + np.arange(1 - taps // 2, 1 + taps // 2)
    weights = kernel(np.abs(centers[:, None] - positions))
    weights[(positions < 0) | (positions >= size)] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    return np.clip(positions, 0, size - 1), weights.astype(np.float32)


def normalize(images: np.ndarray, preprocess: Wanted) -> np.ndarray:
    """(x - mean) / std on the last axis: uint8 [..., 3] in the channel order of `preprocess` -> float32, same shape.

    A row of pixels at a time: numpy takes three times as long for an innermost axis of 3.
    """
    rows = images.reshape(*images.shape[:-2], -1)
    mean, std = (np.tile(np.array(one, np.float32), rows.shape[-1] // 3) for one in (preprocess.mean, preprocess.std))
    result = np.subtract(rows, mean, dtype=np.float32)
    result /= std
    return result.reshape(images.shape)
