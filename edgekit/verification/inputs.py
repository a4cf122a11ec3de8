"""What is fed to every runtime: pictures where it is known how they are prepared, seeded values elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekit.data.folder import image_paths
from edgekit.data.images import decode, normalize, resize
from edgekit.data.sources import BUILT_IN
from edgekit.errors import UsageError
from edgekit.evaluation.expects import expected
from edgekit.evaluation.golden import pixels
from edgekit.measurement.answers import LARGEST
from edgekit.preprocess import Preprocess
from edgekit.runtime.embedded import embedded_of, golden_vectors
from edgekit.runtime.interpreter import TensorInfo
from edgekit.runtime.probe import Probed, random_inputs

SEEDED = 4
IMAGES = 16  # of --data, at most: spread over the whole of it
COARSE = 8  # pixels a side of the noise that a seeded picture is made of


@dataclass(frozen=True, eq=False)
class Inputs:
    """`tensors`: [n, ...] an input of the file, in its own dtype; each sample is a whole tensor. `pictures`: uint8
    [n, height, width, 3] RGB that they were made of, None where they are none. `origins`: where each sample comes from,
    "golden", "seeded" or an image's name."""

    tensors: tuple[np.ndarray, ...]
    pictures: np.ndarray | None
    origins: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.origins)

    def to_json(self) -> dict[str, int]:
        named = [one if one in ("golden", "seeded") else "images" for one in self.origins]
        return {kind: named.count(kind) for kind in ("golden", "seeded", "images")}


def inputs_for(found: Probed, preprocess: Preprocess | None, data: str | None) -> Inputs:
    """The file's golden vectors, SEEDED inputs, and images of `data` (a folder, with or without classes, or a built-in
    set).

    `preprocess` is what the file expects of images, None where nobody knows. Raises BadInput.
    """
    prepared, most = preprocess if preprocess is not None else _known(found), _most(found)
    vectors = golden_vectors(embedded_of(found.content, str(found.path)), str(found.path))
    if prepared is None:
        return _values(found.inputs, [one.inputs for one in vectors if one.picture is None], most)
    golden = [pixels(one.picture, prepared) for one in vectors if one.picture is not None]
    pictures, origins = np.stack([*golden, *_seeded(prepared)]), ("golden",) * len(golden) + ("seeded",) * SEEDED
    if data is not None:
        images, names = _images(data, prepared)
        pictures, origins = np.concatenate([images, pictures]), (*names, *origins)
    return _from_pictures(pictures[:most], origins[:most], prepared, found.inputs[0])


def _most(found: Probed) -> int:
    """Samples whose inputs and outputs travel in one message each, at least one."""
    sizes = [sum(math.prod(one.shape) * np.dtype(one.dtype).itemsize for one in ends)
             for ends in (found.inputs, found.outputs)]  # fmt: skip
    return max(1, LARGEST // (2 * max(1, *sizes)))


def _known(found: Probed) -> Preprocess | None:
    """What the file, or the card beside it, says of images; None where it takes none or nothing is said."""
    shape = found.inputs[0].shape
    if len(found.inputs) != 1 or len(shape) != 4 or shape[0] != 1 or shape[3] != 3:
        return None
    try:
        return expected(found.path, None).preprocess
    except UsageError:
        return None


def _values(infos: tuple[TensorInfo, ...], golden: Sequence[tuple[np.ndarray, ...]], most: int) -> Inputs:
    drawn = [*golden, *(random_inputs(infos, seed) for seed in range(SEEDED))][:most]
    origins = (("golden",) * len(golden) + ("seeded",) * SEEDED)[: len(drawn)]
    columns = zip(infos, zip(*drawn, strict=True), strict=True)
    return Inputs(tuple(info.encode(np.stack(column)) for info, column in columns), None, origins)


def _seeded(preprocess: Preprocess) -> np.ndarray:
    """uint8 [SEEDED, h, w, 3] in the channel order of `preprocess`: coarse colours, smoothed, with noise over them. A
    network answers nothing but "noise" to plain noise."""
    from PIL import Image

    generator = np.random.default_rng(0)
    size = (preprocess.width, preprocess.height)
    found = []
    for _ in range(SEEDED):
        coarse = generator.integers(0, 256, (COARSE, COARSE, 3), np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC), np.float64)
        found.append(np.clip(smooth + generator.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8))
    return np.stack(found)


def _images(data: str, preprocess: Preprocess) -> tuple[np.ndarray, tuple[str, ...]]:
    """At most IMAGES, as the file takes them but for the normalization, and their names."""
    if data in BUILT_IN:
        split = next(iter(BUILT_IN[data](preprocess).parts.values()))
        chosen = spread(len(split), IMAGES)
        return split.read(chosen), tuple(split.names[index] for index in chosen)
    paths, _ = image_paths(Path(data))
    names = tuple(paths[index] for index in spread(len(paths), IMAGES))
    return np.stack([resize(decode(Path(data) / name), preprocess) for name in names]), names


def spread(count: int, most: int) -> list[int]:
    """At most so many of `count` positions, over the whole of them: images are often sorted by their class."""
    return [int(index) for index in np.linspace(0, count - 1, min(count, most)).round()]


def _from_pictures(pictures: np.ndarray, origins: tuple[str, ...], preprocess: Preprocess, info: TensorInfo) -> Inputs:
    tensor = info.encode(normalize(pictures, preprocess))[:, None]
    seen = pictures if preprocess.channels == "rgb" else pictures[..., ::-1]
    return Inputs((tensor,), np.ascontiguousarray(seen), origins)
