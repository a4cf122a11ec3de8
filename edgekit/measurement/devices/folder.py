"""A folder of edgekit's own on a device, under the user's cache: filled, and gone when its `with` ends.

A program on the device keeps it, and removes it too when the connection breaks.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Mapping
from types import TracebackType

from edgekit.errors import DeviceError
from edgekit.measurement.devices.answer import LIMIT, SECONDS, answer, not_understood, onboard
from edgekit.measurement.devices.connection import Channel, Connection, plain

BYTES_A_SECOND = 20_000  # slower than that is taken for a connection that hangs


class Folder:
    """Holds the files (name -> content) in `path` on the device."""

    def __init__(self, connection: Connection, files: Mapping[str, bytes]) -> None:
        self._connection, self._files = connection, dict(files)
        self._channel: Channel | None = None
        self.path = ""

    def __enter__(self) -> Folder:
        """Raises DeviceError: full disk, no permission, a connection that breaks."""
        self._channel = self._connection.start(LIMIT)
        try:
            self.path = self._fill(self._channel)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits until the keeper has removed it, where there still is a connection."""
        if self._channel is None:
            return
        with self._channel as channel:
            try:
                channel.finish()
                while channel.line(SECONDS):
                    pass
            except DeviceError:
                if error is None and kind is None and self.path:
                    raise

    def _fill(self, channel: Channel) -> str:
        name = self._connection.device.name
        listed = [
            {"name": file, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for file, content in self._files.items()
        ]
        channel.program(onboard("folder"), json.dumps({"files": listed}))
        for content in self._files.values():
            channel.send(content, SECONDS + len(content) / BYTES_A_SECOND)
        found = answer(channel)
        if not found["ok"]:
            said = plain(str(found.get("message", "")))
            raise DeviceError(f"{name} cannot take edgekit's files: {said}.", "Check its disk: df -h ~/.cache")
        path = found.get("folder")
        if not isinstance(path, str) or not posixpath.isabs(path) or len(path) > 4096:
            raise not_understood(name, "it names no folder")
        return path
