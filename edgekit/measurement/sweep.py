"""Sweeps: the same files under every combination of threads, batch sizes and XNNPACK on or off."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from edgekit.errors import UsageError, unknown
from edgekit.measurement.bench import File, Setting, SideBySide, bench, probed, side_by_side

XNNPACK = {"on": (True,), "off": (False,), "both": (True, False)}


def settings(
    threads: Sequence[int] = (1,), batches: Sequence[int] | None = None, xnnpack: str = "on", device: str = "cpu"
) -> tuple[Setting, ...]:
    """Every combination, in this order; no batch is the file's own. Raises UsageError for numbers below one."""
    if xnnpack not in XNNPACK:
        raise unknown("way to use XNNPACK", xnnpack, XNNPACK, UsageError)
    combined = itertools.product(threads, batches or (None,), XNNPACK[xnnpack])
    return tuple(Setting(*one, device) for one in combined)


def require_settings(paths: Sequence[File], under: Sequence[Setting]) -> None:
    """Raises BadInput where a file cannot be run under one of several settings; one bench alone finds out itself."""
    by_batch = {one.batch: one for one in under}  # nothing else makes a difference to that
    for setting, path in itertools.product(by_batch.values(), paths) if len(under) > 1 else ():
        probed(path, setting)


def sweep(
    paths: Sequence[File], under: Sequence[Setting], *, compare: bool = True, **how: Any
) -> tuple[SideBySide, ...]:
    """One SideBySide a setting, one after the other; `how` is what `bench` takes.

    Several files are taken on until their comparison is settled, unless not `compare`. Raises before anything is
    measured where a file cannot be run under a setting.
    """
    require_settings(paths, under)
    found = []
    for setting in under:
        wanted = {**how, **asdict(setting)}
        if compare and len(paths) > 1:
            found.append(side_by_side(paths, **wanted))
        else:
            found.append(SideBySide(bench(list(paths), **wanted), ()))
    return tuple(found)
