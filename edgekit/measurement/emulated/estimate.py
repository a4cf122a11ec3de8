"""An estimate of a latency on the real board, from the instructions that were counted, and how far off it may be.

Its figures are those that benchmarks/pi_estimate.py fitted to some published latencies and judged on others
(estimate.json, which it wrote); where it found no use in them there is no estimate. It is never a measurement.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

BEYOND = 2.0  # times fewer or more instructions than any published network has, up to which is estimated


@dataclass(frozen=True)
class Estimate:
    """`ms` of an inference with `threads` threads; `error_percent`: the largest on the published latencies that the
    figure was not made of, `held` of them."""

    ms: float
    threads: int
    error_percent: float
    held: int

    @property
    def text(self) -> str:
        rows = "one published latency" if self.held == 1 else f"{self.held} published latencies"
        return (
            f"an estimate, not a measurement: {self.ms:.2g} ms with {self.threads} threads; on {rows} held back it is "
            f"off by up to {self.error_percent:.0f} %"
        )


def estimate(instructions: int, device: str, computes: str, batch: int = 1, xnnpack: bool = True) -> Estimate | str:
    """The estimate, or why there is none. `computes` is what `gpu.computes_in` says of the file."""
    board = _figures().get(device)
    if board is None:
        return "none was judged by published latencies of this board"
    found = board.get(computes)
    if found is None:
        return f"nothing is published of files that compute in {computes}"
    if "refused" in found:
        return str(found["refused"])
    if batch != 1 or not xnnpack:
        return "what is published is of one image, with XNNPACK"
    if not found["fewest"] / BEYOND <= instructions <= found["most"] * BEYOND:
        return "nothing is published of networks of about this size"
    ms = instructions * found["nanoseconds"] * 1e-6
    return Estimate(ms, found["threads"], found["error_percent"], found["held"])


@functools.cache
def _figures() -> dict[str, dict[str, Any]]:
    """Device -> what a file computes in -> the figure, or why there is none."""
    text = resources.files("edgekit.measurement.emulated").joinpath("estimate.json").read_text("utf-8")
    found: dict[str, dict[str, Any]] = json.loads(text)
    return found
