"""How far two runtimes' outputs are apart, and how far they may be: a table by what a file computes in.

A limit is what the arithmetic of the two explains, and no more; docs/verify.md says why each is what it is.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgekit.evaluation.metrics import a_score_a_class
from edgekit.evaluation.parity import same_class
from edgekit.measurement.gpu import LEAST, TOLERANCES
from edgekit.runtime.interpreter import TensorInfo

Arrays = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Difference:
    """Over all samples, of real values. `max_abs` and `max_relative` (of the largest value of that output) are None
    where a value is not finite; `max_steps` is in steps between two codes of the output, None where it has none.
    `agreement`: share of the samples with the same largest class, exact ties set aside; None where there are none.
    """

    bit_equal: bool
    max_abs: float | None
    max_relative: float | None
    max_steps: float | None
    agreement: float | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Limit:
    """At most so far apart: `steps` where the output has codes, counted before a last softmax or sigmoid where there is
    one (which makes many of a step in the middle of its range, and none of one at its ends); else `relative`. `why` is
    a sentence on what comes of the arithmetic."""

    why: str
    relative: float
    steps: float | None = None

    def broken(self, found: Difference, score_steps: float | None = None) -> str:
        """What is beyond it, "" where nothing is. `score_steps`: those before a last softmax, where they are known."""
        if found.max_relative is None:
            return "outputs are not finite"
        steps = found.max_steps if score_steps is None else score_steps
        if self.steps is not None and steps is not None:
            where = "" if score_steps is None else " before the last softmax"
            return f"up to {steps:.3g} steps apart{where}, limit {self.steps:g}" if steps > self.steps else ""
        beyond = found.max_relative > self.relative
        return f"up to {found.max_relative:.2g} of the largest output apart, limit {self.relative:g}" if beyond else ""


SUMS = "Floats are added up in another order, by vectors of another width."
REQUANTIZED = (
    "Sums of products are brought to 8 bits by floats and one rounding in XNNPACK, by integers and two roundings in "
    "other kernels: a value in the middle between two codes goes one way or the other, layer by layer."
)
ANEW = "Activations are quantized anew in each layer: a float that differs in its last bit changes a code."
HALF = "A GPU may compute in half precision, and rounds at other places."
# (what the file computes in, what computes it) -> the limit
LIMITS = {
    ("float32", "cpu"): Limit(SUMS, 1e-4),
    ("float16", "cpu"): Limit(SUMS, 1e-4),
    ("dynamic", "cpu"): Limit(ANEW, 0.05),
    ("int8", "cpu"): Limit(REQUANTIZED, 0.25, 10.0),
    ("int16x8", "cpu"): Limit(REQUANTIZED, 0.01),
    **{(kind, "gpu"): Limit(HALF, share) for kind, share in TOLERANCES.items()},
}


def real_of(arrays: Arrays, infos: tuple[TensorInfo, ...]) -> Arrays:
    """float64 real values, [n, ...] an output."""
    return tuple(
        values.astype(np.float64)
        if info.scale is None or info.zero_point is None or values.dtype.kind == "f"
        else (values.astype(np.float64) - info.zero_point) * np.float64(np.float32(info.scale))
        for values, info in zip(arrays, infos, strict=True)
    )


def difference(first: Arrays, other: Arrays, steps: tuple[float | None, ...]) -> Difference:
    """Of real values [n, ...] an output. `first` decides what the largest value and the right class are."""
    pairs = list(zip(first, other, strict=True))
    # MediaPipe gives float32 alone, so equal means equal as float32.
    equal = all(np.array_equal(a.astype(np.float32), b.astype(np.float32), equal_nan=True) for a, b in pairs)
    if not all(np.isfinite(one).all() for pair in pairs for one in pair):
        return Difference(equal, None, None, None, None)
    apart = [float(np.abs(a - b).max(initial=0.0)) for a, b in pairs]
    largest = [max(float(np.abs(a).max(initial=0.0)), LEAST) for a, _ in pairs]
    in_steps = [d / step for d, step in zip(apart, steps, strict=True) if step]
    return Difference(
        bit_equal=equal,
        max_abs=max(apart),
        max_relative=max(d / y for d, y in zip(apart, largest, strict=True)),
        max_steps=round(max(in_steps), 3) if len(in_steps) == len(pairs) else None,
        agreement=_agreement(first, other),
    )


def _agreement(first: Arrays, other: Arrays) -> float | None:
    if len(first) != 1 or a_score_a_class(first[0].reshape(len(first[0]), -1)).shape[1] < 2:
        return None
    return float(same_class(first, other).mean())
