"""From a file to the pixels a model sees: decode, resize, normalize. numpy and Pillow only, the same code everywhere.

Training, calibration and evaluation come through here, and a device that decodes or an app on a Raspberry Pi through
`edgekit.data.preparing`, which does the work: a picture means the same to each.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from edgekit.data.preparing import FORMATS, MAX_PIXELS, normalize, pixels_of, resize
from edgekit.errors import BadInput

__all__ = ["FORMATS", "MAX_PIXELS", "SUFFIXES", "BadImage", "decode", "normalize", "resize"]

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})


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
            return pixels_of(stream)
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
