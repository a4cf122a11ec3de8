"""The file that `edgekit bench` means when none is named: the chosen artifact of the newest finished run."""

from __future__ import annotations

import json
from pathlib import Path

from edgekit.errors import UsageError


def newest_chosen(runs: Path) -> Path:
    """runs/*/run.json with the latest "finished" time -> its "chosen" file. Raises UsageError where there is none."""
    finished = [found for record in sorted(runs.glob("*/run.json")) if (found := _finished(record))]
    if not finished:
        raise UsageError(f"There is no finished run under {runs}.", "Name a .tflite file, or run: edgekit compress")
    return max(finished)[1]


def _finished(record: Path) -> tuple[str, Path] | None:
    """(time it finished, chosen file), or None for a run that is not done, chose nothing or lost the file."""
    try:
        run = json.loads(record.read_text("utf-8"))
        when, chosen = run["finished"], record.parent / run["chosen"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (str(when), chosen) if when and chosen.is_file() else None
