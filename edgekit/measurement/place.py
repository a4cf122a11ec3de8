"""Where agents work: on this machine, or on a device that is reached by ssh. One bench at a time on each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from edgekit.errors import UsageError, unknown
from edgekit.measurement.devices.inventory import RESERVED, read_devices
from edgekit.measurement.emulated.boards import DEVICES, board_of, is_emulated
from edgekit.measurement.host import Agent, local_agent, this_machine
from edgekit.progress import Reporter
from edgekit.runtime.probe import Probed

HERE = RESERVED  # the devices of this machine
SLOWER = 30  # times than this machine, at most, that a device is expected to be

# The file, the request without its model, and how many seconds the agent may stay silent -> the agent at work.
Start = Callable[[Probed, dict[str, Any], float], Agent]


def require_device(name: str) -> None:
    """Raises UsageError for what is neither of this machine nor added, and for what is emulated."""
    if is_emulated(name):
        raise UsageError(
            f"{board_of(name).device} has no latency: emulation takes its own time.",
            "Count instructions there: edgekit.count_instructions, edgekit bench --device.",
        )
    if name not in HERE and name not in (known := read_devices()):
        raise unknown("device", name, [*HERE, *DEVICES, *known], UsageError)


def is_here(device: str) -> bool:
    """Whether agents on the device take this machine's time, so that it is one at a time."""
    return device in HERE


@contextmanager
def at_work(device: str, files: Sequence[Probed], progress: Reporter) -> Iterator[Start]:
    """What starts agents on the files at a device, which is nobody else's meanwhile. Raises DeviceError."""
    if device in HERE:
        with this_machine(progress):
            yield lambda file, request, seconds: local_agent({**request, "model": str(file.path)}, seconds)
    else:
        with this_machine(progress, device), _over_there(device, files, progress) as start:
            yield start


@contextmanager
def _over_there(device: str, files: Sequence[Probed], progress: Reporter) -> Iterator[Start]:
    from edgekit.measurement.devices.there import there

    with there(device, files, progress) as found:

        def start(file: Probed, request: dict[str, Any], seconds: float) -> Agent:
            return found.agent(file, request, SLOWER * seconds)

        yield start
