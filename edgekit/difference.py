"""What differs between two .tflite files: contract, operators, weights, answers, size; accuracy and speed if asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.artifact import Card, gzip_size, load_artifact, sha256_of
from edgekit.evaluation.answers_apart import Apart, answers_apart
from edgekit.evaluation.compare import compare
from edgekit.evaluation.evaluate import evaluate
from edgekit.evaluation.expects import expected
from edgekit.measurement.bench import side_by_side
from edgekit.preprocess import Preprocess
from edgekit.progress import Reporter, silent
from edgekit.runtime import isolate
from edgekit.runtime.contract import contract_of
from edgekit.runtime.embedded import Embedded, read_embedded
from edgekit.runtime.flatbuffer import without_metadata
from edgekit.runtime.model_difference import ModelDifference, model_difference
from edgekit.runtime.probe import TIMEOUT, Probed, probe

ONLY_OF_A_FILE = ("model_sha256", "golden", "labels")  # of a contract, what differs whenever the model does


@dataclass(frozen=True)
class Side:
    """One of the two files. `says`: its contract, or the same of its card; empty where it has neither."""

    probed: Probed
    embedded: Embedded
    card: Card | None
    model_sha256: str

    @property
    def says(self) -> dict[str, Any]:
        contract = self.embedded.contract
        if contract is None and self.card is not None:
            contract = contract_of(self.card, None, self.card.recipe, None)
        return contract.model_dump(mode="json", by_alias=True, exclude=set(ONLY_OF_A_FILE)) if contract else {}

    @property
    def look(self) -> Preprocess | None:
        """What its caller does to a picture, as far as anybody says."""
        said = self.card or self.embedded.contract
        return said.preprocessing if said else None

    @property
    def sizes(self) -> dict[str, int]:
        return {"size_bytes": len(self.probed.content), "gzip_bytes": gzip_size(self.probed.content)}


@dataclass(frozen=True)
class Difference:
    """`contract`: dotted field -> (of the first, of the second), None for what one does not say; `labels`: whether the
    labels are the same. `accuracy` and `speed` are None where they were not asked for."""

    files: tuple[Path, Path]
    same_file: bool
    same_model: bool
    sizes: tuple[dict[str, int], dict[str, int]]
    contract: dict[str, tuple[Any, Any]]
    labels: bool
    model: ModelDifference
    answers: Apart
    accuracy: dict[str, Any] | None = None
    speed: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "files": [str(one) for one in self.files],
            "same_file": self.same_file,
            "same_model": self.same_model,
            "sizes": list(self.sizes),
            "contract": {name: list(values) for name, values in self.contract.items()},
            "same_labels": self.labels,
            **self.model.to_json(),
            "answers": self.answers.to_json(),
            "accuracy": self.accuracy,
            "speed": self.speed,
        }


def diff(
    first: str | Path,
    second: str | Path,
    *,
    data: str | Path | None = None,
    bench: bool = False,
    preprocess: str | Mapping[str, Any] | None = None,
    progress: Reporter = silent,
) -> Difference:
    """Compares two files. `data` (labelled images; `preprocess` where a file does not say how they are prepared) adds
    accuracy, image by image, and `bench` latency, measured in turns. Raises BadInput for a file that does not run."""
    ours, theirs = side_of(Path(first)), side_of(Path(second))
    paths = (ours.probed.path, theirs.probed.path)
    return Difference(
        files=paths,
        same_file=ours.probed.sha256 == theirs.probed.sha256,
        same_model=ours.model_sha256 == theirs.model_sha256,
        sizes=(ours.sizes, theirs.sizes),
        contract=changed(ours.says, theirs.says),
        labels=_labels(ours) == _labels(theirs),
        model=model_difference(ours.probed, theirs.probed),
        answers=answers_apart(ours.probed, theirs.probed, (ours.look, theirs.look)),
        accuracy=None if data is None else _accuracy(paths, data, preprocess, progress),
        speed=_speed(paths, progress) if bench else None,
    )


def side_of(path: Path) -> Side:
    """Raises BadInput for a file that does not run, and for metadata or a card that are damaged or another's."""
    found = probe(path)
    held, card = read_embedded(found.content, str(path)), load_artifact(path).card
    bare: bytes = isolate.call(without_metadata, found.content, what=str(path), timeout=TIMEOUT)
    return Side(found, held, card, sha256_of(bare))


def changed(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted field -> both values, where they differ; None for a field that one of them lacks."""
    before, after = dict(_leaves(first)), dict(_leaves(second))
    names = dict.fromkeys([*before, *after])
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        yield name, value
        return
    for key, inner in value.items():
        yield from _leaves(inner, f"{name}.{key}" if name else str(key))


def _labels(side: Side) -> tuple[str, ...]:
    return side.embedded.labels or (side.card.labels if side.card else ())


def _accuracy(
    paths: tuple[Path, Path], data: str | Path, preprocess: str | Mapping[str, Any] | None, progress: Reporter
) -> dict[str, Any]:
    from edgekit.data.dataset import load_images

    found = []
    for path in paths:
        wanted = expected(path, preprocess)
        split = load_images(data, wanted.preprocess, wanted.classes, wanted.trained_on, progress)
        found.append(evaluate(path, split, wanted.preprocess, labels=wanted.labels, progress=progress))
    return {"files": [one.summary() for one in found], **compare(*found).to_json()}


def _speed(paths: tuple[Path, Path], progress: Reporter) -> dict[str, Any]:
    measured = side_by_side(list(paths), progress=progress)
    return {
        "latency_ms": [one.summary()["latency_ms"] for one in measured.measurements],
        "comparison": measured.comparisons[0].to_json(),
    }
