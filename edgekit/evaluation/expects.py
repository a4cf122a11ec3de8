"""What a file expects of its caller: from its card, or else from what the user says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgekit.artifact import load_artifact
from edgekit.data.classes import Classes
from edgekit.errors import BadInput, UsageError, unknown
from edgekit.models.imagenet import imagenet_classes
from edgekit.preprocess import PRESETS, Preprocess
from edgekit.runtime.probe import Probed, probe


@dataclass(frozen=True)
class Expected:
    """A file without a card has no `labels` (the data's classes count) and no `trained_on`, its data set's sha256."""

    preprocess: Preprocess
    labels: tuple[str, ...] | None
    trained_on: str | None

    @property
    def classes(self) -> Classes | None:
        """The labels, and what else data sets call ImageNet's."""
        if self.labels is None:
            return None
        published = imagenet_classes()
        return published if self.labels == published.names else Classes(self.labels)


def expected(path: Path, preprocess: str | Mapping[str, Any] | None) -> Expected:
    """`preprocess` (a preset's name, or a block) goes before the card's. UsageError where there is neither."""
    found = probe(path)
    card = load_artifact(path).card
    known = (card.labels or None, card.data.get("sha256")) if card else (None, None)
    if preprocess is not None:
        return Expected(_given(preprocess, found), *known)
    if card is None:
        raise UsageError(
            f"{path} has no card that says how images are prepared for it.",
            f"Give --preprocess {'|'.join(PRESETS)} or a JSON file, or --mean and --std.",
        )
    if card.preprocessing is None:
        raise BadInput(f"{path} takes no images, its card says.", "Give an image classifier.")
    return Expected(card.preprocessing, *known)


def _given(preprocess: str | Mapping[str, Any], found: Probed) -> Preprocess:
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
