"""The same bench on several devices: remote machines at the same time, those of this machine one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.errors import EdgekitError, UsageError
from edgekit.measurement.bench import SideBySide
from edgekit.measurement.place import is_here
from edgekit.progress import Progress, Reporter

# A device and where its progress goes -> what it measured, a setting after the other.
Work = Callable[[str, Reporter], Iterator[SideBySide]]


@dataclass(frozen=True)
class Came:
    """What came of a device: what it finished, and the error that ended it, if one did."""

    device: str
    found: tuple[SideBySide, ...]
    failure: EdgekitError | None

    def to_json(self) -> dict[str, Any]:
        """The failure of a device that has one."""
        assert self.failure is not None
        error = self.failure
        return {"device": self.device, "code": error.code, "message": error.fact, "remedy": error.remedy}


def on_each(devices: Sequence[str], work: Work, progress: Reporter) -> tuple[Came, ...]:
    """One entry a device, in their order: one that fails does not lose what the others, or it itself, finished.

    Raises what is nobody's fault but the call's (UsageError), and the first failure where nothing was finished at all.
    Interrupting it leaves the remote ones to the end of their connections, which end with this process.
    """
    reporters = _Together(progress).reporters(devices)
    came: dict[str, Came] = {}
    faults: list[Exception] = []  # of the call, or of edgekit

    def run(device: str) -> None:
        found: list[SideBySide] = []
        failure: EdgekitError | None = None
        try:
            for one in work(device, reporters[device]):
                found.append(one)  # one by one: what was finished before an error stays
        except UsageError as error:
            faults.append(error)
        except EdgekitError as error:
            failure = error
        except Exception as error:  # raised by the thread that waits
            faults.append(error)
        came[device] = Came(device, tuple(found), failure)

    apart = [one for one in devices if not is_here(one)] if len(devices) > 1 else []
    threads = [threading.Thread(target=run, args=(one,), name=f"bench {one}", daemon=True) for one in apart]
    for thread in threads:
        thread.start()
    for device in devices:
        if device not in apart:
            run(device)
    for thread in threads:
        thread.join()
    for fault in faults:
        raise fault
    if not any(one.found for one in came.values()):
        raise next(one.failure for one in (came[device] for device in devices) if one.failure)
    return tuple(came[device] for device in devices)


class _Together:
    """The progress of all devices as one: their sums, and what was said last."""

    def __init__(self, progress: Reporter) -> None:
        self._progress, self._lock = progress, threading.Lock()
        self._bench: dict[str, Progress] = {}

    def reporters(self, devices: Sequence[str]) -> dict[str, Reporter]:
        """A device -> its Reporter; the only one's is the caller's own."""
        if len(devices) == 1:
            return {devices[0]: self._progress}
        return {device: self._reporter(device) for device in devices}

    def _reporter(self, device: str) -> Reporter:
        def report(seen: Progress) -> None:
            note = seen.note
            with self._lock:
                if seen.stage == "bench":
                    self._bench[device] = seen
                else:
                    note = f"{seen.stage} {seen.done}/{seen.total} {note}"
                done, total = (sum(getattr(one, name) for one in self._bench.values()) for name in ("done", "total"))
                self._progress(Progress("bench", done, max(1, total), f"{device}: {note}" if note else device))

        return report
