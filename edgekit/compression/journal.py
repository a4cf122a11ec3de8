"""Measurements that are not made twice: a step that was killed finds them in a file, a line each, and continues."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgekit.artifact import write_text


class Journal:
    """What was measured, by name, in `folder` (None: nowhere); `key` is the hash of everything that decides it.

    A line is written when its measurement is done; one that a kill tore is measured again.
    """

    def __init__(self, folder: Path | None, key: str) -> None:
        self._path = None if folder is None else folder / f"{key[:16]}.jsonl"
        self._known: dict[str, Any] = {}
        if self._path is not None and self._path.is_file():
            self._known = _read(self._path)

    def once(self, name: str, measure: Callable[[], Any]) -> Any:
        """The JSON value measured under this name: an earlier one, or that of `measure()`."""
        if name not in self._known:
            self._known[name] = json.loads(json.dumps(measure(), allow_nan=False))
            if self._path is not None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps([name, self._known[name]]) + "\n")
        return self._known[name]


def _read(path: Path) -> dict[str, Any]:
    lines = path.read_text("utf-8").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    if len(whole) < len(lines):
        write_text(path, "".join(whole))
    return dict(json.loads(line) for line in whole)
