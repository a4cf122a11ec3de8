"""Writes calibration images out as a folder with a manifest, which a person can look at and other tools can read."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgekit.data.dataset import Dataset, load_data
from edgekit.data.folder import PART_NAMES
from edgekit.data.pixels import Files
from edgekit.data.split import Split
from edgekit.errors import BadInput
from edgekit.preprocess import preset
from edgekit.progress import Reporter, silent

AS_THEY_ARE = "none: native pixels; a reader applies the model's own preprocessing (resize, normalization)"
ORDER = "evenly over the classes, in the order of the sha256 of the pixels"


@dataclass(frozen=True)
class Sample:
    """A written calibration folder: its path and its manifest (the contents of manifest.json)."""

    folder: Path
    manifest: Mapping[str, Any]


def sample(source: str | Path, count: int, out: str | Path, progress: Reporter = silent) -> Sample:
    """Writes `count` training images of a data set as out/class/file and out/manifest.json, all of it or nothing.

    Image files are copied byte for byte; pixels in memory become PNGs of their native size. What edgekit would
    validate or test on is never among them. Raises BadInput, also when `out` has something in it already.
    """
    folder = Path(out)
    _refuse_occupied(folder)
    size_is_unused = preset("raw", 1, 1)
    data = load_data(source, preprocess=size_is_unused, calibration_images=count, progress=progress)
    return _written(data, folder)


def _refuse_occupied(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"{out} exists and is not empty.", "Choose another folder with --out, or remove it.")


def _written(data: Dataset, out: Path) -> Sample:
    work = out.parent / f".{out.name}.{os.getpid()}.partial"
    work.mkdir(parents=True)
    try:
        chosen = data.calibration
        manifest = _manifest(data, [_write(chosen, index, work) for index in range(len(chosen))])
        (work / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", "utf-8")
        if out.exists():
            out.rmdir()
        work.rename(out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Sample(out, manifest)


def _write(chosen: Split, index: int, folder: Path) -> dict[str, str]:
    """One image file, and its entry in the manifest."""
    label = chosen.class_names[chosen.labels[index]]
    path = folder / label / _inner_name(chosen, index)
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(chosen.pixels, Files):
        shutil.copyfile(chosen.pixels.root / chosen.names[index], path)
    else:
        Image.fromarray(chosen.pixels.images[index]).save(path, optimize=True)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    pixels = chosen.hashes[index].decode()
    return {"file": path.relative_to(folder).as_posix(), "label": label, "sha256": digest, "pixels_sha256": pixels}


def _inner_name(chosen: Split, index: int) -> str:
    """The path below the class folder: "train/cat/a/1.jpg" -> "a/1.jpg"; "digits/0123" -> "0123.png"."""
    parts = chosen.names[index].split("/")
    if not isinstance(chosen.pixels, Files):
        return "-".join(parts[1:]) + ".png"
    label = chosen.class_names[chosen.labels[index]]
    in_part = parts[0].lower() in PART_NAMES and len(parts) > 2 and parts[1] == label
    return "/".join(parts[2 if in_part else 1 :])


def _manifest(data: Dataset, files: list[dict[str, str]]) -> dict[str, Any]:
    counts = np.bincount(data.calibration.labels, minlength=len(data.class_names)).tolist()
    return {
        "schema": 1,
        "source": data.name,
        "source_sha256": data.sha256,
        **data.notes,
        "split": "train",
        "chosen": ORDER,
        "count": len(files),
        "classes": dict(zip(data.class_names, counts, strict=True)),
        "preprocessing": AS_THEY_ARE,
        "files": sorted(files, key=lambda entry: entry["file"]),
    }
