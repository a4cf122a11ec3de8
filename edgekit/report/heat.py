"""A Grad-CAM map laid over the thumbnail that it belongs to, as a small WebP, and in words for those who hear it."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from edgekit.data.images import decode

PNG = b"\x89PNG\r\n\x1a\n"
SIDE = 96  # pixels of the longer side of a thumbnail, and of what is drawn over it
MOST = 64  # positions a side of a map
QUALITY = 80
# From nothing to most: dark violet, magenta, orange, pale yellow. Its lightness rises too, so that it reads in grey.
STOPS = (0.0, 0.4, 0.75, 1.0)
COLOURS = np.array([(40, 10, 90), (190, 40, 120), (250, 140, 30), (255, 250, 170)], np.float64)
STRENGTH = 0.7  # of the colour over the grey picture, where the map is 1
Rows = Sequence[Sequence[float]]


def png_of(text: str) -> bytes:
    """Raises ValueError for what is no PNG in base64: a run directory may come from anybody."""
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"a picture of the gallery is damaged: {error}") from None
    if not content.startswith(PNG):
        raise ValueError("a picture of the gallery is no PNG")
    return content


def checked(rows: Rows) -> np.ndarray:
    """float64 [h, w] of 0 to 1. Raises ValueError for what is no such map."""
    found = np.array(rows, np.float64)
    if found.ndim != 2 or not 0 < found.size <= MOST * MOST or not ((found >= 0) & (found <= 1)).all():
        raise ValueError("a map of the gallery is damaged")
    return found


def heated(png: bytes, rows: Rows, crop: str = "none") -> bytes:
    """A WebP of the picture in grey, coloured where the map is high; with `crop` center the map is of its largest
    centred square. Raises BadInput for a damaged picture, ValueError for a damaged map."""
    values = checked(rows)
    picture = Image.fromarray(decode(png)).convert("L")
    times = SIDE / max(picture.size)
    width, height = (max(1, round(times * side)) for side in picture.size)
    grey = np.asarray(picture.resize((width, height), Image.Resampling.NEAREST), np.float64)
    heat = _placed(values, height, width, crop)[..., None]
    colour = np.stack([np.interp(heat[..., 0], STOPS, COLOURS[:, one]) for one in range(3)], axis=-1)
    mixed = (1 - STRENGTH * heat) * grey[..., None] + STRENGTH * heat * colour
    written = io.BytesIO()
    Image.fromarray(mixed.round().astype(np.uint8)).save(written, "WEBP", quality=QUALITY)
    return written.getvalue()


def source(kind: str, content: bytes) -> str:
    """A data: address."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def where(rows: Rows) -> str:
    """Where a map is highest: 'at the upper left', 'in the middle', 'nowhere'."""
    values = checked(rows)
    if not values.any():
        return "nowhere"
    centres = [np.average((np.arange(side) + 0.5) / side, weights=values.max(axis=1 - axis) == values.max())
               for axis, side in enumerate(values.shape)]  # fmt: skip
    high, wide = (min(2, int(3 * one)) for one in centres)
    if (high, wide) == (1, 1):
        return "in the middle"
    return "at the " + " ".join(part for part in (("upper", "", "lower")[high], ("left", "", "right")[wide]) if part)


def _placed(values: np.ndarray, height: int, width: int, crop: str) -> np.ndarray:
    """The map at the size of the picture, 0 outside of the crop: float64 [height, width]."""
    high, wide = (min(height, width),) * 2 if crop == "center" else (height, width)
    large = Image.fromarray(values.astype(np.float32)).resize((wide, high), Image.Resampling.BILINEAR)
    placed = np.zeros((height, width))
    top, left = (height - high) // 2, (width - wide) // 2
    placed[top : top + high, left : left + wide] = np.clip(np.asarray(large), 0, 1)
    return placed
