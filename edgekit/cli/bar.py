"""Progress on the screen: one bar with the time left on a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from edgekit.progress import Progress, Reporter

WIDTH = 28
LINE_SECONDS = 10.0  # between two lines of one stage where there is no terminal


@contextmanager
def reporter() -> Iterator[Reporter]:
    """A Reporter for the block."""
    bar = _Bar(sys.stderr.isatty())
    try:
        yield bar.show
    finally:
        bar.end()


class _Bar:
    def __init__(self, terminal: bool) -> None:
        self.terminal = terminal
        self.stage = ""
        self.began = self.last_line = time.monotonic()
        self.from_done = 0

    def show(self, progress: Progress) -> None:
        now = time.monotonic()
        fresh = progress.stage != self.stage
        if fresh:
            self.end()
            self.stage, self.began, self.from_done = progress.stage, now, progress.done
        if self.terminal:
            click.echo(f"\r\033[K{self._line(progress, now)}", nl=False, err=True)
        elif fresh or progress.done == progress.total or now - self.last_line >= LINE_SECONDS:
            self.last_line = now
            click.echo(self._line(progress, now), err=True)

    def _line(self, progress: Progress, now: float) -> str:
        share = progress.done / progress.total if progress.total else 1.0
        filled = round(share * WIDTH)
        left = self._left(progress, now)
        parts = [
            f"{progress.stage:<9}",
            f"[{'#' * filled}{'.' * (WIDTH - filled)}]",
            f"{progress.done}/{progress.total}",
            left,
            progress.note,
        ]
        return "  ".join(part for part in parts if part)

    def _left(self, progress: Progress, now: float) -> str:
        done_now = progress.done - self.from_done
        if not done_now or progress.done >= progress.total:
            return ""
        seconds = (now - self.began) / done_now * (progress.total - progress.done)
        return f"{int(seconds // 60)}:{int(seconds % 60):02d} left"

    def end(self) -> None:
        """Leaves the bar's line behind and goes to the next."""
        if self.terminal and self.stage:
            click.echo(err=True)
        self.stage = ""
