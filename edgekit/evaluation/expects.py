"""What a file expects of its caller: from its card, the contract in it, or what the user says."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgekit.artifact import Card, load_artifact
from edgekit.data.classes import Classes
from edgekit.data.dataset import load_images
from edgekit.data.split import Split
from edgekit.errors import BadInput, EdgekitWarning, UsageError, unknown
from edgekit.models.imagenet import imagenet_classes
from edgekit.preprocess import PRESETS, Preprocess
from edgekit.progress import Reporter, silent
from edgekit.runtime.contract import Contract
from edgekit.runtime.embedded import read_embedded
from edgekit.runtime.probe import Probed, probe


@dataclass(frozen=True)
class Expected:
    """A file that says nothing has no `labels` (the data's classes count) and no `trained_on`, its data's sha256."""

    preprocess: Preprocess
    labels: tuple[str, ...] | None
    trained_on: str | None

    @property
    def classes(self) -> Classes | None:
        """The labels, and what else data sets call ImageNet's."""
        return None if self.labels is None else classes_of(self.labels)


def expected(path: Path, preprocess: str | Mapping[str, Any] | None) -> Expected:
    """`preprocess` (a preset's name, or a block) goes before the card's, and that before the contract in the file.

    UsageError where there is none of them.
    """
    found = probe(path)
    said, labels = said_of(path, found.content, preprocess is not None)
    known = (labels or None, (said.data or {}).get("sha256") if said else None)
    if preprocess is not None:
        return Expected(given_preprocess(preprocess, found), *known)
    if said is None:
        raise UsageError(
            f"{path} has no card, and nothing in it says how images are prepared for it.",
            f"Give --preprocess {'|'.join(PRESETS)} or a JSON file, or --mean and --std.",
        )
    if said.preprocessing is None:
        where = "card" if isinstance(said, Card) else "metadata"
        raise BadInput(f"{path} is fed no images, as far as its {where} says.", "Give an image classifier.")
    return Expected(said.preprocessing, *known)


def classes_of(labels: tuple[str, ...]) -> Classes:
    """Of a file's labels."""
    published = imagenet_classes()
    return published if labels == published.names else Classes(labels)


def said_of(path: Path, content: bytes, otherwise: bool = True) -> tuple[Card | Contract | None, tuple[str, ...]]:
    """The card beside the file, else the contract in it; and the labels. Damaged metadata are a warning only where the
    user says (`otherwise`) what they would have."""
    card = load_artifact(path).card
    if card is not None:
        return card, card.labels
    try:
        found = read_embedded(content, str(path))
    except BadInput as error:
        if not otherwise:
            raise
        warnings.warn(f"{error.fact} It is not used.", EdgekitWarning, stacklevel=3)
        return None, ()
    return found.contract, found.labels


@dataclass(frozen=True)
class Fed:
    """A file, the images as it expects them, and its class names where it has its own."""

    file: Path
    split: Split
    preprocess: Preprocess
    labels: tuple[str, ...] | None = None


def fed(
    files: Sequence[Path], source: str, preprocess: str | Mapping[str, Any] | None, progress: Reporter = silent
) -> tuple[Fed, ...]:
    """The files with the images of `source`, read once for all that expect the same. Raises as `expected` and
    `load_images`."""
    wanted = [expected(file, preprocess) for file in files]
    splits = {
        one: load_images(source, one.preprocess, one.classes, one.trained_on, progress) for one in dict.fromkeys(wanted)
    }
    return tuple(Fed(file, splits[one], one.preprocess, one.labels) for file, one in zip(files, wanted, strict=True))


def given_preprocess(preprocess: str | Mapping[str, Any], found: Probed) -> Preprocess:
    """A preset's name, or a block, at the size that the file takes. Raises UsageError, and BadInput for no image."""
    if isinstance(preprocess, str) and preprocess not in PRESETS:
        raise unknown("preprocessing preset", preprocess, PRESETS, UsageError)
    shape = found.inputs[0].shape
    if len(shape) != 4:
        raise BadInput(f"{found.path} is not an image classifier: it takes {list(shape)}.", "Give an image classifier.")
    values = PRESETS[preprocess] if isinstance(preprocess, str) else preprocess
    try:
        return Preprocess.model_validate({"height": shape[1], "width": shape[2], **values})
    except ValidationError as error:
        first = error.errors()[0]
        fact = f"--{'.'.join(map(str, first['loc']))}: {first['msg']}, not {first['input']!r}."
        raise UsageError(fact, "`edgekit evaluate --help` says what is known.") from None
