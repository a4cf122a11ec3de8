"""What a file expects of its caller: from its card, or else from what the user says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgekit.artifact import load_artifact
from edgekit.errors import BadInput, UsageError, unknown
from edgekit.preprocess import PRESETS, Preprocess, load_block, preset
from edgekit.runtime.probe import Probed, probe


@dataclass(frozen=True)
class Expected:
    """A file without a card has no `labels` (the data's classes count) and no `trained_on`, its data set's sha256."""

    preprocess: Preprocess
    labels: tuple[str, ...] | None
    trained_on: str | None


def expected(path: Path, preprocess: str | None) -> Expected:
    """`preprocess` (a preset's name or a JSON file) goes before the card's. UsageError where there is neither."""
    found = probe(path)
    card = load_artifact(path).card
    known = (card.labels or None, card.data.get("sha256")) if card else (None, None)
    if preprocess is not None:
        return Expected(_given(preprocess, found), *known)
    if card is None:
        raise UsageError(
            f"{path} has no card that says how images are prepared for it.",
            f"Give --preprocess {'|'.join(PRESETS)} or a JSON file.",
        )
    if card.preprocessing is None:
        raise BadInput(f"{path} takes no images, its card says.", "Give an image classifier.")
    return Expected(card.preprocessing, *known)


def _given(preprocess: str, found: Probed) -> Preprocess:
    if preprocess.endswith(".json"):
        return load_block(Path(preprocess))
    if preprocess not in PRESETS:
        raise unknown("preprocessing preset", preprocess, PRESETS, UsageError)
    shape = found.inputs[0].shape
    if len(shape) != 4:
        raise BadInput(f"{found.path} is not an image classifier: it takes {list(shape)}.", "Give an image classifier.")
    return preset(preprocess, height=shape[1], width=shape[2])
