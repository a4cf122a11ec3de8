"""The host's end of the agent: fresh processes on this machine, one bench at a time."""

from __future__ import annotations

import abc
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from edgekit.errors import BadInput, DeviceError
from edgekit.progress import Progress, Reporter
from edgekit.runtime.interpreter import too_new

AGENT = Path(__file__).with_name("agent.py")
LOCK_SECONDS = 1800.0


@contextmanager
def this_machine(progress: Reporter, device: str = "") -> Iterator[None]:
    """Benches of one user never overlap on a machine, or on a `device`: they would measure each other.

    Raises DeviceError when another one holds the machine for half an hour.
    """
    from filelock import FileLock, Timeout

    user = os.getuid() if hasattr(os, "getuid") else "user"
    lock = FileLock(Path(tempfile.gettempdir()) / f"edgekit-bench-{user}{device and '-'}{device}.lock")
    where = device or "this machine"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress(Progress("bench", 0, 1, f"waiting for another bench on {where}"))
        try:
            lock.acquire(timeout=LOCK_SECONDS)
        except Timeout:
            raise DeviceError(
                f"Another edgekit bench has been running on {where} for half an hour.",
                "Wait until it is done, or end it.",
            ) from None
    try:
        yield
    finally:
        lock.release()


class Agent(abc.ABC):
    """At work on one request, wherever that is; leaving the `with` ends it.

    `what` it measures stands in messages; `seconds`: how long it may stay silent. Of a request with `turns`, each
    `turn()` times one of them.
    """

    def __init__(self, what: str, seconds: float) -> None:
        self._what, self._seconds = what, seconds
        self._next: dict[str, Any] | None = None

    def __enter__(self) -> Self:
        return self

    @abc.abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it."""

    def ready(self) -> None:
        """Waits until it is warm and its turn may begin."""
        if self._next is None:
            self._next = self._message()

    def turn(self) -> None:
        """Times one turn, and waits until it is over."""
        self.ready()
        if self._go():
            self._next = self._message()

    def answer(self) -> dict[str, Any]:
        """The agent's answer. Raises BadInput when the file fails in it, DeviceError when the agent itself does."""
        self.ready()
        found = self._next or {}
        if not found.get("ok"):
            said = found["error"]
            if refused := too_new(self._what, said["message"], "the runtime there"):
                raise refused
            error = BadInput if said["kind"] == "model" else DeviceError
            remedy = said.get("remedy", "Check the file.")
            raise error(f"{self._what} cannot be measured: {said['message']}.", remedy)
        return found

    @abc.abstractmethod
    def _go(self) -> bool:
        """Lets it begin its turn; False when it has ended, and its last message says why."""

    @abc.abstractmethod
    def _line(self) -> str:
        """The next line that it says, "" at its end. Raises TimeoutError after `seconds` of silence."""

    @abc.abstractmethod
    def _died(self) -> NoReturn:
        """Raises what it died of."""

    def _checked(self, found: dict[str, Any]) -> dict[str, Any]:
        """A message, where it can be trusted to be one. Raises DeviceError."""
        return found

    def _message(self) -> dict[str, Any]:
        """The next line that is ours: a runtime may print lines of its own."""
        while True:
            try:
                line = self._line()
            except TimeoutError:
                raise BadInput(
                    f"{self._what} did not finish within {self._seconds:.0f} seconds.",
                    "It is damaged, or far too slow here: ask for fewer --runs.",
                ) from None
            if not line:
                self._died()
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(found, dict) and ("ok" in found or "ready" in found):
                found = self._checked(found)
                if found.get("ok") is False:
                    self._next = found
                    self.answer()
                return found


class AgentProcess(Agent):
    """A fresh process on this machine."""

    def __init__(self, command: Sequence[str], what: str, seconds: float, on_gpu: bool = False, **where: Any) -> None:
        """`where`: the `env` and `cwd` of the process, where they are not this one's."""
        super().__init__(what, seconds)
        self._on_gpu = on_gpu
        self._stderr = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - closed on exit
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, text=True, errors="replace", **where,
        )  # fmt: skip
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            with suppress(BrokenPipeError):
                stream.close()  # type: ignore[union-attr]

    def _go(self) -> bool:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return False
        return True

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _line(self) -> str:
        try:
            return self._lines.get(timeout=self._seconds)
        except queue.Empty:
            raise TimeoutError from None

    def _died(self) -> NoReturn:
        code = self._process.wait()
        if code < 0 and self._on_gpu:  # it ran on the CPU before
            raise DeviceError(f"{self._what} crashes the GPU's driver (signal {-code}).", "Measure it on the CPU.")
        if code < 0:
            raise BadInput(
                f"{self._what} crashes the runtime (signal {-code}).",
                "It is damaged or needs a newer runtime: export it again.",
            )
        self._stderr.seek(0)
        said = (self._stderr.read().strip().splitlines() or ["it gave no answer."])[-1]
        raise DeviceError(f"The measuring process failed: {said}", "Check that numpy and a runtime are installed.")


def local_agent(request: dict[str, Any], seconds: float) -> AgentProcess:
    """The agent at work on a request, on this machine."""
    # -P: the agent's own folder is not searched for modules.
    command = [sys.executable, "-P", str(AGENT), json.dumps(request)]
    return AgentProcess(command, str(request["model"]), seconds, on_gpu=request["kind"] == "gpu")


def ask(request: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The answer to one request, asked of a fresh process."""
    with local_agent(request, seconds) as agent:
        return agent.answer()
