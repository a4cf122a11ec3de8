"""Networks of the zoo as files without training: what a latency depends on is there, what an accuracy does is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hard_swish import normalized

from edgekit.artifact import Variant
from edgekit.data.dataset import load_data
from edgekit.exporting.export import Exporter
from edgekit.models.backend import import_keras
from edgekit.models.zoo import build
from edgekit.preprocess import preset


def random_file(
    network: str, size: int, folder: Path, variant: Variant = "int8", name: str = "", **settings: Any
) -> Path:
    """A file of seeded random weights with the batch statistics of some digits, at `size` px; float32 in and out.

    `settings` are those of `build`. int8 is calibrated on 10 of the digits.
    """
    data = load_data("digits", preprocess=preset("tf", size, size), calibration_images=10)
    import_keras("This benchmark").utils.set_random_seed(0)
    model = normalized(build(network, input_shape=(size, size, 3), **{"classes": 10, **settings}), data)
    written = Exporter(model, data, name=name or network, softmax=True, classifier=False).write(folder, variant)
    return written.artifact.path
