"""Golden vectors: inputs with the file's own outputs for them, by which an app, or another runtime, checks itself.

The inputs are drawn, never the user's images: a file that ships in an app must not carry somebody's photos. A model
that takes images gets pictures of edges and noise in three sizes, its own, a larger and a smaller one, so that
cropping and resizing are checked with it; any other model gets arrays of numbers.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from edgekit.artifact import sha256_of
from edgekit.data.images import decode, normalize, resize
from edgekit.errors import BadInput
from edgekit.preprocess import Preprocess
from edgekit.runtime.computes_in import computes_in
from edgekit.runtime.contract import Golden, GoldenVector, StoredTensor
from edgekit.runtime.embedded import Vector
from edgekit.runtime.interpreter import Loaded, TensorInfo, open_model

# Height and width of the pictures, as shares of the model's own: not resized, shrunk, enlarged.
SHARES = ((1.0, 1.0), (1.6, 1.9), (0.7, 0.55))
DRAWS = 3  # of each the one is kept whose answers tell most
RECTANGLES = 24
NOISE = 12  # pixels a side of the patch of noise: as much as a small PNG affords
PERIOD = 1021  # values of an array, which are then repeated; a prime, so that rows differ
# Largest difference from the outputs, as a share of the largest: float kernels add up in another order, and outputs
# are kept in half precision; integer kernels round at other places.
TOLERANCES = {"float32": 1e-3, "float16": 1e-3, "int16x8": 0.01, "dynamic": 0.05, "int8": 0.05}
LEAST = 1e-6  # an output that is zero throughout is to stay it
HALF = np.finfo(np.float16)


@dataclass(frozen=True)
class Checked:
    """One vector against the outputs that a runtime gave. `max_abs`: the largest difference of each output, in its own
    unit; `within`: all of them are within their tolerance and finite."""

    max_abs: tuple[float, ...]
    tolerance: tuple[float, ...]

    @property
    def within(self) -> bool:
        return all(found <= limit for found, limit in zip(self.max_abs, self.tolerance, strict=True))


def checked(outputs: Sequence[np.ndarray], vector: Vector, tolerance: Sequence[float]) -> Checked:
    """`outputs`: real values, an array an output."""
    apart = tuple(
        float(np.abs(np.asarray(ours, np.float64) - wanted).max(initial=0)) if ours.shape == wanted.shape else np.inf
        for ours, wanted in zip(outputs, vector.outputs, strict=True)
    )
    return Checked(tuple(np.inf if np.isnan(one) else one for one in apart), tuple(tolerance))


def fed(vector: Vector, preprocess: Preprocess | None, batch: int = 1) -> tuple[np.ndarray, ...]:
    """A vector's inputs as `Loaded.run` takes them: a picture `batch` times, as real values before the input's
    quantization; arrays as they are."""
    if vector.picture is None or preprocess is None:
        return vector.inputs
    return (normalized(pixels(vector.picture, preprocess), preprocess, batch),)


def pixels(picture: bytes, preprocess: Preprocess) -> np.ndarray:
    """uint8 [height, width, 3] in the order of the model's channels: what the model sees, before normalization."""
    return np.ascontiguousarray(resize(decode(picture), preprocess))


def make_golden(content: bytes, preprocess: Preprocess | None) -> tuple[Golden, dict[str, bytes]]:
    """Three vectors of the file, and the associated files that hold them. `preprocess` is what its caller does, None
    where it takes no image. Raises BadInput where the runtime fails on it, or an output is not finite."""
    model = open_model(content)
    share = TOLERANCES[computes_in(content)]
    made = list(_of_pictures(model, preprocess) if preprocess else _of_arrays(model))
    if not all(np.isfinite(output).all() for one in made for output in one.outputs):
        raise BadInput("Golden vectors cannot be made: the outputs are not all finite.", "Leave them out: --no-golden")
    largest = [max(float(np.abs(one.outputs[at]).max(initial=0)) for one in made) for at in range(len(model.outputs))]
    tolerance = tuple(max(LEAST, share * one) for one in largest)
    files: dict[str, bytes] = {}
    vectors = tuple(_stored(number, one, files) for number, one in enumerate(made))
    return Golden(tolerance=tolerance, vectors=vectors), files


def _of_pictures(model: Loaded, preprocess: Preprocess) -> Iterator[Vector]:
    for number, (high, wide) in enumerate(SHARES):
        size = max(1, round(high * preprocess.height)), max(1, round(wide * preprocess.width))
        yield max((_drawn(model, preprocess, size, 10 * number + draw) for draw in range(DRAWS)), key=_tells)[0]


def _drawn(model: Loaded, preprocess: Preprocess, size: tuple[int, int], seed: int) -> tuple[Vector, float]:
    """A picture's vector, and how far the answers move when red and blue are exchanged."""
    picture = drawn_picture(*size, seed)
    seen = pixels(picture, preprocess)
    outputs, swapped = (model.run(normalized(one, preprocess, model.batch)) for one in (seen, seen[..., ::-1]))
    moved = max(float(np.abs(ours - theirs).max(initial=0)) for ours, theirs in zip(outputs, swapped, strict=True))
    return Vector(picture, (), tuple(outputs), sha256_of(seen.tobytes())), moved


def _tells(made: tuple[Vector, float]) -> float:
    return made[1]


def normalized(image: np.ndarray, preprocess: Preprocess, batch: int) -> np.ndarray:
    return np.repeat(normalize(image, preprocess)[None], batch, axis=0)


def drawn_picture(height: int, width: int, seed: int) -> bytes:
    """A PNG of coloured rectangles and a patch of noise: sharp edges at odd places, in few bytes."""
    generator = np.random.default_rng(seed)
    image = np.empty((height, width, 3), np.uint8)
    image[:] = generator.integers(0, 256, 3)
    for _ in range(RECTANGLES):
        (top, bottom), (left, right) = (np.sort(generator.integers(0, side + 1, 2)) for side in (height, width))
        image[top:bottom, left:right] = generator.integers(0, 256, 3)
    patch = image[height // 3 : height // 3 + NOISE, width // 3 : width // 3 + NOISE]
    patch[:] = generator.integers(0, 256, patch.shape)
    held = io.BytesIO()
    Image.fromarray(image).save(held, "PNG", compress_level=9)
    return held.getvalue()


def _of_arrays(model: Loaded) -> Iterator[Vector]:
    for seed in range(len(SHARES)):
        generator = np.random.default_rng(seed)
        inputs = tuple(np.resize(_values(info, generator), info.shape) for info in model.inputs)
        yield Vector(None, inputs, tuple(model.run(*inputs)), None)


def _values(info: TensorInfo, generator: np.random.Generator) -> np.ndarray:
    """At most PERIOD values: floats in [-1, 1), all codes of a quantized input; 0 and 1 of any other integer, which
    may be an index."""
    count = max(1, min(PERIOD, int(np.prod(info.shape))))
    if np.issubdtype(info.dtype, np.floating):
        return generator.uniform(-1, 1, count).astype(info.dtype)
    if info.scale is None:
        return generator.integers(0, 2, count).astype(info.dtype)
    limits = np.iinfo(info.dtype)
    return generator.integers(limits.min, limits.max, count, info.dtype, endpoint=True)


def _stored(number: int, made: Vector, files: dict[str, bytes]) -> GoldenVector:
    """Puts what a vector holds into `files`, and says where."""
    if made.picture is None:
        inputs = tuple(
            _put(files, f"golden-{number}-input-{at}.bin", one, np.ravel(one)[:PERIOD])
            for at, one in enumerate(made.inputs)
        )
    else:
        name = f"golden-{number}.png"
        files[name] = made.picture
        inputs = (StoredTensor(file=name, shape=decode(made.picture).shape, dtype="uint8"),)
    halves = [_half(one) for one in made.outputs]
    outputs = tuple(_put(files, f"golden-{number}-output-{at}.bin", one, one) for at, one in enumerate(halves))
    return GoldenVector(inputs=inputs, outputs=outputs, pixels_sha256=made.pixels_sha256)


def _put(files: dict[str, bytes], name: str, whole: np.ndarray, held: np.ndarray) -> StoredTensor:
    files[name] = held.astype(held.dtype.newbyteorder("<")).tobytes()
    return StoredTensor(file=name, shape=whole.shape, dtype=whole.dtype.name)


def _half(output: np.ndarray) -> np.ndarray:
    """float16 where that keeps the values, float32 where they are too large or too small for it."""
    largest = float(np.abs(output).max(initial=0))
    kept = largest == 0 or float(HALF.tiny) <= largest <= float(HALF.max)
    return output.astype(np.float16 if kept else np.float32)
