"""The runtimes that live in environments of their own: what they are made of, and which Pythons they have wheels for.

None of them can be installed beside edgekit: tflite-runtime needs numpy 1, MediaPipe pins what TensorFlow pins
otherwise, and LiteRT.js is no Python at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgekit.errors import UsageError, unknown

Version = tuple[int, int]


@dataclass(frozen=True)
class Foreign:
    """`packages` are what is asked of the `registry`, `needs` what has to be on the machine besides; `pythons` the
    oldest and the newest Python that there are wheels for (any for None), `about_mb` what it takes on the disk."""

    name: str
    what: str
    registry: Literal["pypi", "npm"]
    packages: tuple[str, ...]
    about_mb: int
    pythons: tuple[Version, Version] | None = None
    systems: str = ""


FOREIGN = {
    one.name: one
    for one in (
        Foreign(
            "tflite-runtime", "TensorFlow Lite 2.14, as on Raspberry Pi OS", "pypi",
            ("tflite-runtime==2.14.*", "numpy>=1.23.2,<2"), 110, ((3, 9), (3, 11)), "Linux",
        ),
        Foreign(
            "mediapipe", "MediaPipe Tasks, as in apps for Android and iOS", "pypi",
            ("mediapipe>=1.2,<2",), 660, ((3, 9), (3, 14)),
        ),
        # It is released as development versions alone; naming one lets pip take later ones.
        Foreign(
            "tflm", "TensorFlow Lite Micro, as on microcontrollers", "pypi",
            ("tflite-micro>=0.dev20260101",), 110, ((3, 10), (3, 14)), "Linux on x86-64",
        ),
        Foreign(
            "browser", "LiteRT.js in Chromium, as in web apps", "npm",
            ("@litertjs/core@2.5.3", "@litertjs/wasm-utils@2.5.3"), 40,
        ),
    )
}  # fmt: skip


def foreign(name: str) -> Foreign:
    """Raises UsageError for a name that is in no row."""
    if name not in FOREIGN:
        raise unknown("runtime", name, FOREIGN, UsageError)
    return FOREIGN[name]


def how_to_add(name: str) -> str:
    return f"edgekit runtime add {name}"
