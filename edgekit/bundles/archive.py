"""Writes a bundle: a folder and a zip of it, whole or not at all, the same bytes for the same model."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from edgekit.errors import BadInput

DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that zip knows
Files = Mapping[str, bytes]


def write_bundle(folder: Path, files: Files) -> Path:
    """Writes `files` (path inside -> content) below `folder` and into `folder`.zip, and returns the zip's path.

    Entries are sorted, dated alike and stored, since compressors differ from machine to machine. Raises BadInput where
    one of the two exists.
    """
    archive = folder.parent / f"{folder.name}.zip"
    for place in (folder, archive):
        if place.exists() or place.is_symlink():
            raise BadInput(f"{place} exists already.", "Choose another folder with --out, or remove it.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as name:
        whole, zipped = Path(name) / folder.name, Path(name) / archive.name
        for path, content in sorted(files.items()):
            _write(whole / path, content)
        _write(zipped, b"")
        with zipfile.ZipFile(zipped, "w", zipfile.ZIP_STORED) as out:
            for path, content in sorted(files.items()):
                out.writestr(_entry(f"{folder.name}/{path}"), content)
        zipped.rename(archive)
        try:
            whole.rename(folder)
        except BaseException:
            archive.unlink()
            raise
    return archive


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(0o644)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, DATE)
    entry.create_system, entry.external_attr = 3, 0o100644 << 16  # an ordinary file, on whatever system it is made
    return entry
