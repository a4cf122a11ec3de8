"""edgekit: from a Keras image classifier to a small, fast, proven .tflite.

The public names below load on first use (PEP 562), so `import edgekit` imports neither TensorFlow nor pandas.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Artifact": "edgekit.artifact",
    "Dataset": "edgekit.data.dataset",
    "EdgekitError": "edgekit.errors",
    "Evaluation": "edgekit.evaluation.evaluate",
    "GradualPruning": "edgekit.compression.prune",
    "Measurement": "edgekit.measurement.bench",
    "Preprocess": "edgekit.preprocess",
    "Recipe": "edgekit.recipe",
    "bench": "edgekit.measurement.bench",
    "build": "edgekit.models.zoo",
    "channels": "edgekit.compression.channels",
    "cluster": "edgekit.compression.cluster",
    "compress": "edgekit.pipeline",
    "evaluate": "edgekit.evaluation.evaluate",
    "export": "edgekit.exporting.export",
    "load_arrays": "edgekit.data.arrays",
    "load_artifact": "edgekit.artifact",
    "load_data": "edgekit.data.dataset",
    "load_model": "edgekit.models.load",
    "load_recipe": "edgekit.recipe",
    "preset": "edgekit.preprocess",
    "prune": "edgekit.compression.prune",
    "quantize_aware": "edgekit.compression.train_quantized",
    "train": "edgekit.training.fit",
}

__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'edgekit' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
