"""Measurements of seeded samples, as an agent could have answered them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from edgekit.measurement.record import Measurement


def measured(
    file: str = "a.tflite",
    *,
    median: float = 1e6,
    seed: int = 0,
    processes: int = 10,
    spread: float = 0.01,
    **fields: Any,
) -> Measurement:
    """`median` in ns; processes differ by `spread`, runs of one by 2 %. `conditions` are merged into its own."""
    generator = np.random.default_rng(seed)
    paces = np.exp(generator.normal(0, spread, processes))
    runs = generator.lognormal(0, 0.02, (processes, 50))
    conditions = {
        "runtime": "ai-edge-litert 2.3.0", "machine": "aarch64", "cpu": "Raspberry Pi 4 Model B Rev 1.4", "cores": 4,
        "delegate": {"name": "XNNPACK", "partitions": 1}, "load": 0.1, **fields.pop("conditions", {}),
    }  # fmt: skip
    found = Measurement(
        file=file, sha256="ab" * 32, size_bytes=4000, gzip_bytes=3000, device="cpu", threads=1, batch=1,
        samples_ns=tuple(map(tuple, (median * paces[:, None] * runs).astype(int).tolist())),
        init_ns=(900_000,) * processes, first_ns=(2_000_000,) * processes, switches=({"involuntary": 0},) * processes,
        memory={"heap_bytes": None, "peak_bytes": None, "reason": "not measured on Darwin"}, conditions=conditions,
        measured="2026-01-02T03:04:05+00:00",
    )  # fmt: skip
    return replace(found, **fields)
