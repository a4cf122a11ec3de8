"""The images that a report shows, small, kept with the run: flips between float32 and the chosen file, and errors."""

from __future__ import annotations

import base64
import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.data.split import Split
from edgekit.report.gallery import REFERENCE, Answer, pick
from edgekit.report.heat import SIDE

MOST = 20


def gallery(split: Split, reference: Path, chosen: Path, variant: str, most: int = MOST) -> dict[str, Any]:
    """What results/gallery.json holds, of two CSVs of evaluations on `split`, a row an image, in its order."""
    return gallery_of(split, _answers(reference), _answers(chosen), variant, most=most)


def gallery_of(
    split: Split, before: Sequence[Answer], after: Sequence[Answer], variant: str, against: str = REFERENCE,
    most: int = MOST,
) -> dict[str, Any]:  # fmt: skip
    """`images` with name, place in `split`, kind, label, what each file says and how sure it is, and a PNG in base64;
    `counts` of all. `before` and `after` are the answers of `against` and of `variant`, in the order of `split`.

    Raises BadInput for an image that was damaged since the data set was loaded.
    """
    picked = pick(before, after, most)
    every = Counter(kind for kind, _ in pick(before, after, len(split)))
    return {
        "variant": variant,
        "against": against,
        "crop": split.preprocess.crop,
        "n": len(split),
        "counts": {kind: every[kind] for kind in ("lost", "gained", "error")},
        "images": [_image(split, kind, place, before[place], after[place]) for kind, place in picked],
    }


def _answers(path: Path) -> list[Answer]:
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Answer(row["name"], row["label"], row["prediction"], float(row["confidence"]))
            for row in csv.DictReader(file)
        ]


def _image(split: Split, kind: str, place: int, before: Answer, after: Answer) -> dict[str, Any]:
    return {
        "name": after.name,
        "place": place,
        "kind": kind,
        "label": after.label,
        "prediction": after.prediction,
        "confidence": after.confidence,
        "reference": before.prediction,
        "reference_confidence": before.confidence,
        "png": base64.b64encode(thumbnail(split.pixels.image(place))).decode(),
    }


def thumbnail(pixels: np.ndarray) -> bytes:
    """uint8 [height, width, 3] RGB -> a PNG of at most SIDE pixels; smaller pictures keep their pixels."""
    from PIL import Image

    small = Image.fromarray(pixels)
    small.thumbnail((SIDE, SIDE))
    written = io.BytesIO()
    small.save(written, "PNG", optimize=True)
    return written.getvalue()
