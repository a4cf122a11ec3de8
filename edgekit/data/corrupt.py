"""The usual corruptions of images, at three severities: what a camera, an upload or another resize does to a picture.

They follow the kinds of Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations" (2019), with strengths of their own, as shares of the image so that they mean the same at any size. All
but `resize` work on the picture at the model's size. Chance comes from a seed and the picture itself, never from the
order or the process.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from PIL import Image, ImageFilter

from edgekit.data.split import Split
from edgekit.errors import UsageError, unknown

SEVERITIES = (1, 2, 3)


@dataclass(frozen=True)
class Corruption:
    """`strengths`: one a severity, in `unit`; `apply(image, strength, generator)` is uint8 [h, w, 3] -> the same."""

    name: str
    unit: str
    strengths: tuple[float, float, float]
    apply: Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


def _noise(image: np.ndarray, deviation: float, generator: np.random.Generator) -> np.ndarray:
    return _pixels(image + generator.normal(0, deviation, image.shape))


def _blur(image: np.ndarray, share: float, _: np.random.Generator) -> np.ndarray:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(share * min(image.shape[:2]))))


def _jpeg(image: np.ndarray, quality: float, _: np.random.Generator) -> np.ndarray:
    held = io.BytesIO()
    Image.fromarray(image).save(held, "JPEG", quality=int(quality))
    with Image.open(held) as decoded:
        return np.asarray(decoded.convert("RGB"))


def _brightness(image: np.ndarray, change: float, _: np.random.Generator) -> np.ndarray:
    return _pixels(image + 255 * change)


def _contrast(image: np.ndarray, left: float, _: np.random.Generator) -> np.ndarray:
    mean = image.mean(axis=(0, 1))
    return _pixels(mean + left * (image - mean))


def _shift(image: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """To one of the eight neighbours; the edge is repeated."""
    far = max(1, round(share * min(image.shape[:2])))
    down, right = ((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))[generator.integers(8)]
    padded = np.pad(image, ((far, far), (far, far), (0, 0)), mode="edge")
    top, left = far - down * far, far - right * far
    return padded[top : top + image.shape[0], left : left + image.shape[1]]


def _pixels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


CORRUPTIONS = {
    one.name: one
    for one in (
        Corruption("noise", "standard deviation, of 255", (8, 16, 32), _noise),
        Corruption("blur", "standard deviation, share of the shorter side", (0.01, 0.02, 0.04), _blur),
        Corruption("jpeg", "quality", (75, 40, 15), _jpeg),
        Corruption("brighter", "added, of the full range", (0.1, 0.2, 0.3), _brightness),
        Corruption("darker", "added, of the full range", (-0.1, -0.2, -0.3), _brightness),
        Corruption("contrast", "share that is left", (0.7, 0.4, 0.2), _contrast),
        Corruption("shift", "share of the shorter side", (0.03, 0.06, 0.12), _shift),
    )
}
RESIZE = "resize"  # another filter, or none of the antialiasing, than the file expects: no severity
NAMES = (*CORRUPTIONS, RESIZE)
FILTERS = ("nearest", "bilinear", "bicubic", "area")


@dataclass(frozen=True, eq=False)
class Corrupted(Split):
    """A split whose pictures are read corrupted."""

    corruption: str = ""
    severity: int = 1
    seed: int = 0

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        images = super().read(indices)
        kind = CORRUPTIONS[self.corruption]
        for row, index in enumerate(indices):
            picture = int(self.hashes[index][:15], 16)
            generator = np.random.default_rng([self.seed, self.severity, picture])
            images[row] = kind.apply(images[row], kind.strengths[self.severity - 1], generator)
        return images


@dataclass(frozen=True)
class Case:
    """What is done to a split: `strength` in words, with its unit."""

    corruption: str
    severity: int
    strength: str
    split: Split


def corrupted(split: Split, names: Sequence[str] = NAMES, seed: int = 0) -> Iterator[Case]:
    """The split under each corruption at each severity. Raises UsageError for a name that is not known."""
    for name in names:
        if name not in NAMES:
            raise unknown("corruption", name, NAMES, UsageError)
    own = {one.name: getattr(split, one.name) for one in fields(Split)}
    for name in names:
        if name == RESIZE:
            yield from _resized(split)
            continue
        kind = CORRUPTIONS[name]
        for severity, strength in zip(SEVERITIES, kind.strengths, strict=True):
            harmed = Corrupted(**own, corruption=name, severity=severity, seed=seed)
            yield Case(name, severity, f"{strength:g} ({kind.unit})", harmed)


def _resized(split: Split) -> Iterator[Case]:
    """Every other filter, and one that reads with antialiasing where the file expects none, or the other way round."""
    given = split.preprocess
    others = [name for name in FILTERS if name != given.resize]
    smoothed = given.resize if given.resize in ("bilinear", "bicubic") else "bilinear"  # of the others it is no matter
    looks = [given.model_copy(update={"resize": name}) for name in others]
    looks.append(given.model_copy(update={"resize": smoothed, "antialias": not given.antialias}))
    for number, look in enumerate(looks, 1):
        plain = "" if look.antialias else " without antialiasing"
        yield Case(RESIZE, number, f"{look.resize}{plain}", replace(split, preprocess=look))
