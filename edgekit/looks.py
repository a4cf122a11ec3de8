"""Where the float model and the int8 file's twin look at the images that flip: the maps that a report draws.

The twin of an int8 file is a Keras model that answers as the file does: the fake-quantized model that was trained, or,
of a file by calibration, the one that `compression.quantize_aware.prepare` makes of the same model and samples. Whether
it does is kept with every map.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgekit.data.images import normalize
from edgekit.data.split import Split
from edgekit.errors import BadInput, EdgekitWarning
from edgekit.evaluation.metrics import a_score_a_class
from edgekit.lineage import Lineage

FLIPS = ("lost", "gained")
REFERENCE, TWINNED = "float32", "int8"
LARGEST = 32  # positions a side of a map that is kept; a thumbnail has 96 pixels
Gallery = Mapping[str, Any]


def with_looks(gallery: Gallery, lineage: Lineage, split: Split) -> dict[str, Any]:
    """The gallery with `looks` at each image that flips, and `grad_cam.why`, the sentence where there are none.

    `looks`: of float32 and of the gallery's variant the `class` it was asked for, the file's own answer; the `map`
    (rows of values from 0 to 1), and what the Keras model itself `says`.
    """
    flips = [one for one in gallery["images"] if one["kind"] in FLIPS]
    variant = gallery["variant"]
    if not lineage.recipe.diagnose.grad_cam:
        return _without(gallery, "It was not asked for (diagnose.grad_cam).")
    if not flips:
        return {**gallery, "grad_cam": {"why": None}}
    if variant != TWINNED:
        return _without(gallery, f"There is no Keras model that answers as {variant} does; int8 has one.")
    try:
        found = {name: _looked(_model(lineage, name), split, flips, said) for name, said in
                 ((REFERENCE, "reference"), (variant, "prediction"))}  # fmt: skip
    except BadInput as error:
        return _without(gallery, error.fact)
    seen = iter(zip(*found.values(), strict=True))
    images = [{**one, "looks": dict(zip(found, next(seen), strict=True))} if one["kind"] in FLIPS else one
              for one in gallery["images"]]  # fmt: skip
    return {**gallery, "images": images, "grad_cam": {"why": None}}


def _without(gallery: Gallery, why: str) -> dict[str, Any]:
    return {**gallery, "grad_cam": {"why": why}}


def _model(lineage: Lineage, variant: str) -> Any:
    """Of float32 the Keras model it was exported from, of int8 its twin; flat and on logits."""
    from edgekit.compression.quantize_aware import prepare
    from edgekit.grad_cam import prepared
    from edgekit.models.fake_quant import is_fake_quantized

    exporter = lineage.exporter(variant)  # type: ignore[arg-type]
    model = prepared(exporter.model)
    if variant == REFERENCE or is_fake_quantized(model):
        return model
    samples = exporter.samples.calibration("float32")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EdgekitWarning)  # what is odd about the samples was said at the export
        return prepare(model, replace(samples, quantize=exporter.quantize)).model


def _looked(model: Any, split: Split, flips: Sequence[Gallery], said: str) -> list[dict[str, Any]]:
    """At each of `flips`, for the class that the file gave it, which is its field `said`."""
    from edgekit.grad_cam import grad_cam

    classes = [split.class_names.index(one[said]) for one in flips]
    images = normalize(split.read([one["place"] for one in flips]), split.preprocess)
    maps, scores = grad_cam(model, images, classes)
    answers = a_score_a_class(scores).argmax(axis=1).tolist()
    return [
        {
            "class": one[said],
            "map": np.round(_small(found).astype(np.float64), 3).tolist(),
            "says": split.class_names[answer],
        }
        for one, found, answer in zip(flips, maps, answers, strict=True)
    ]


def _small(values: np.ndarray) -> np.ndarray:
    """float32 [h, w], at most LARGEST a side."""
    from PIL import Image

    height, width = (min(LARGEST, side) for side in values.shape)
    if (height, width) == values.shape:
        return values
    return np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.BOX))
