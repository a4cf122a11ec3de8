"""Export: a model becomes .tflite files with cards, each checked against the model it came from."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edgekit import __version__
from edgekit.artifact import (
    Artifact,
    Card,
    Io,
    TensorSpec,
    Variant,
    gzip_size,
    save_artifact,
    sha256_of,
)
from edgekit.data.arrays import ArrayData
from edgekit.data.dataset import Dataset
from edgekit.errors import BadInput, CheckFailed, UsageError
from edgekit.evaluation.metrics import softmax
from edgekit.evaluation.parity import Parity, parity
from edgekit.exporting.calibration import Calibration
from edgekit.exporting.convert import Calibrated, calibrate, convert, quantized, with_signature
from edgekit.exporting.freeze import Frozen, freeze, served
from edgekit.exporting.metadata import shipped
from edgekit.exporting.samples import Arrays, Images, Samples
from edgekit.metadata_config import Metadata
from edgekit.models.count import count
from edgekit.models.head import ends_in_softmax
from edgekit.progress import Progress, Reporter, silent
from edgekit.quantize_config import Quantize
from edgekit.recipe import Recipe, Verify
from edgekit.runtime.flatbuffer import without_metadata
from edgekit.runtime.interpreter import open_model
from edgekit.runtime.ranges import Inputs

BATCH = 16  # images at a time through the Keras model, which holds every activation until it is done
PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "numpy", "pillow")


@dataclass(frozen=True)
class Exported:
    """One file and how it compares with the model."""

    artifact: Artifact
    parity: Parity


class Exporter:
    """A model and its data, ready to be written out as any variant; what variants share is made once.

    `softmax` makes probabilities of the model's output. `classifier` says that its one output has a score a class, so
    that answers can be compared; what is none is compared by its signal to noise ratio. `quantize` says how the
    activations of int8 files get their ranges, `metadata` what the files say of themselves. `temperature` divides the
    logits in front of the softmax, which changes how sure the file is and no class; BadInput where the model's output
    is left as it is.
    """

    def __init__(
        self,
        model: Any,
        data: Dataset | ArrayData,
        *,
        name: str = "",
        limits: Verify | None = None,
        softmax: bool = True,
        classifier: bool = True,
        quantize: Quantize | None = None,
        metadata: Metadata | None = None,
        temperature: float = 1.0,
    ) -> None:
        self.model = model
        self.samples: Samples = Images(data) if isinstance(data, Dataset) else Arrays(data)
        self.name = name or model.name
        self.limits = limits or Verify()
        self.probabilities = gives_probabilities(model)
        self.softmax = softmax and not self.probabilities
        self.classifier = classifier
        self.quantize = quantize or Quantize()
        self.metadata = metadata or Metadata()
        self.temperature = temperature
        _check_temperature(self)

    def write(self, folder: Path, variant: Variant, io: Io = "float32", recipe: Recipe | None = None) -> Exported:
        """Writes `{model}_{variant}[_{io}].tflite` and its card into `folder`; `io` concerns int8 alone."""
        if variant == "int8":
            return self._save(folder, self.integer(io), variant, io, recipe, self.calibrated(io).float_nodes)
        content = convert(self._frozen("float32"), variant, calibration=self.samples.calibration("float32"))
        return self._save(folder, content, variant, "float32", recipe, ())

    def write_mixed(
        self, folder: Path, float_nodes: Collection[str], io: Io = "float32", recipe: Recipe | None = None
    ) -> Exported:
        """Writes the `mixed` variant: int8 but for the operators that write the tensors named `float_nodes`."""
        named = tuple(sorted({*self.calibrated(io).float_nodes, *float_nodes}))
        return self._save(folder, self.integer(io, float_nodes), "mixed", io, recipe, named)

    def integer(self, io: Io = "float32", float_nodes: Collection[str] = ()) -> bytes:
        """The int8 file, with the operators that write `float_nodes` left float."""
        return with_signature(quantized(self.calibrated(io), io, float_nodes), self._frozen(io))

    @functools.lru_cache(maxsize=1)  # noqa: B019 - an Exporter lives as long as its run
    def calibrated(self, io: Io = "float32") -> Calibrated:
        """What int8 files are made from; with an integer `io` it takes raw pixels."""
        return self.calibrated_on(self.samples.calibration(io), io)

    def calibrated_on(self, calibration: Calibration, io: Io = "float32") -> Calibrated:
        """The same from other samples."""
        return calibrate(self._frozen(io), replace(calibration, quantize=self.quantize))

    def _save(
        self, folder: Path, content: bytes, variant: Variant, io: Io, recipe: Recipe | None, floats: tuple[str, ...]
    ) -> Exported:
        inputs, outputs = self._reference
        fed = self.samples.as_fed(inputs, io)
        checked = parity(content, variant, fed, outputs, self.limits, classifier=self.classifier, float_layers=floats)
        suffix = "" if io == "float32" else f"_{io}"
        path = folder / f"{self.name}_{variant}{suffix}.tflite"
        card = self._card(content, variant, io, checked, recipe or Recipe(temperature=self.temperature))
        whole, card = shipped(content, card, self.metadata, recipe.in_file(variant, io) if recipe else None)
        return Exported(save_artifact(path, whole, card), checked)

    @functools.lru_cache(maxsize=2)  # noqa: B019 - an Exporter lives as long as its run
    def _frozen(self, io: Io) -> Frozen:
        normalization = self.samples.normalization(io)
        return freeze(self.model, normalization=normalization, softmax=self.softmax, temperature=self.temperature)

    @functools.cached_property
    def _reference(self) -> tuple[Inputs, tuple[np.ndarray, ...]]:
        """Held-out samples, and the model's float32 answer to them: an array [n, ...] an output."""
        inputs = self.samples.reference(self.limits.images)
        call = served(self.model).call
        batches = [
            [np.asarray(one, np.float32) for one in call(*(values[i : i + BATCH] for values in inputs))]
            for i in range(0, len(inputs[0]), BATCH)
        ]
        outputs = [np.concatenate(parts) for parts in zip(*batches, strict=True)]
        answers = (softmax(one / self.temperature).astype(np.float32) if self.softmax else one for one in outputs)
        return inputs, tuple(answers)

    def _card(self, content: bytes, variant: Variant, io: Io, checked: Parity, recipe: Recipe) -> Card:
        bare = without_metadata(content)
        opened = open_model(content)
        params, macs = _cost(self.model)
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
            inputs=tuple(TensorSpec(**one.__dict__) for one in opened.inputs),
            outputs=tuple(TensorSpec(**one.__dict__) for one in opened.outputs),
            output_meaning="probabilities" if self.softmax or self.probabilities else "raw",
            preprocessing=self.samples.preprocessing(io),
            normalization_in_graph=self.samples.normalization(io),
            labels=self.samples.labels if self.classifier else (),
            params=params,
            macs=macs,
            recipe=recipe.model_dump(mode="json"),
            seed=recipe.seed,
            data=self.samples.origin(),
            versions={package: version(package) for package in PACKAGES},
            verification=checked.to_json(),
        )


def _check_temperature(exporter: Exporter) -> None:
    if not (0 < exporter.temperature < float("inf")):
        raise UsageError(f"The temperature is {exporter.temperature}.", "Give a number above 0.")
    if exporter.temperature != 1.0 and not exporter.softmax:
        why = "it ends in a softmax of its own" if exporter.probabilities else "its outputs are left as they are"
        raise BadInput(
            f"A temperature of {exporter.temperature:g} cannot be folded into {exporter.name}: {why}.",
            "Give a classifier that ends in logits, or leave the temperature at 1.",
        )


def gives_probabilities(model: Any) -> bool:
    """Whether a Keras model ends in a softmax. Nobody knows of a SavedModel."""
    return hasattr(model, "layers") and ends_in_softmax(model)


def _cost(model: Any) -> tuple[int | None, int | None]:
    """Parameters and MACs; None for MACs where a layer is of a kind that is not counted, and for a bare SavedModel."""
    if not hasattr(model, "count_params"):
        return None, None
    try:
        cost = count(model)
    except BadInput:
        return int(model.count_params()), None
    return cost.params, cost.macs


def export(
    model: Any,
    folder: str | Path,
    *,
    dataset: Dataset | ArrayData,
    variants: Sequence[Variant] = ("float32", "int8"),
    io: Io = "float32",
    softmax: bool | None = None,
    limits: Verify | None = None,
    quantize: Quantize | None = None,
    metadata: Metadata | None = None,
    temperature: float = 1.0,
    progress: Reporter = silent,
) -> tuple[Artifact, ...]:
    """Writes a model (functional Keras 3, or a SavedModel) as .tflite files, batch 1, and verifies them.

    `dataset` brings the preprocessing, the labels, the calibration samples and those to compare on. With labels, or
    with a softmax at its end, the model is a classifier; `softmax` (default: with labels) makes probabilities of its
    logits, unless there is a softmax already. `quantize` says how the activations of an int8 file get their ranges,
    `metadata` what the files say of themselves (author, licence, ...), and whether they carry golden vectors.
    `temperature` divides the logits, so that the confidence is what `Evaluation.temperature` found it should be.
    Raises CheckFailed, with the numbers, if a file does not say what the model says; all files are kept.
    """
    labelled = bool(dataset.class_names)
    exporter = Exporter(
        model,
        dataset,
        limits=limits,
        softmax=labelled if softmax is None else softmax,
        classifier=labelled or gives_probabilities(model),
        quantize=quantize,
        metadata=metadata,
        temperature=temperature,
    )
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
