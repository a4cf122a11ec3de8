"""The calibration images: chosen from train only, evenly over the classes, the same ones every time.

R39: N calibration images means N images. R27: they are validated, by lint.py.
"""

from __future__ import annotations

import hashlib
import warnings

import numpy as np

from edgekit.data.divide import ranks
from edgekit.data.split import Split
from edgekit.errors import EdgekitWarning, UsageError


def choose(train: Split, count: int, seed: int = 0) -> Split:
    """`count` images of `train` in hash order, the classes in turn; different pictures before repeated ones.

    Another `seed` draws other images in the same way: seed 0 goes by the pixels' hash, others by a hash of that.
    Fewer, with a warning, when train has fewer. Raises UsageError for a count below 1.
    """
    if count < 1:
        raise UsageError(f"{count} calibration images are too few.", "Use 100 or more.")
    if count > len(train):
        sentence = f"{count:,} calibration images were asked for, there are {len(train):,}: all of them are used."
        warnings.warn(sentence, EdgekitWarning, stacklevel=3)
    _, first = np.unique(train.hashes, return_index=True)
    repeated = np.ones(len(train), bool)
    repeated[first] = False
    order = np.lexsort((train.labels, ranks(_salted(train.hashes, seed), train.labels), repeated))
    return train.take(order[:count], "calibration")


def _salted(hashes: np.ndarray, seed: int) -> np.ndarray:
    if seed == 0:
        return hashes
    return np.array([hashlib.sha256(b"%d:%b" % (seed, h)).hexdigest() for h in hashes.tolist()], dtype="S64")
