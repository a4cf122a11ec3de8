"""Counts of instructions, as an emulated board could have given them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edgekit.measurement.emulated.record import Agreement, InstructionCount, OperatorCount


def counted(file: str = "a.tflite", instructions: int = 4_000_000, **fields: Any) -> InstructionCount:
    """`conditions` are merged into its own."""
    conditions = {
        "runtime": "ai-edge-litert 2.3.0", "python": "3.11.2", "numpy": "2.0.0", "machine": "aarch64",
        "cpu": "Raspberry Pi 4 Model B Rev 1.4", "features": ["asimd"], "qemu": "7.2.22",
        "delegate": {"name": "XNNPACK", "partitions": 1}, **fields.pop("conditions", {}),
    }  # fmt: skip
    found = InstructionCount(
        file=file, sha256="ab" * 32, size_bytes=4000, device="rpi4:emulated", core="cortex-a72", computes="int8",
        batch=1, xnnpack=True, counts=((instructions + 900,) * 3,) * 3, marking=(900,) * 3,
        outputs=Agreement(4, 40, 0, 0.0), conditions=conditions,
        operators=(OperatorCount("CONV_2D", "Convolution", "a/b", "int8", 0, True, instructions, 1.0),),
        measured="2026-01-02T03:04:05+00:00",
    )  # fmt: skip
    return replace(found, **fields)
