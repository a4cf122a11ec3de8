"""Files on the same test images, image by image: what a difference of two accuracies is worth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.artifact import Artifact, load_artifact
from edgekit.data.split import Split
from edgekit.evaluation.compare import compare, exact_p
from edgekit.evaluation.evaluate import evaluate
from edgekit.evaluation.record import Evaluation


def int8_of(run: Path) -> Artifact:
    """The one int8 file of a finished run."""
    (path,) = (run / "artifacts").glob("*_int8.tflite")
    return load_artifact(path)


def against(reference: Evaluation, other: Evaluation) -> dict[str, Any]:
    """`other` beside `reference`: points of top-1 above it with the paired interval, agreement, and the p-value."""
    found = compare(reference, other)
    low, high = found.ci95
    return {
        "top1": other.top1.to_json(),
        "points": 100 * found.difference,
        "ci95_points": [100 * low, 100 * high],
        "gained": found.gained,
        "lost": found.lost,
        "mcnemar_p": exact_p(found.gained, found.lost),
        "agreement": found.agreement.to_json(),
        "sha256": other.sha256,
        "bytes": Path(other.file).stat().st_size,
    }


def beside_float(reference: Artifact, others: Mapping[str, Artifact], test: Split) -> dict[str, dict[str, Any]]:
    """Each file against `reference` on the same images."""
    answers = evaluate(reference, test)
    found = {"float32": against(answers, answers)}
    for name, artifact in others.items():
        found[name] = against(answers, evaluate(artifact, test))
        print(line(name, found[name]), flush=True)
    return found


def line(name: str, one: Mapping[str, Any]) -> str:
    """For the screen."""
    low, high = one["ci95_points"]
    return (
        f"{name:28} top-1 {100 * one['top1']['value']:6.2f} %  {one['points']:+.2f} [{low:+.2f}, {high:+.2f}] points  "
        f"p {one['mcnemar_p']:.2g}  agrees {100 * one['agreement']['value']:.2f} %"
    )


def spread(values: list[float]) -> dict[str, float]:
    """Least, mean, most and standard deviation."""
    return {
        "least": min(values),
        "mean": float(np.mean(values)),
        "most": max(values),
        "sd": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0,
    }
