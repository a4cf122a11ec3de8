"""How far a figure is spread over runs that differ by chance alone."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from edgekit.measurement.compare import student


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Of one figure over seeds. `ci95` is Student's interval of the mean, `sd` of a single run."""
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    half = student(0.95, len(values) - 1) * deviation / math.sqrt(len(values))
    return {"values": list(values), "mean": mean, "sd": deviation, "min": min(values), "max": max(values),
            "ci95": [mean - half, mean + half]}  # fmt: skip
