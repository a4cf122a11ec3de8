"""From a file to the pixels a model sees: decode, resize, normalize. numpy and Pillow only, the same code everywhere.

Training, calibration, evaluation and a Raspberry Pi all come through here, so a picture means the same to each.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from edgekit.errors import BadInput
from edgekit.preprocess import Preprocess

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})
FORMATS = ("PNG", "JPEG", "WEBP", "BMP")  # no other decoder is tried, whatever the file is called
MAX_PIXELS = 89_478_485  # Pillow's own limit: a quarter of a GiB at 24 bits

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "area": Image.Resampling.BOX,
}


class BadImage(BadInput):
    """A file that is not a whole PNG, JPEG, WebP or BMP image; `reason` is a short clause."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} cannot be read as an image ({reason}).", "Replace it or take it out of the data set.")
        self.reason = reason


def decode(source: Path | bytes | BinaryIO) -> np.ndarray:
    """The picture as uint8 [h, w, 3] RGB, upright (EXIF orientation applied). May be read-only.

    Grayscale is repeated over the channels, 16-bit grayscale scaled to round(value / 257) (Pillow would clip it;
    16-bit colour it cuts to the high byte by itself), transparent pixels are laid on white, CMYK is converted without
    a colour profile. Of an animation the first frame counts.
    Raises BadImage, a BadInput that names the file, for damage or truncation, another format, or more than MAX_PIXELS.
    """
    with _stream(source) as (stream, name):
        try:
            return _pixels(stream)
        except (MemoryError, KeyboardInterrupt):
            raise
        except Exception as caught:  # Pillow's decoders raise nearly every type on damaged bytes
            raise BadImage(name, _reason(caught)) from caught


@contextlib.contextmanager
def _stream(source: Path | bytes | BinaryIO) -> Iterator[tuple[BinaryIO, str]]:
    """An open binary stream and the name to blame. Failing to open is the caller's OSError, not damage."""
    if isinstance(source, bytes):
        yield io.BytesIO(source), f"An image of {len(source)} bytes"
    elif isinstance(source, Path):
        with source.open("rb") as stream:
            yield stream, str(source)
    else:
        yield source, str(getattr(source, "name", "An image"))


def _pixels(stream: BinaryIO) -> np.ndarray:
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


def _reason(caught: Exception) -> str:
    """One short clause for what went wrong, without Pillow's object addresses."""
    if isinstance(caught, Image.UnidentifiedImageError):
        return "not a PNG, JPEG, WebP or BMP file"
    if isinstance(caught, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return "too many pixels, it could be a decompression bomb"
    if "truncated" in str(caught).lower():
        return "the file is truncated"
    lines = str(caught).splitlines()
    return lines[0].rstrip(".") if lines else type(caught).__name__


def resize(image: np.ndarray, preprocess: Preprocess) -> np.ndarray:
    """Crop, resize and order the channels: uint8 [h, w, 3] RGB -> uint8 [height, width, 3] rgb or bgr.

    `crop: center` takes the largest centred square first. With `antialias` the filters are Pillow's, whose support
    grows when shrinking. Without it, bilinear reads 2x2 and bicubic (Keys, a = -0.5) 4x4 source pixels around each
    half-pixel centre, as most phone runtimes and `tf.image.resize(antialias=False)` do. `area` (Pillow's box: the
    mean of the covered pixels) and `nearest` are the same with and without.
    """
    if preprocess.crop == "center":
        image = _center_square(image)
    height, width = preprocess.height, preprocess.width
    if image.shape[:2] != (height, width):
        if preprocess.antialias or preprocess.resize not in _KERNELS:
            smaller = Image.fromarray(image).resize((width, height), _FILTERS[preprocess.resize])
            image = np.asarray(smaller)
        else:
            image = _point_sampled(image, height, width, preprocess.resize)
    return image if preprocess.channels == "rgb" else image[:, :, ::-1]


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
    lines = np.einsum("htwc,ht->hwc", image[rows].astype(np.float32), row_weights)
    result = np.einsum("hwtc,wt->hwc", lines[:, columns], column_weights)
    return np.clip(np.floor(result + 0.5), 0, 255).astype(np.uint8)


def _taps(size: int, target: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """For each of `target` outputs: source positions [target, taps] and weights that sum to 1, none outside."""
    taps, kernel = _KERNELS[kind]
    centers = (np.arange(target) + 0.5) * (size / target) - 0.5
    positions = np.floor(centers).astype(np.int64)[:, None] + np.arange(1 - taps // 2, 1 + taps // 2)
    weights = kernel(np.abs(centers[:, None] - positions))
    weights[(positions < 0) | (positions >= size)] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    return np.clip(positions, 0, size - 1), weights.astype(np.float32)


def normalize(images: np.ndarray, preprocess: Preprocess) -> np.ndarray:
    """(x - mean) / std on the last axis: uint8 [..., 3] in the channel order of `preprocess` -> float32, same shape."""
    result = np.subtract(images, np.array(preprocess.mean, np.float32), dtype=np.float32)
    result /= np.array(preprocess.std, np.float32)
    return result
