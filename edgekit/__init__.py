"""edgekit: from a Keras image classifier to a small, fast, proven .tflite.

The public names below load on first use (PEP 562), so `import edgekit` imports neither TensorFlow nor pandas.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Artifact": "edgekit.artifact",
    "Asked": "edgekit.recommendation",
    "Changes": "edgekit.exporting.set_metadata",
    "Dataset": "edgekit.data.dataset",
    "EdgekitError": "edgekit.errors",
    "Evaluation": "edgekit.evaluation.record",
    "GradualPruning": "edgekit.compression.prune",
    "InstructionCount": "edgekit.measurement.emulated.record",
    "Measurement": "edgekit.measurement.bench",
    "Metadata": "edgekit.metadata_config",
    "Preprocess": "edgekit.preprocess",
    "Recipe": "edgekit.recipe",
    "advice": "edgekit.measurement.advice",
    "bench": "edgekit.measurement.bench",
    "build": "edgekit.models.zoo",
    "bundle": "edgekit.bundles.bundle",
    "channels": "edgekit.compression.channels",
    "cluster": "edgekit.compression.cluster",
    "compare": "edgekit.evaluation.compare",
    "compress": "edgekit.pipeline",
    "count_instructions": "edgekit.measurement.emulated.count",
    "describe": "edgekit.runtime.described",
    "detect_preprocess": "edgekit.evaluation.detect",
    "diff": "edgekit.difference",
    "doctor": "edgekit.findings.examine",
    "evaluate": "edgekit.evaluation.evaluate",
    "evaluate_on": "edgekit.measurement.devices.accuracy",
    "export": "edgekit.exporting.export",
    "gate": "edgekit.gating.gate",
    "inspect": "edgekit.runtime.dissect",
    "load_arrays": "edgekit.data.arrays",
    "load_artifact": "edgekit.artifact",
    "load_data": "edgekit.data.dataset",
    "load_model": "edgekit.models.load",
    "load_recipe": "edgekit.recipe",
    "make_report": "edgekit.reports",
    "measurements": "edgekit.measurement.store",
    "placement": "edgekit.measurement.profile",
    "preset": "edgekit.preprocess",
    "profile": "edgekit.measurement.profile",
    "prune": "edgekit.compression.prune",
    "quantize_aware": "edgekit.compression.train_quantized",
    "recommend": "edgekit.recommendation",
    "reproduce": "edgekit.reproduction",
    "set_metadata": "edgekit.exporting.set_metadata",
    "shippable": "edgekit.runtime.shippable",
    "side_by_side": "edgekit.measurement.bench",
    "train": "edgekit.training.fit",
    "verify": "edgekit.verification.verify",
}

__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'edgekit' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
