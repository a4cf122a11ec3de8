"""Keeps native libraries' chatter off the user's screen. They write to file descriptor 2, past Python's sys.stderr."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def captured_stderr() -> Iterator[Callable[[], str]]:
    """Within the block nothing reaches the process's stderr; the callable returns what was written so far."""
    saved = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)

        def read() -> str:
            said.seek(0)
            return said.read().decode(errors="replace")

        try:
            yield read
        finally:
            os.dup2(saved, 2)
            os.close(saved)
