"""One request to an agent file in a fresh process, and its answer, as if it meant harm: limited in bytes and in time.

The agents are single files that import nothing of edgekit: they run under the Python of an environment of their own.
What goes wrong in one is a Failed with its reason, never an exception.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from edgekit.measurement.answers import LARGEST, Answers
from edgekit.runtime.escape import escaped

SAID = 8192  # bytes of the end of stderr that are looked at


@dataclass(frozen=True)
class Failed:
    """Why there is no answer, in a clause."""

    reason: str


def ask(
    command: Sequence[str], request: Mapping[str, Any], seconds: float, environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Answers | Failed:  # fmt: skip
    """The answer of an agent, started by `command`, to a request of the kind "answers". `environment` and `folder`: its
    own in place of this process's."""
    ended = run(command, json.dumps(request).encode(), seconds, environment, folder)
    return ended if isinstance(ended, Failed) else read_answer(ended)


def run(
    command: Sequence[str], given: bytes, seconds: float, environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> bytes | Failed:  # fmt: skip
    """What a process writes to stdout, `given` on its stdin. It and what it started are gone afterwards."""
    with tempfile.TemporaryFile() as stderr, tempfile.TemporaryFile() as stdin:
        stdin.write(given)
        stdin.seek(0)
        try:
            process = subprocess.Popen(
                command, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True, env=environment,
                cwd=folder,
            )  # fmt: skip
        except OSError as error:
            return Failed(f"{command[0]} does not start: {error.strerror}")
        assert process.stdout is not None
        said = _Reading(process.stdout)
        try:
            late = not said.wait(seconds)
            if not late and not said.too_long:
                process.wait(seconds)
        except subprocess.TimeoutExpired:
            late = True
        finally:
            end(process)
            said.join()
        if late:
            return Failed(f"it did not finish within {seconds:.0f} seconds")
        if said.too_long:
            return Failed(f"it answered with more than {LARGEST // 2**20} MB")
        if process.returncode < 0:
            return Failed(f"it crashed ({_signal(-process.returncode)})")
        if process.returncode not in (0, 1):
            return Failed(f"it ended with code {process.returncode}: {_last_words(stderr)}")
        return said.content or Failed(f"it gave no answer: {_last_words(stderr)}")


def read_answer(said: bytes) -> Answers | Failed:
    """The last line, where it is an answer: a runtime may print lines of its own before."""
    lines = said.splitlines()
    try:
        found = json.loads(lines[-1] if lines else b"")
        if isinstance(found, dict) and found.get("ok") is False:
            return Failed(escaped(str(found["error"]["message"]))[:300])
        answer = Answers.model_validate(found)
        answer.arrays()
    except (ValidationError, ValueError, RecursionError, KeyError, TypeError) as error:
        kind = type(error).__name__
        return Failed(f"it gave an answer that is none ({kind}: {escaped(str(error).splitlines()[0])[:100]})")
    return answer


class _Reading:
    """Reads a pipe to its end, or to the limit."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self.content = b""
        self._pipe = pipe
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        self.content = self._pipe.read(LARGEST + 1)

    def wait(self, seconds: float) -> bool:
        """Whether the pipe ended, or the limit was reached, within the seconds."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    @property
    def too_long(self) -> bool:
        return len(self.content) > LARGEST

    def join(self) -> None:
        self._thread.join()
        self._pipe.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """Its whole process group: a browser has children of its own."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
    process.wait()


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_words(stderr: IO[bytes]) -> str:
    stderr.seek(0, os.SEEK_END)
    stderr.seek(max(0, stderr.tell() - SAID))
    lines = [line for line in stderr.read().decode(errors="replace").splitlines() if line.strip()]
    return escaped(lines[-1].strip())[:300] if lines else "it said nothing"
