"""How good a file's answers are beside float32's, from the raw answers of both: classes, calibration, flips."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.evaluation.compare import paired_counts
from edgekit.evaluation.per_class import confused, confusion, figures, weak
from edgekit.evaluation.reliability import reliability

MOST_CONFUSED = 10
BINS = 10


def evidence(reference: Path, other: Path, variant: str, class_names: tuple[str, ...]) -> dict[str, Any]:
    """`reference` and `other` are evaluation_VARIANT.csv of float32 and of `variant`, of the same images in one order.

    `per_class` (of `variant`, with `change` in images against float32), `weak_classes`, `confused`, `confusion` (rows:
    labels), `calibration` of both (`ece`, `bins`), and `paired`: `gained`, `lost`, `p_value`, `difference`, `ci95`.
    """
    before, after = _read(reference), _read(other)
    place = {name: number for number, name in enumerate(class_names)}
    labels = np.array([place[name] for name in after["label"]])
    answers = {name: np.array([place[said] for said in rows["prediction"]])
               for name, rows in (("before", before), ("after", after))}  # fmt: skip
    right = {name: found == labels for name, found in answers.items()}
    matrix = confusion(labels, answers["after"], len(class_names))
    each = figures(matrix, class_names)
    return {
        "variant": variant,
        "n": len(labels),
        "per_class": [{**one.to_json(), "change": _change(right, labels == number)} for number, one in enumerate(each)],
        "weak_classes": [one.name for one in weak(each)],
        "confused": [vars(one) for one in confused(matrix, class_names)[:MOST_CONFUSED]],
        "confusion": matrix.tolist(),
        "calibration": {
            name: reliability(rows["confidence"].to_numpy(np.float64), right[which], BINS).to_json()
            for name, which, rows in (("float32", "before", before), (variant, "after", after))
        },
        "paired": paired_counts(right["before"], right["after"]),
    }


def _read(path: Path) -> Any:
    import pandas as pd

    text = {"name": str, "label": str, "prediction": str}
    return pd.read_csv(path, usecols=[*text, "confidence"], dtype=text, keep_default_na=False)


def _change(right: Mapping[str, np.ndarray], of: np.ndarray) -> int:
    return int(right["after"][of].sum()) - int(right["before"][of].sum())
