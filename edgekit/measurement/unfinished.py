"""What a bench of several parts finished before it was cut off, so that the same command continues.

A part is a device and a setting, with all files. Each is written when it is finished, in

    $XDG_CACHE_HOME/edgekit/unfinished/KEY/PART.json     (~/.cache/...)

and all are removed when the command is done. KEY is of the files' contents and of everything that was asked for, so
another command does not find them; neither does the same one a day later.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgekit.artifact import write_text
from edgekit.errors import BadInput, EdgekitWarning
from edgekit.measurement.bench import Setting, SideBySide, comparisons_of
from edgekit.measurement.record import read_measurement

SECONDS = 24 * 3600.0


class Unfinished:
    """The parts of one command. `asked`: what makes it the same, JSON-able; with a single part nothing is kept."""

    def __init__(self, asked: Mapping[str, Any], parts: int) -> None:
        key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        self._folder = Path(cache) / "edgekit" / "unfinished" / key
        self._several = parts > 1

    def finished(self, setting: Setting) -> SideBySide | None:
        """What an earlier try measured, which an EdgekitWarning tells; None where it has not."""
        path = self._path(setting)
        try:
            if not self._several or time.time() - path.stat().st_mtime > SECONDS:
                return None
            read = json.loads(path.read_text("utf-8"))
            measured = tuple(read_measurement(one, str(path)) for one in read["measurements"])
        except (OSError, ValueError, KeyError, TypeError, BadInput):
            return None
        sentence = (
            f"{setting.device} ({self._said(setting)}) was measured {measured[0].measured}, before this command was "
            f"cut off: it goes on from there. Remove {self._folder} to begin anew."
        )
        warnings.warn(sentence, EdgekitWarning, stacklevel=2)
        return SideBySide(measured, comparisons_of(measured) if read["compared"] else ())

    def keep(self, setting: Setting, found: SideBySide) -> None:
        """A full disk does not end the bench: it then cannot be continued."""
        if not self._several:
            return
        kept = {"measurements": [one.to_json() for one in found.measurements], "compared": bool(found.comparisons)}
        try:
            write_text(self._path(setting), json.dumps(kept, allow_nan=False) + "\n")
        except OSError as error:
            warnings.warn(f"This bench cannot be continued: {error.strerror}.", EdgekitWarning, stacklevel=2)

    def done(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, setting: Setting) -> Path:
        return self._folder / f"{hashlib.sha256(json.dumps(asdict(setting)).encode()).hexdigest()[:16]}.json"

    @staticmethod
    def _said(setting: Setting) -> str:
        batch = "" if setting.batch is None else f", batch {setting.batch}"
        return f"threads {setting.threads}{batch}" + ("" if setting.xnnpack else ", without XNNPACK")
