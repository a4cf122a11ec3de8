"""Makes the splits a source does not have, and keeps train, val and test apart by the hash of their pixels.

Every decision follows from the pixels: neither file names, nor the order of files, nor a run's seed move an image to
another split. So figures over seeds are of the same test images, and a sample drawn today stays clear of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from edgekit.data.split import Split
from edgekit.errors import EdgekitWarning

PERCENT = {"test": 20, "val": 10}  # of the images the missing split is cut from, rounded up: never empty
STRONGER = ("test", "val", "train")  # an image given twice stays in the first of these


def divide(parts: Mapping[str, Split]) -> dict[str, Split]:
    """train, val and test from the given parts ("all", or "train" with or without "val" and "test").

    No split given: 70/10/20. No val: 10 % of train. No test: 20 % of train. Identical images always fall together.
    """
    kept = _without_overlap(parts)
    source = kept.pop("all" if "all" in kept else "train")
    return {**kept, **cut(source, [name for name in PERCENT if name not in kept])}


def cut(split: Split, wanted: list[str]) -> dict[str, Split]:
    """Cuts PERCENT of `split` for each wanted name; the rest is "train". Balanced over classes, ordered by hash."""
    unique, first, group, counts = np.unique(split.hashes, return_index=True, return_inverse=True, return_counts=True)
    order = _spread(unique, split.labels[first])
    starts = np.empty(len(unique), np.int64)  # how many images stand before each group of identical ones
    starts[order] = np.cumsum(counts[order]) - counts[order]
    result, begin = {}, 0
    for name in wanted:
        end = begin + -(-len(split) * PERCENT[name] // 100)
        chosen = (starts >= begin) & (starts < end)
        result[name] = split.take(np.flatnonzero(chosen[group]), name)
        begin = end
    return {"train": split.take(np.flatnonzero((starts >= begin)[group]), "train"), **result}


def ranks(keys: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """int64 [n]: the position of each key among the keys of its own class."""
    result = np.empty(len(keys), np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        result[members[np.argsort(keys[members], kind="stable")]] = np.arange(len(members))
    return result


def _spread(keys: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """An order in which any stretch holds each class in about its share, and within a class goes by key."""
    sizes = np.bincount(labels)[labels]
    return np.lexsort((keys, (ranks(keys, labels) + 0.5) / sizes))


def _without_overlap(parts: Mapping[str, Split]) -> dict[str, Split]:
    """Drops from train what is in val or test too, and from val what is in test, with a warning."""
    kept = dict(parts)
    for position, stronger in enumerate(STRONGER):
        for weaker in STRONGER[position + 1 :]:
            if stronger not in kept or weaker not in kept:
                continue
            double = np.isin(kept[weaker].hashes, kept[stronger].hashes)
            if double.any():
                _report(weaker, stronger, kept[weaker].names[int(double.argmax())], int(double.sum()))
                kept[weaker] = kept[weaker].take(np.flatnonzero(~double))
    return kept


def _report(weaker: str, stronger: str, example: str, count: int) -> None:
    images = "1 image" if count == 1 else f"{count:,} images"
    sentence = f"{images} of {weaker} also in {stronger}, by pixels: kept in {stronger} only (first: {example})."
    warnings.warn(sentence, EdgekitWarning, stacklevel=4)
