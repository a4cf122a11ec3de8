"""What a device says, read as if it meant harm: one JSON object of ours, in one line, of a known shape."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, NoReturn

from edgekit.errors import DeviceError
from edgekit.measurement.devices.connection import Channel, Connection

LIMIT = 64 * 1024  # bytes of an answer about the device itself
SECONDS = 60.0  # a small board that is busy takes long to start python3


def onboard(name: str) -> str:
    """The source of a program for devices; it lies beside this file."""
    return Path(__file__).with_name(f"onboard_{name}.py").read_text("utf-8")


def ask(connection: Connection, program: str, *words: str, seconds: float = SECONDS) -> dict[str, Any]:
    """The answer of an onboard program that needs nothing more. Raises DeviceError where none comes."""
    with connection.start(LIMIT) as channel:
        channel.program(onboard(program), *words)
        channel.finish()
        return answer(channel, seconds)


def answer(channel: Channel, seconds: float = SECONDS) -> dict[str, Any]:
    """The next line that is ours, within the seconds: a login may print lines of its own."""
    end = time.monotonic() + seconds
    while line := channel.line(max(end - time.monotonic(), 0.001), seconds):
        found = parsed(line)
        if found is not None and found.get("edgekit") == 1 and isinstance(found.get("ok"), bool):
            return found
    raise channel.ending()


def parsed(line: bytes) -> dict[str, Any] | None:
    """The JSON object in a line; None where there is none."""
    try:
        found = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def not_understood(name: str, why: str) -> DeviceError:
    return DeviceError(f"{name} gave an answer that is none: {why}.", "Look what python3 is on that device.")
