"""A comparison of files on the same images as words and rows: what `edgekit evaluate` found, for its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.report import wording
from edgekit.report.accuracy import difference
from edgekit.report.gallery import Picture, gallery_facts, pictures

Found = Mapping[str, Any]
Facts = list[tuple[str, str]]
FILE_TITLES = ("File", "Images", "Top-1", "95 % interval", "ECE", "SHA-256")
FLIP_TITLES = ("Image", "Class", "Flip", "First says", "Sure", "Other says", "Sure")
MOST_FLIPS = 200  # rows; evaluation.json has all
CLASSES = 5  # that lose, named


@dataclass(frozen=True)
class Against:
    """One file beside the first: `flips` under FLIP_TITLES, `more` of them are not shown."""

    title: str
    facts: Facts
    gallery: str
    pictures: list[tuple[str, list[Picture]]]
    flips: list[list[str]]
    more: int


def file_rows(document: Found, names: Sequence[str]) -> list[list[str]]:
    """A row a file, under FILE_TITLES."""
    return [
        [name, f"{one['n']:,}", wording.percent(one["top1"]["value"]), wording.span(one["top1"]["ci95"]),
         f"{one['calibration']['ece']:.3f}", one["sha256"][:12]]
        for name, one in zip(names, document["files"], strict=True)
    ]  # fmt: skip


def against_first(document: Found, names: Sequence[str], galleries: Sequence[Found]) -> list[Against]:
    """Of each file but the first; `galleries` are edgekit.gallery.gallery_of of each."""
    return [
        Against(
            f"{name} against {names[0]}",
            _facts(one["against_first"]),
            gallery_facts(gallery),
            pictures(gallery),
            [_flip(flip) for flip in one["against_first"]["flips"][:MOST_FLIPS]],
            max(0, len(one["against_first"]["flips"]) - MOST_FLIPS),
        )
        for name, one, gallery in zip(names[1:], document["files"][1:], galleries, strict=True)
    ]


def named(document: Found, names: Sequence[str]) -> list[Found]:
    """`robustness` and `layers` as a report takes them, short names for files: of all files together, then of each."""
    short = {one["file"]: name for one, name in zip(document["files"], names, strict=True)}
    curves = document["robustness"]
    whole = curves and {
        "mean_top1": {short[file]: value for file, value in curves["mean_top1"].items()},
        "points": [{**one, "file": short[one["file"]]} for one in curves["points"]],
    }
    parts = [{**one, "reference": short[one["reference"]], "other": short[one["other"]], "why": None}
             for one in document["layers"]]  # fmt: skip
    return [{"robustness": whole}, *({"layers": one} for one in parts)]


def _facts(found: Found) -> Facts:
    top1 = found["top1_difference"]
    lost = [f"{one['class']} {100 * one['difference']:+.1f} points ({one['gained']:,} gained, {one['lost']:,} lost)"
            for one in found["per_class"] if one["difference"] < 0]  # fmt: skip
    return [
        ("The same answer", wording.proportion(found["agreement"])),
        ("Flips", wording.flips(found)),
        ("Difference", difference(top1["value"], top1["ci95"], found["mcnemar"]["p_value"])),
        ("Classes that lose", wording.listed(lost, CLASSES) or "none"),
    ]


def _flip(one: Found) -> list[str]:
    sure = [wording.percent(one[f"{name}_confidence"], 0) for name in ("reference", "other")]
    return [one["name"], one["label"], one["flip"], one["reference"], sure[0], one["other"], sure[1]]
