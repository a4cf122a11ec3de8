"""A device made ready: connected, looked at, the runtime and the files there, and agents that start on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from edgekit.measurement.devices.connection import Connection
from edgekit.measurement.devices.facts import Facts, look
from edgekit.measurement.devices.folder import Folder
from edgekit.measurement.devices.inventory import find_device
from edgekit.measurement.devices.needs import needs_of
from edgekit.measurement.devices.packages import Packages
from edgekit.measurement.devices.remote_agent import RemoteAgent, agent_folder
from edgekit.measurement.devices.wheels import wheels_for
from edgekit.progress import Progress, Reporter
from edgekit.runtime.probe import Probed


@dataclass(frozen=True)
class There:
    """A device, while it is connected."""

    connection: Connection
    facts: Facts
    folder: Folder
    packages: tuple[str, ...]

    def agent(self, file: Probed, request: dict[str, Any], seconds: float, **limits: int) -> RemoteAgent:
        """The agent at work on a file; `seconds` and `limits` as of RemoteAgent."""
        named = {**request, "model": _name(file)}
        what = f"{file.path} on {self.connection.device.name}"
        return RemoteAgent(self.connection, self.folder, named, what, seconds, self.packages, **limits)


@contextmanager
def there(
    device: str, files: Sequence[Probed], progress: Reporter, *, more: Mapping[str, bytes] | None = None,
    decodes: bool = False,
) -> Iterator[There]:  # fmt: skip
    """The device with the files, a runtime for them, `more` files beside the agent, and with `decodes` Pillow. Raises
    DeviceError."""
    found = find_device(device)
    progress(Progress("connect", 0, 1, device))
    with Connection(found) as connection:
        facts = look(connection)
        progress(Progress("connect", 1, 1, device))
        wheels = wheels_for(device, facts, needs_of(device, facts, decodes=decodes), progress)
        sent = {_name(file): file.content for file in files}
        with (
            Packages(connection, wheels, facts.free_bytes, progress) as packages,
            agent_folder(connection, {**sent, **(more or {})}) as folder,
        ):
            yield There(connection, facts, folder, packages.paths)


def _name(file: Probed) -> str:
    return f"{file.sha256}.tflite"
