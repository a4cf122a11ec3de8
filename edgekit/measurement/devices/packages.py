"""Wheels on a device: sent once, unpacked in a folder of edgekit's own there, kept for the next time.

A program on the device unpacks them and holds them while they are used; nothing of its system is touched.
"""

from __future__ import annotations

import json
import posixpath
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from edgekit.errors import DeviceError, EdgekitWarning
from edgekit.measurement.devices.answer import LIMIT, SECONDS, answer, ask, not_understood, onboard
from edgekit.measurement.devices.connection import Channel, Connection, plain
from edgekit.measurement.devices.folder import BYTES_A_SECOND
from edgekit.measurement.devices.inventory import Device
from edgekit.measurement.devices.wheels import Wheel
from edgekit.progress import Progress, Reporter, silent

PIECE = 1 << 20  # bytes between two words of progress
UNPACKED_A_SECOND = 500_000  # bytes that the slowest card unpacks, or checks, in a second
SPARE = 16 * 1024 * 1024  # bytes that are to stay free


class Packages:
    """Holds the wheels in `paths` on the device, entries of sys.path, while the `with` lasts."""

    def __init__(
        self, connection: Connection, wheels: Sequence[Wheel], free_bytes: int, progress: Reporter = silent
    ) -> None:
        self._connection, self._wheels, self._free, self._progress = connection, tuple(wheels), free_bytes, progress
        self._channel: Channel | None = None
        self.paths: tuple[str, ...] = ()

    def __enter__(self) -> Packages:
        """Raises DeviceError: full disk, no permission, a connection that breaks, a wheel that is none."""
        if not self._wheels:
            return self
        self._channel = self._connection.start(LIMIT)
        try:
            self.paths = self._provide(self._channel)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Lets the program there end by itself, so that it takes away what is half unpacked."""
        if self._channel is None:
            return
        with self._channel as channel, suppress(DeviceError):
            channel.finish()
            while channel.line(SECONDS):
                pass

    def _provide(self, channel: Channel) -> tuple[str, ...]:
        asked = [
            {"folder": one.folder, "size": one.size, "sha256": one.sha256, "unpacked_bytes": one.unpacked_bytes}
            for one in self._wheels
        ]
        channel.program(onboard("packages"), json.dumps({"wheels": asked}))
        unpacking = SECONDS + sum(one.unpacked_bytes for one in self._wheels) / UNPACKED_A_SECOND
        missing = self._missing(answer(channel, unpacking))
        self._require_room(missing)
        for wheel in missing:
            self._send(channel, wheel)
        return self._where(answer(channel, unpacking))

    def _missing(self, found: dict[str, Any]) -> list[Wheel]:
        self._require_ok(found)
        named = found.get("missing")
        if not isinstance(named, list) or not all(isinstance(one, str) for one in named):
            raise not_understood(self._connection.device.name, "it does not say what is missing")
        return [wheel for wheel in self._wheels if wheel.folder in named]

    def _require_room(self, missing: Sequence[Wheel]) -> None:
        if not missing:
            return
        needed = max(one.size for one in missing) + sum(one.unpacked_bytes for one in missing) + SPARE
        if needed > self._free:
            raise DeviceError(
                f"{self._connection.device.name} has {self._free / 1e6:.0f} MB free, and "
                f"{' and '.join(one.name for one in missing)} need {needed / 1e6:.0f} MB.",
                "Free some space there: df -h ~/.cache",
            )

    def _send(self, channel: Channel, wheel: Wheel) -> None:
        note = f"MB of {wheel.name} {wheel.version} to {self._connection.device.name}"
        total = max(1, round(wheel.size / 1e6))
        with wheel.path.open("rb") as file:
            sent = 0
            while piece := file.read(PIECE):
                self._progress(Progress("send", min(total, round(sent / 1e6)), total, note))
                channel.send(piece, SECONDS + len(piece) / BYTES_A_SECOND)
                sent += len(piece)
        self._progress(Progress("send", total, total, note))

    def _where(self, found: dict[str, Any]) -> tuple[str, ...]:
        self._require_ok(found)
        paths = found.get("paths")
        if not isinstance(paths, list) or len(paths) != len(self._wheels):
            raise not_understood(self._connection.device.name, "it names no folders")
        for path, wheel in zip(paths, self._wheels, strict=True):
            if not isinstance(path, str) or not posixpath.isabs(path) or posixpath.basename(path) != wheel.folder:
                raise not_understood(self._connection.device.name, "it names another folder")
        return tuple(paths)

    def _require_ok(self, found: dict[str, Any]) -> None:
        if not found["ok"]:
            said = plain(str(found.get("message", "")))
            raise DeviceError(
                f"{self._connection.device.name} cannot take the runtime: {said}.", "Check its disk: df -h ~/.cache"
            )


@dataclass(frozen=True)
class Cleaned:
    """Folders of wheels, as NAME VERSION: those that were removed, and those that another bench holds."""

    removed: tuple[str, ...]
    held: tuple[str, ...]


def remove_packages(connection: Connection) -> Cleaned:
    """Takes the wheels off the device that nobody uses at the moment."""
    found = ask(connection, "packages", json.dumps({"clean": True}))
    removed, held = found.get("removed"), found.get("held")
    if not found["ok"] or not all(
        isinstance(names, list) and all(isinstance(one, str) for one in names) for names in (removed, held)
    ):
        raise not_understood(connection.device.name, "it does not say what it removed")
    return Cleaned(tuple(map(shown, removed)), tuple(map(shown, held)))  # type: ignore[arg-type]


def clean(device: Device) -> Cleaned:
    """Takes the wheels off a device that will not be used any more. One that cannot be reached keeps them, which an
    EdgekitWarning tells."""
    try:
        with Connection(device) as connection:
            return remove_packages(connection)
    except DeviceError as error:
        sentence = f"{error.fact} What edgekit may have left in its ~/.cache/edgekit stays there."
        warnings.warn(sentence, EdgekitWarning, stacklevel=2)
        return Cleaned((), ())


def shown(folder: str) -> str:
    """NAME VERSION of a folder's name, fit to be shown."""
    return plain(" ".join(folder.rsplit("-", 2)[:2]))
