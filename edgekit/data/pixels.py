"""Where the pixels of a split live, and the hash that says whether two pictures are the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekit.data.images import BadImage, decode
from edgekit.errors import DeviceError
from edgekit.progress import Progress, Reporter, silent

PARALLEL_ABOVE = 500  # starting worker processes pays off from about this many files on
CHUNK = 100


@dataclass(frozen=True, eq=False)
class Files:
    """Image files under `root`, decoded each time they are asked for."""

    root: Path
    paths: tuple[str, ...]

    def image(self, index: int) -> np.ndarray:
        """uint8 [h, w, 3] RGB. Raises BadInput for a file that was damaged since the data set was loaded."""
        return decode(self.root / self.paths[index])

    def take(self, indices: np.ndarray) -> Files:
        return Files(self.root, tuple(self.paths[i] for i in indices))


@dataclass(frozen=True, eq=False)
class Arrays:
    """Pixels in memory: uint8 [n, h, w] grayscale or [n, h, w, 3] RGB."""

    images: np.ndarray

    def image(self, index: int) -> np.ndarray:
        """uint8 [h, w, 3] RGB."""
        image = self.images[index]
        return np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image

    def take(self, indices: np.ndarray) -> Arrays:
        return Arrays(self.images[indices])


Pixels = Files | Arrays


@dataclass(frozen=True)
class Seen:
    """What one look at a picture tells: the hash of its pixels (hex), its darkest and brightest value; or a reason
    why it cannot be read (then the others are empty)."""

    pixel_hash: bytes = b""
    low: int = 0
    high: int = 0
    reason: str = ""


def pixel_hash(image: np.ndarray) -> bytes:
    """sha256 (64 hex digits) of the native size and the RGB pixels of a uint8 [h, w, 3] image."""
    digest = hashlib.sha256(f"{image.shape[0]}x{image.shape[1]}:".encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest().encode()


def hash_arrays(pixels: Arrays) -> np.ndarray:
    """The pixel hash of every image in memory: S64 [n]."""
    return np.array([pixel_hash(pixels.image(i)) for i in range(len(pixels.images))], dtype="S64")


def look_at(files: Files, progress: Reporter = silent) -> list[Seen]:
    """Decodes every file once, in worker processes when there are many: hashes, ranges, and which are damaged."""
    chunks = [files.paths[i : i + CHUNK] for i in range(0, len(files.paths), CHUNK)]
    seen: list[Seen] = []
    for part in _looks(files.root, chunks, len(files.paths) > PARALLEL_ABOVE):
        seen += part
        progress(Progress("read images", len(seen), len(files.paths)))
    return seen


def _looks(root: Path, chunks: Sequence[tuple[str, ...]], parallel: bool) -> Iterator[list[Seen]]:
    if not parallel:
        yield from (_look_at_chunk(root, chunk) for chunk in chunks)
        return
    from loky import cpu_count, get_reusable_executor
    from loky.process_executor import TerminatedWorkerError

    executor = get_reusable_executor(max_workers=cpu_count())
    try:
        yield from executor.map(_look_at_chunk, [root] * len(chunks), chunks)
    except TerminatedWorkerError as caught:
        fact = f"A process reading the images of {root} was killed, probably for lack of memory."
        raise DeviceError(fact, "Free some memory or make the images smaller.") from caught


def _look_at_chunk(root: Path, paths: Sequence[str]) -> list[Seen]:
    return [_look(root, path) for path in paths]


def _look(root: Path, path: str) -> Seen:
    try:
        image = decode(root / path)
    except BadImage as caught:
        return Seen(reason=caught.reason)
    return Seen(pixel_hash(image), int(image.min()), int(image.max()))
