"""Export: a Keras model becomes .tflite files with cards, each checked against the model it came from."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from edgekit import __version__
from edgekit.artifact import (
    Artifact,
    Card,
    Io,
    Normalization,
    TensorSpec,
    Variant,
    gzip_size,
    save_artifact,
    sha256_of,
)
from edgekit.data.dataset import Dataset
from edgekit.data.images import normalize
from edgekit.data.split import Split
from edgekit.errors import CheckFailed
from edgekit.evaluation.metrics import softmax
from edgekit.evaluation.parity import Parity, parity
from edgekit.exporting.convert import Calibration, convert
from edgekit.exporting.freeze import Frozen, ends_in_softmax, freeze
from edgekit.models.count import count
from edgekit.preprocess import Preprocess
from edgekit.progress import Progress, Reporter, silent
from edgekit.recipe import Recipe, Verify
from edgekit.runtime.flatbuffer import without_metadata
from edgekit.runtime.interpreter import open_model

BATCH = 16  # images at a time through the Keras model, which holds every activation until it is done
PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "numpy", "pillow")


@dataclass(frozen=True)
class Exported:
    """One file and how it compares with the model."""

    artifact: Artifact
    parity: Parity


class Exporter:
    """A model and its data, ready to be written out as any variant; what variants share is made once."""

    def __init__(self, model: Any, dataset: Dataset, *, name: str = "", limits: Verify | None = None) -> None:
        self.model = model
        self.dataset = dataset
        self.name = name or model.name
        self.limits = limits or Verify()

    def write(self, folder: Path, variant: Variant, io: Io = "float32", recipe: Recipe | None = None) -> Exported:
        """Writes `{model}_{variant}[_{io}].tflite` and its card into `folder`; `io` concerns int8 alone."""
        io = io if variant == "int8" else "float32"
        feed = self._feed(io)
        content = convert(self._frozen(io), variant, io=io, calibration=self._calibration(feed))
        pixels, reference = self._reference
        checked = parity(content, variant, normalize(pixels, feed), reference, self.limits)
        suffix = "" if io == "float32" else f"_{io}"
        path = folder / f"{self.name}_{variant}{suffix}.tflite"
        card = self._card(content, variant, io, feed, checked, recipe or Recipe())
        return Exported(save_artifact(path, content, card), checked)

    def _feed(self, io: Io) -> Preprocess:
        """What the caller does before feeding the file: integer inputs take raw pixels."""
        own = self.dataset.preprocess
        return own if io == "float32" else own.raw_pixels()

    @functools.lru_cache(maxsize=2)  # noqa: B019 - an Exporter lives as long as its run
    def _frozen(self, io: Io) -> Frozen:
        normalization = None if io == "float32" else self._normalization()
        return freeze(self.model, normalization=normalization, softmax=not ends_in_softmax(self.model))

    def _normalization(self) -> Normalization:
        return Normalization(mean=self.dataset.preprocess.mean, std=self.dataset.preprocess.std)

    def _calibration(self, feed: Preprocess) -> Calibration:
        split: Split = self.dataset.calibration
        shape = (1, feed.height, feed.width, 3)
        darkest, brightest = (normalize(np.full(shape, value, np.uint8), feed) for value in (0, 255))
        return Calibration(lambda: (normalize(split.read([i]), feed) for i in range(len(split))), (darkest, brightest))

    @functools.cached_property
    def _reference(self) -> tuple[np.ndarray, np.ndarray]:
        """Validation pixels, uint8 [n, H, W, 3], and the Keras model's float32 [n, classes] on them."""
        split = self.dataset.val
        pixels = split.read(range(min(len(split), self.limits.images)))
        real = normalize(pixels, self.dataset.preprocess)
        logits = np.concatenate(
            [np.asarray(self.model(real[i : i + BATCH], training=False)) for i in range(0, len(real), BATCH)]
        )
        return pixels, logits if ends_in_softmax(self.model) else softmax(logits).astype(np.float32)

    def _card(
        self, content: bytes, variant: Variant, io: Io, feed: Preprocess, checked: Parity, recipe: Recipe
    ) -> Card:
        bare = without_metadata(content)
        cost = count(self.model)
        opened = open_model(content)
        return Card(
            edgekit=__version__,
            model=self.name,
            variant=variant,
            io=io,
            sha256=sha256_of(content),
            model_sha256=sha256_of(bare),
            size_bytes=len(content),
            model_bytes=len(bare),
            gzip_bytes=gzip_size(content),
            input=TensorSpec(**opened.inputs[0].__dict__),
            output=TensorSpec(**opened.outputs[0].__dict__),
            output_meaning="probabilities",
            preprocessing=feed,
            normalization_in_graph=None if io == "float32" else self._normalization(),
            labels=self.dataset.class_names,
            params=cost.params,
            macs=cost.macs,
            recipe=recipe.model_dump(mode="json"),
            seed=recipe.seed,
            data=self._data(),
            versions={package: metadata.version(package) for package in PACKAGES},
            verification=checked.to_json(),
        )

    def _data(self) -> dict[str, Any]:
        data = self.dataset
        counts = {split.name: len(split) for split in (data.train, data.val, data.test, data.calibration)}
        return {"name": data.name, "sha256": data.sha256, "images": counts}


def export(
    model: Any,
    folder: str | Path,
    *,
    dataset: Dataset,
    variants: Sequence[Variant] = ("float32", "int8"),
    io: Io = "float32",
    limits: Verify | None = None,
    progress: Reporter = silent,
) -> tuple[Artifact, ...]:
    """Writes a functional Keras 3 classifier (logits or probabilities) as .tflite files, batch 1, and verifies them.

    `dataset` brings the preprocessing, the labels, the calibration images and the validation images to compare on.
    Raises CheckFailed, with the numbers, if a file does not say what the model says; all files are kept.
    """
    exporter = Exporter(model, dataset, limits=limits)
    done: list[Exported] = []
    for number, variant in enumerate(variants):
        progress(Progress("export", number, len(variants), variant))
        done.append(exporter.write(Path(folder), variant, io))
    progress(Progress("export", len(variants), len(variants)))
    raise_unverified(*(one.parity for one in done))
    return tuple(one.artifact for one in done)


def raise_unverified(*checked: Parity) -> None:
    """Raises CheckFailed naming each variant that failed verification, with its numbers."""
    failed = [f"{one.variant}: {'; '.join(one.failures)}" for one in checked if not one.verified]
    if failed:
        raise CheckFailed(
            f"Verification failed. {' | '.join(failed)}.",
            "More or better calibration images, longer training or another variant may help.",
        )
