"""Pictures with what edgekit makes of them, byte for byte, in a file that the client of every language reads.

A case: int32 width, height, new width, new height, bgr, filter, antialias, crop, zero point, lowest code;
float64 scale; float32 mean[3], std[3]; then the RGBA pixels. All little-endian. A client writes, of each case: RGB on
white, the resized pixels, the float32 input, the codes.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from edgekit.data.images import normalize, resize
from edgekit.preprocess import Preprocess
from edgekit.runtime.quantization import quantize

FILTERS = ("nearest", "bilinear", "bicubic", "area")
SCALES = ((1.0, 0, 0), (1.0, -128, -128), (0.0182, 37, 0), (0.0173, -11, -128))  # scale, zero point, lowest code


@dataclass(frozen=True, eq=False)
class Case:
    """`rgba`: uint8 [h, w, 4]; `codes`: scale, zero point and lowest code of an integer input."""

    rgba: np.ndarray
    wanted: Preprocess
    codes: tuple[float, int, int]

    @property
    def rgb(self) -> np.ndarray:
        upper = Image.fromarray(self.rgba)
        return np.asarray(Image.alpha_composite(Image.new("RGBA", upper.size, "white"), upper).convert("RGB"))

    def stored(self) -> bytes:
        one, (height, width) = self.wanted, self.rgba.shape[:2]
        scale, zero_point, lowest = self.codes
        flags = (one.channels == "bgr", FILTERS.index(one.resize), one.antialias, one.crop == "center")
        head = struct.pack("<10i", width, height, one.width, one.height, *flags, zero_point, lowest)
        return head + struct.pack("<d6f", scale, *one.mean, *one.std) + self.rgba.tobytes()

    def expected(self) -> bytes:
        scale, zero_point, lowest = self.codes
        resized = np.ascontiguousarray(resize(self.rgb, self.wanted))
        real = normalize(resized, self.wanted)
        codes = quantize(real, scale, zero_point, "int8" if lowest else "uint8")
        return b"".join(one.tobytes() for one in (self.rgb, resized, real, codes))


def cases(each: int = 8) -> Iterator[Case]:
    """All filters, with and without antialiasing and crop, `each` with pictures of odd sizes: noise, and black and
    white edges, which overshoot."""
    generator = np.random.default_rng(0)
    for kind, smooth, crop in itertools.product(FILTERS, (True, False), ("none", "center")):
        for number in range(each):
            height, width = (int(side) for side in generator.integers(1, 90, 2))
            rgba = generator.integers(0, 256, (height, width, 4), np.uint8)
            if number % 2:
                rgba[..., :3] = np.where(rgba[..., :3] > 127, 255, 0)
            if number % 4 < 3:
                rgba[..., 3] = 255
            new = (height, width) if number == 7 else tuple(int(side) for side in generator.integers(1, 48, 2))
            wanted = Preprocess(
                height=new[0], width=new[1], resize=kind, antialias=smooth, crop=crop,
                channels="bgr" if number % 3 else "rgb",
                mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375),
            )  # fmt: skip
            scale = SCALES[number % len(SCALES)]
            yield Case(rgba, wanted.raw_pixels() if scale[0] == 1.0 else wanted, scale)


def stored(them: Sequence[Case]) -> bytes:
    return b"".join(one.stored() for one in them)
