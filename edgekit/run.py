"""The run directory: one writer, stages that are not run twice, and a state that survives a kill at any moment.

A stage is finished when its `done.json` is there: the hash of what it was made from, and the SHA-256 of each file it
made. It is run again if the first changed or a file of the second is missing or different.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from edgekit.artifact import sha256_of, write_json
from edgekit.errors import DeviceError

SCHEMA = 1
Made = Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """A run directory that this process alone may write to; get one from `open_run`."""

    folder: Path

    def file(self, *parts: str) -> Path:
        return self.folder.joinpath(*parts)

    def state_folder(self, stage: str) -> Path:
        """Where an unfinished stage keeps what it needs to continue."""
        path = self.file("stages", stage)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def stage(self, name: str, inputs: Any, work: Callable[[Path], tuple[list[Path], Made]]) -> Made:
        """Does `work` unless it is done already; returns its result.

        `inputs` is any JSON value that decides the outcome. `work(state folder)` returns the files it wrote and a
        result, a JSON value. State left by other inputs is removed before it starts.
        """
        wanted = _hash_json(inputs)
        done = self.file("stages", name, "done.json")
        finished = _read_json(done)
        if finished and finished["inputs"] == wanted and self._intact(finished["files"]):
            return finished["result"]
        state = self._state_for(name, wanted)
        started = time.monotonic()
        files, result = work(state)
        record = {
            "schema": SCHEMA,
            "inputs": wanted,
            "files": {path.relative_to(self.folder).as_posix(): sha256_of(path.read_bytes()) for path in files},
            "result": result,
            "seconds": round(time.monotonic() - started, 3),
            "finished": now(),
        }
        write_json(done, record)
        return json.loads(json.dumps(result))

    def _state_for(self, name: str, wanted: str) -> Path:
        """The stage's folder, emptied if what it holds was begun with other inputs."""
        state = self.state_folder(name)
        begun = state / "begun.json"
        if (_read_json(begun) or {}).get("inputs") != wanted:
            shutil.rmtree(state)
            state.mkdir()
            write_json(begun, {"inputs": wanted})
        (state / "done.json").unlink(missing_ok=True)
        return state

    def _intact(self, files: Mapping[str, str]) -> bool:
        paths = ((self.file(name), digest) for name, digest in files.items())
        return all(path.is_file() and sha256_of(path.read_bytes()) == digest for path, digest in paths)


@contextmanager
def open_run(folder: Path) -> Iterator[Run]:
    """Takes the run directory for this process, creating it if need be.

    Raises DeviceError if another process has it. The lock is the operating system's, so a killed run leaves none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    holder = folder / "lock.json"
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        other = _read_json(holder) or {}
        raise DeviceError(
            f"{folder} is being written by process {other.get('pid', '?')}, started {other.get('started', '?')}.",
            "Wait for it, or choose another folder with --out.",
        ) from None
    try:
        write_json(holder, {"pid": os.getpid(), "started": now()})
        _remove_half_written(folder)
        yield Run(folder)
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def now() -> str:
    """UTC, ISO 8601, whole seconds."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _remove_half_written(folder: Path) -> None:
    """Temporary files of a killed run: they begin with a dot and carry the name they would have had."""
    for sub in ("artifacts", "results", "stages"):
        for path in folder.joinpath(sub).rglob(".*.*"):
            if path.is_file():
                path.unlink()


def _hash_json(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _read_json(path: Path) -> Any:
    """The value, or None where there is no readable one: a stage with a damaged record is run again."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
