"""A Split: images, labelled or not, decoded when they are read, so memory does not grow with the folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgekit.data.images import resize
from edgekit.data.pixels import Pixels
from edgekit.preprocess import Preprocess


@dataclass(frozen=True)
class Damaged:
    """A file that cannot be read: its path relative to the data set's root, and why."""

    name: str
    reason: str


@dataclass(frozen=True, eq=False)
class Split:
    """`n` images. Picklable: worker processes get `take(...)` of it and read their own share.

    labels: int64 [n], positions in `class_names`, or all 0 where there are no classes;
    names: path relative to the data set's root, or "digits/0123";
    hashes: S64 [n], sha256 of each image's decoded native pixels.
    """

    name: str
    class_names: tuple[str, ...]
    labels: np.ndarray
    names: tuple[str, ...]
    hashes: np.ndarray
    pixels: Pixels
    preprocess: Preprocess

    def __len__(self) -> int:
        return len(self.names)

    @property
    def sha256(self) -> str:
        """Of the images' pixels and the names of their classes, in their order; file names do not count."""
        digest = hashlib.sha256()
        for pixels, label in zip(self.hashes.tolist(), self.labels.tolist(), strict=True):
            digest.update(pixels + (self.class_names[label] if self.class_names else "").encode() + b"\n")
        return digest.hexdigest()

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """The images at `indices`, decoded, cropped, resized, in channel order: uint8 [b, height, width, 3].

        Raises BadInput, naming the file, for one that was damaged since the data set was loaded.
        """
        batch = np.empty((len(indices), self.preprocess.height, self.preprocess.width, 3), np.uint8)
        for row, index in enumerate(indices):
            batch[row] = resize(self.pixels.image(int(index)), self.preprocess)
        return batch

    def take(self, indices: Sequence[int] | np.ndarray, name: str | None = None) -> Split:
        """The images at `indices`, in that order, as a Split (of the same name, unless given)."""
        kept = np.asarray(indices, dtype=np.int64)
        return replace(
            self,
            name=name or self.name,
            labels=self.labels[kept],
            names=tuple(self.names[i] for i in kept),
            hashes=self.hashes[kept],
            pixels=self.pixels.take(kept),
        )
