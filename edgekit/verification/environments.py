"""Environments of foreign runtimes, a folder each under the user's cache: made whole or not at all, and removed.

An environment is built in a temporary folder beside its place and takes the place by one rename, after its record was
written. What a killed `add` leaves has no name that anybody looks for, and the next `add` sweeps it away.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from edgekit.artifact import write_json
from edgekit.errors import DeviceError, UsageError
from edgekit.verification import install
from edgekit.verification.browser import find_browser
from edgekit.verification.foreign import FOREIGN, Foreign, foreign, how_to_add

RECORD = "edgekit.json"
UNFINISHED = ".adding-"


class Record(BaseModel):
    """What was installed, as the installer said it; `asked` are the packages of the table at that time."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: int = 1
    name: str
    asked: tuple[str, ...]
    python: str
    installed: dict[str, str]
    size_bytes: int


@dataclass(frozen=True)
class Environment:
    """A runtime that was added. `python` is its interpreter, None for one that needs none."""

    folder: Path
    record: Record

    @property
    def python(self) -> Path | None:
        return install.python_of(self.folder) if FOREIGN[self.record.name].registry == "pypi" else None

    def to_json(self) -> dict[str, Any]:
        return {**self.record.model_dump(mode="json", exclude={"schema_version"}), "folder": str(self.folder)}


@dataclass(frozen=True)
class Missing:
    """Why a runtime of the table cannot be used now."""

    name: str
    reason: str

    @property
    def remedy(self) -> str:
        return how_to_add(self.name)


def root() -> Path:
    """Where environments are kept: $EDGEKIT_RUNTIMES, else the user's cache."""
    given = os.environ.get("EDGEKIT_RUNTIMES")
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given) if given else Path(cache) / "edgekit" / "runtimes"


def find(name: str) -> Environment | Missing:
    """The runtime, where it was added whole and is what the table asks for."""
    row, folder = foreign(name), root() / name
    if not folder.is_dir():
        return Missing(name, "not added")
    try:
        record = Record.model_validate_json((folder / RECORD).read_bytes())
    except (OSError, ValidationError):
        return Missing(name, "damaged: it has no record of what it is")
    if record.name != name or record.asked != row.packages:
        return Missing(name, f"added by another version of edgekit ({', '.join(record.asked)})")
    if row.registry == "pypi" and not install.python_of(folder).exists():
        return Missing(name, f"damaged: the Python {record.python} that it was made with is gone")
    if row.registry == "npm" and find_browser() is None:
        return Missing(name, "there is no Chromium or Chrome on this machine")
    return Environment(folder, record)


def add(name: str) -> tuple[Environment, bool]:
    """(the environment, whether it was made now). Raises DeviceError where it cannot be: offline, no wheel for the
    Pythons of this machine, no npm, no browser, a full disk."""
    row = foreign(name)
    with _alone():
        _sweep()
        there = find(name)
        if isinstance(there, Environment):
            return there, False
        install.check(row)
        unfinished = Path(tempfile.mkdtemp(dir=root(), prefix=UNFINISHED))
        try:
            _build(row, unfinished)
            shutil.rmtree(root() / name, ignore_errors=True)
            unfinished.rename(root() / name)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    made = find(name)
    if isinstance(made, Missing):
        raise DeviceError(f"{name} was added and cannot be used: {made.reason}.", "Look at the folder's permissions.")
    return made, True


def remove(name: str) -> int:
    """Removes an environment; the bytes that were freed. Raises UsageError for one that was not added."""
    folder = root() / foreign(name).name
    with _alone():
        if not folder.is_dir():
            raise UsageError(f"{name} is not added.", "See: edgekit runtime list")
        freed = _size(folder)
        doomed = Path(tempfile.mkdtemp(dir=root(), prefix=UNFINISHED))
        folder.rename(doomed / name)  # half an environment is never in its place
        shutil.rmtree(doomed)
    return freed


def _build(row: Foreign, folder: Path) -> None:
    made = install.install(row, folder)
    record = Record(
        name=row.name, asked=row.packages, python=made.python, installed=made.installed, size_bytes=_size(folder)
    )
    write_json(folder / RECORD, json.loads(record.model_dump_json()))


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def _sweep() -> None:
    for left in root().glob(f"{UNFINISHED}*"):
        shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _alone() -> Iterator[None]:
    """One writer at a time."""
    from filelock import FileLock, Timeout

    root().mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(root() / ".lock", timeout=0):
            yield
    except Timeout:
        raise DeviceError(
            "Another edgekit adds or removes a runtime now.", "Wait until it is done, then run it again."
        ) from None
