"""The files that a .tflite carries behind its flatbuffer: a zip archive, as TFLite Model Metadata has them.

Any unzip program opens it. Entries are stored, not packed, because MediaPipe Tasks reads no others; their dates are
all the same, so that the same files give the same bytes.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping

MOST_FILES = 100
LARGEST_FILE = 16_000_000  # bytes; ImageNet's labels take 22 kB
LARGEST_ALL = 32_000_000
END_OF_ARCHIVE = b"PK\x05\x06"
_END_SIZE = 22  # bytes of that record without a comment, which no writer of metadata leaves
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that zip knows
_NO_ARCHIVE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OSError, LookupError)


class NoFiles(ValueError):
    """One clause on why the archive cannot be believed."""


def files_of(content: bytes) -> dict[str, bytes]:
    """Name -> content; empty where the file ends without an archive.

    Raises NoFiles for one that is damaged or too large, or has a name that is a path, is there twice or holds control
    characters.
    """
    if content[-_END_SIZE : 4 - _END_SIZE] != END_OF_ARCHIVE:
        return {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            _check(entries)
            return {entry.filename: _read(archive, entry) for entry in entries}
    except NoFiles:
        raise
    except _NO_ARCHIVE as error:
        raise NoFiles(f"the archive of its associated files is damaged ({type(error).__name__})") from None


def with_files(flatbuffer: bytes, files: Mapping[str, bytes]) -> bytes:
    """The flatbuffer with the files behind it, in the order in which they are given; without any, just itself."""
    if not files:
        return flatbuffer
    for name in files:
        _check_name(name)
    out = io.BytesIO()
    out.write(flatbuffer)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system, entry.external_attr = 3, 0o644 << 16  # an ordinary file, on whatever system it is made
            archive.writestr(entry, content)
    return out.getvalue()


def _check(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MOST_FILES:
        raise NoFiles(f"it has {len(entries):,} associated files, more than {MOST_FILES}")
    for entry in entries:
        _check_name(entry.orig_filename)
    if len({entry.filename for entry in entries}) < len(entries):
        raise NoFiles("two of its associated files have the same name")
    large = [entry for entry in entries if entry.file_size > LARGEST_FILE]
    if large or sum(entry.file_size for entry in entries) > LARGEST_ALL:
        raise NoFiles(f"its associated files would take more than {LARGEST_FILE // 10**6} MB")


def _check_name(name: str) -> None:
    """Flat names alone: whoever unpacks the files must not be led out of a folder, or have a terminal painted."""
    if not name or name in (".", "..") or any(one in name for one in "/\\:") or not name.isprintable():
        raise NoFiles("the name of an associated file is a path or holds control characters")


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """At most what the archive says that it is: the rest of a bomb is never unpacked."""
    with archive.open(entry) as stream:
        content = stream.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        raise NoFiles("an associated file is not as long as the archive says")
    return content
