"""A folder of class subfolders, or of train/val/test subfolders that hold them."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgekit.data.images import SUFFIXES
from edgekit.data.pixels import Files, Seen, look_at
from edgekit.data.sources import Source
from edgekit.data.split import Damaged, Split
from edgekit.errors import BadInput, EdgekitWarning
from edgekit.preprocess import Preprocess
from edgekit.progress import Reporter, silent

PART_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
HELD_OUT = ("test", "val")  # what is evaluated, first choice first
LAYOUT = "Expected DIR/class/image.png, or DIR/train/class/image.png with DIR/val and DIR/test alike."
OTHER_IMAGES = frozenset({".gif", ".tif", ".tiff", ".heic", ".heif", ".avif", ".jp2", ".jxl", ".ppm", ".pgm"})


@dataclass(frozen=True)
class Listing:
    """What a walk through one part's class folders found. Paths are relative to the data set's root, sorted."""

    class_names: tuple[str, ...]
    paths: tuple[str, ...]
    labels: np.ndarray  # int64 [n]
    left_out: tuple[str, ...]  # pictures in other formats, and links that lead out of the folder


def find_parts(root: Path) -> dict[str, Path]:
    """The folders of each part, by what is there: {"train": DIR/train, ...}, or {"all": DIR}.

    A folder called train, val, valid, validation or test is a part when it holds folders itself.
    """
    folders = _folders(root)
    parts: dict[str, Path] = {}
    for folder in folders:
        part = PART_NAMES.get(folder.name.lower())
        if part is None or not _folders(folder):
            continue
        if part in parts:
            raise BadInput(f"{root} has both {parts[part].name}/ and {folder.name}/.", "Keep one of them.")
        parts[part] = folder
    if folders and not parts and all(f.name.lower() in PART_NAMES for f in folders):
        raise BadInput(f"{root} has {_some([f.name for f in folders])} but no class folders in them.", LAYOUT)
    others = [f.name for f in folders if f not in parts.values()]
    if parts and others:
        _warn(f"{root} has {', '.join(f'{p.name}/' for p in parts.values())}; left out: {_some(others)}.")
    return parts or {"all": root}


def read_folder(root: Path, preprocess: Preprocess, progress: Reporter = silent, *, held_out: bool = False) -> Source:
    """The parts of a folder; every file is decoded once to find the damaged ones and the duplicates.

    `held_out`: only the part to evaluate on: test, else val, else the class folders. Raises BadInput.
    """
    parts = find_parts(root)
    if held_out:
        parts = {name: parts[name] for name in (*HELD_OUT, "all") if name in parts}
        parts = dict(list(parts.items())[:1])
    if not parts or not (held_out or "train" in parts or "all" in parts):
        missing = "no test/ and no val/" if held_out else "no train/"
        raise BadInput(f"{root} has {missing}.", "Name the folder that holds the class folders, or add it.")
    listings = {name: list_images(root, folder) for name, folder in parts.items()}
    class_names = _class_names(root, listings)
    damaged: list[Damaged] = []
    splits = {
        name: _split(root, name, listing, class_names, preprocess, damaged, progress)
        for name, listing in listings.items()
    }
    _report_left_out(root, listings.values())
    _report_damaged(root, damaged, sum(len(listing.paths) for listing in listings.values()))
    return Source(root.resolve().name, class_names, splits, tuple(damaged))


def read_flat(root: Path, preprocess: Preprocess, progress: Reporter = silent) -> tuple[Split, tuple[Damaged, ...]]:
    """Every image below a folder, without labels, and what cannot be read. Raises BadInput where there are none."""
    paths, left_out = image_paths(root)
    nowhere = np.zeros(len(paths), np.int64)  # no class is known; the one without a name stands for all
    listing = Listing(("",), paths, nowhere, left_out)
    damaged: list[Damaged] = []
    split = _split(root, "all", listing, ("",), preprocess, damaged, progress)
    _report_left_out(root, [listing])
    _report_damaged(root, damaged, len(paths))
    return replace(split, class_names=()), tuple(damaged)


def image_paths(root: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(every image below a folder, what is left out), relative to it and sorted; nothing is read. Raises BadInput where
    there is no image."""
    if not root.is_dir():
        raise BadInput(f"There is no folder {str(root)!r}.", "Give a folder of images; they need no labels.")
    found = sorted((path.removeprefix("./"), wanted) for path, wanted in _walk(root, ".", os.path.realpath(root)))
    paths = tuple(path for path, wanted in found if wanted)
    if not paths:
        raise BadInput(f"{root} has no PNG, JPEG, WebP or BMP images.", "Give a folder of images.")
    return paths, tuple(path for path, wanted in found if not wanted)


def list_images(root: Path, folder: Path) -> Listing:
    """Every PNG, JPEG, WebP and BMP file under the class folders of `folder`; hidden ones do not count.

    Class order is by name. Raises BadInput when there are no class folders or no images.
    """
    class_folders = _folders(folder)
    if not class_folders:
        loose = any(entry.suffix.lower() in SUFFIXES for entry in folder.iterdir())
        fact = "has images but no class folders" if loose else "is empty" if _bare(folder) else "has no class folders"
        raise BadInput(f"{folder} {fact}.", LAYOUT)
    home = os.path.realpath(root)
    found: list[tuple[str, int]] = []
    left_out: list[str] = []
    for label, class_folder in enumerate(class_folders):
        for path, wanted in _walk(class_folder, class_folder.relative_to(root).as_posix(), home):
            if wanted:
                found.append((path, label))
            else:
                left_out.append(path)
    if not found:
        raise BadInput(f"{folder} has class folders but no PNG, JPEG, WebP or BMP images.", LAYOUT)
    found.sort()
    labels = np.array([label for _, label in found], dtype=np.int64)
    return Listing(tuple(f.name for f in class_folders), tuple(p for p, _ in found), labels, tuple(left_out))


def _walk(folder: Path | str, prefix: str, home: str) -> Iterator[tuple[str, bool]]:
    """(path, True) for an image to read; (path, False) for one left out. Folders behind links are not entered.

    Paths are text that begins with `prefix`: a Path for each of many files takes longer than listing them.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            path = f"{prefix}/{entry.name}"
            suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, path, home)
            elif entry.is_symlink() and not _inside(entry.path, home):
                yield path, False
            elif suffix in SUFFIXES and entry.is_file():
                yield path, True
            elif suffix in OTHER_IMAGES:
                yield path, False


def _inside(link: str, home: str) -> bool:
    """Whether a link leads to a file (not a folder: that could be a loop) within the data set."""
    target = os.path.realpath(link)
    return target.startswith(home + os.sep) and not Path(target).is_dir()


def _folders(folder: Path) -> list[Path]:
    """The visible folders in a folder, by name; links do not count."""
    found = (p for p in folder.iterdir() if not p.name.startswith("."))
    return sorted((p for p in found if p.is_dir() and not p.is_symlink()), key=lambda p: p.name)


def _bare(folder: Path) -> bool:
    return not any(not entry.name.startswith(".") for entry in folder.iterdir())


def _class_names(root: Path, listings: Mapping[str, Listing]) -> tuple[str, ...]:
    """The classes of train (or of the only part). Raises BadInput for one that only val or test has."""
    first = listings.get("train") or next(iter(listings.values()))
    for name, listing in listings.items():
        strange = [c for c in listing.class_names if c not in first.class_names]
        if strange:
            fact = f"{root}: {name}/ has classes that train/ does not have: {_some(strange)}."
            raise BadInput(fact, "Give every class a folder in train/, or take it out of the others.")
    return first.class_names


def _split(
    root: Path,
    name: str,
    listing: Listing,
    class_names: tuple[str, ...],
    preprocess: Preprocess,
    damaged: list[Damaged],
    progress: Reporter,
) -> Split:
    """The readable images of one part; the others are added to `damaged`."""
    seen = look_at(Files(root, listing.paths), progress)
    damaged += [Damaged(p, s.reason) for p, s in zip(listing.paths, seen, strict=True) if s.reason]
    order = np.array([class_names.index(c) for c in listing.class_names], dtype=np.int64)
    whole = Split(
        name,
        class_names,
        order[listing.labels],
        listing.paths,
        _hashes(seen),
        Files(root, listing.paths),
        preprocess,
    )
    return whole.take([i for i, s in enumerate(seen) if not s.reason])


def _hashes(seen: Iterable[Seen]) -> np.ndarray:
    return np.array([s.pixel_hash for s in seen], dtype="S64")


def _report_left_out(root: Path, listings: Iterable[Listing]) -> None:
    names = [name for listing in listings for name in listing.left_out]
    if names:
        kinds = Counter(Path(n).suffix.lower() or "no suffix" for n in names)
        kinds_text = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        _warn(
            f"{len(names):,} files of {root} are left out ({kinds_text}; first: {names[0]}): PNG, JPEG, WebP and "
            "BMP files are read, and no link that leads to a folder or out of the data set is followed."
        )


def _report_damaged(root: Path, damaged: list[Damaged], total: int) -> None:
    if not damaged:
        return
    first = damaged[0]
    if len(damaged) == total:
        fact = f"None of the {total:,} images of {root} can be read, first: {first.name} ({first.reason})."
        raise BadInput(fact, "Check that the files are whole PNG, JPEG, WebP or BMP images.")
    _warn(f"{len(damaged):,} of {total:,} images cannot be read, first: {first.name} ({first.reason}).")


def _some(names: list[str], most: int = 5) -> str:
    """The names, quoted, no more than a few."""
    shown = ", ".join(repr(n) for n in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _warn(sentence: str) -> None:
    warnings.warn(sentence, EdgekitWarning, stacklevel=3)
