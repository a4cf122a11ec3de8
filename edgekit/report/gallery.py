"""The pictures of a report: which images the chosen file gets wrong although it is sure, and which int8 flipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.report import wording
from edgekit.report.heat import heated, png_of, source, where

KINDS = {
    "lost": "Right in {}, wrong here",
    "gained": "Wrong in {}, right here",
    "error": "Wrong in {} too, and sure of it",
}
REFERENCE = "float32"
SHARE = {"lost": 8, "gained": 4, "error": 8}  # at most so many of each kind, before room that is left goes to others
KEPT_NONE = "this run has kept none; edgekit compress draws it while it has the Keras model"


@dataclass(frozen=True)
class Answer:
    """What one file says of one image, by class name."""

    name: str
    label: str
    prediction: str
    confidence: float


@dataclass(frozen=True)
class Look:
    """Where one model looks; `source` is a data: address, `said` is read out instead of the picture."""

    title: str
    said: str
    source: str


@dataclass(frozen=True)
class Picture:
    """An image of the gallery; `source` is a data: address. `looks` are of an image that flips, where they are kept."""

    title: str
    said: str
    name: str
    source: str
    looks: tuple[Look, ...] = ()


def pick(reference: Sequence[Answer], chosen: Sequence[Answer], most: int) -> list[tuple[str, int]]:
    """(kind, index) of at most `most` images: flips first, then errors, within each kind the surest answers first."""
    kinds: dict[str, list[int]] = {kind: [] for kind in KINDS}
    for place, (before, after) in enumerate(zip(reference, chosen, strict=True)):
        right = before.prediction == before.label, after.prediction == after.label
        if right != (True, True):
            kinds["error" if not any(right) else "gained" if right[1] else "lost"].append(place)
    for places in kinds.values():
        places.sort(key=lambda place: (-chosen[place].confidence, place))
    first = [(kind, place) for kind, places in kinds.items() for place in places[: SHARE[kind]]]
    rest = [(kind, place) for kind, places in kinds.items() for place in places[SHARE[kind] :]]
    order = list(KINDS)
    return sorted((first + rest)[:most], key=lambda one: order.index(one[0]))


def pictures(gallery: Mapping[str, Any] | None) -> list[tuple[str, list[Picture]]]:
    """(heading, pictures) of each kind that there is."""
    if not gallery:
        return []
    against, crop = gallery.get("against", REFERENCE), gallery.get("crop", "none")
    return [
        (title.format(against), found)
        for kind, title in KINDS.items()
        if (found := [_picture(one, against, crop) for one in gallery["images"] if one["kind"] == kind])
    ]


def gallery_facts(gallery: Mapping[str, Any] | None) -> str:
    """How many there are of which the pictures are some."""
    if not gallery:
        return ""
    counts, against = gallery["counts"], gallery.get("against", REFERENCE)
    if gallery["variant"] == against:
        wrong = f"Of {gallery['n']:,} test images {against} gets {counts['error']:,} wrong."
        return f"{wrong} Shown are those it is surest of."
    return (
        f"Of {gallery['n']:,} test images {gallery['variant']} gets {counts['lost'] + counts['error']:,} wrong: "
        f"{counts['error']:,} that {against} gets wrong too, and {counts['lost']:,} that {against} has right. "
        f"{counts['gained']:,} that {against} gets wrong it has right. Shown are those it is surest of."
    )


def looks_fact(gallery: Mapping[str, Any] | None) -> str:
    """What the maps beside the flips are, or why there are none; nothing where nothing flips."""
    if not gallery or not any(gallery["counts"][kind] for kind in ("lost", "gained")):
        return ""
    found = gallery.get("grad_cam") or {"why": KEPT_NONE}
    if found["why"] is not None:
        return f"No Grad-CAM beside the flips: {found['why'].rstrip('.')}."
    return (
        f"Beside each flip: what in the picture speaks for the answer that was given (Grad-CAM), in the float32 model "
        f"and in the fake-quantized model that stands for {gallery['variant']}. Yellow is most, grey is nothing."
    )


def _picture(one: Mapping[str, Any], against: str, crop: str) -> Picture:
    """Raises ValueError for what is no PNG: a run directory may come from anybody."""
    png = png_of(one["png"])
    said = f"{one['label']}: says {one['prediction']}, {wording.percent(one['confidence'], 0)}"
    if one["reference"] != one["prediction"]:
        said += f"; {against} {one['reference']}, {wording.percent(one['reference_confidence'], 0)}"
    looks = tuple(_look(name, look, png, crop) for name, look in one.get("looks", {}).items())
    return Picture(f"{one['label']}, taken for {one['prediction']}", said, one["name"], source("png", png), looks)


def _look(name: str, look: Mapping[str, Any], png: bytes, crop: str) -> Look:
    title = f"{name}: {look['class']}"
    if look["says"] != look["class"]:
        title += f" (the Keras model says {look['says']})"
    said = f"Grad-CAM of {name}: what speaks for {look['class']} is strongest {where(look['map'])}"
    return Look(title, said, source("webp", heated(png, look["map"], crop)))
