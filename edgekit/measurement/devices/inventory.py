"""The devices that the user has named: `devices.toml` in the user's configuration folder, read strictly.

    [rpi]
    host = "raspberrypi.local"     # or a Host of ~/.ssh/config
    user = "pi"                    # left out: ssh_config's, or one's own
    port = 22                      # left out: ssh_config's, or 22

It can be edited by hand: adding and removing leave the other lines as they are.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgekit.artifact import write_text
from edgekit.errors import BadInput, UsageError, unknown

RESERVED = ("cpu", "gpu")
LARGEST = 1024 * 1024  # bytes; a larger devices.toml is not read

# What ssh takes as the name of a host or user, without what a shell or ssh itself would read as more than a name.
NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
HOST = r"[A-Za-z0-9_:][A-Za-z0-9._:-]{0,252}(%[A-Za-z0-9._-]{1,32})?"
USER = r"[A-Za-z0-9_][A-Za-z0-9._@+-]{0,63}"


class Device(BaseModel):
    """A machine that is reached by ssh. `user` and `port` None are those of ssh_config, else one's own and 22."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(pattern=rf"^{NAME}\z")]
    host: Annotated[str, Field(pattern=rf"^{HOST}\z")]
    user: Annotated[str, Field(pattern=rf"^{USER}\z")] | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None

    @property
    def address(self) -> str:
        """USER@HOST:PORT, as far as they are given."""
        host = f"[{self.host}]" if ":" in self.host and self.port else self.host
        return (f"{self.user}@" if self.user else "") + host + (f":{self.port}" if self.port else "")


def devices_file() -> Path:
    """$EDGEKIT_DEVICES, else edgekit/devices.toml in the user's configuration folder (XDG Base Directory)."""
    if chosen := os.environ.get("EDGEKIT_DEVICES"):
        return Path(chosen)
    folder = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(folder) / "edgekit" / "devices.toml"


def device_at(name: str, address: str) -> Device:
    """The device of a name at [USER@]HOST[:PORT], an IPv6 address in brackets. Raises UsageError, and interprets
    nothing: what is no plain name is refused."""
    if name in RESERVED or not re.fullmatch(NAME, name):
        reason = "means this machine" if name in RESERVED else "is no name of a device"
        raise UsageError(f"{name!r} {reason}.", "Give letters, digits, - and _, such as rpi.")
    user, at, place = address.rpartition("@")
    found = re.fullmatch(r"\[(?P<v6>[^\[\]]*)\](:(?P<p6>\d{1,5}))?|(?P<host>[^:]*)(:(?P<port>\d{1,5}))?", place)
    remedy = "Give USER@HOST or USER@HOST:PORT, such as pi@raspberrypi.local; an IPv6 address as USER@[::1]:22."
    if not found or (at and not re.fullmatch(USER, user)):
        raise UsageError(f"{address!r} is no address of a device.", remedy)
    host, port = found["v6"] or found["host"] or "", found["p6"] or found["port"]
    if not re.fullmatch(HOST, host) or (port and not 1 <= int(port) <= 65535):
        raise UsageError(f"{address!r} is no address of a device.", remedy)
    return Device(name=name, host=host, user=user or None, port=int(port) if port else None)


def read_devices(path: Path | None = None) -> dict[str, Device]:
    """Name -> device, in the order of the file; none where there is no file. Raises BadInput with line and field."""
    path = path or devices_file()
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    try:
        if len(content) > LARGEST:
            raise ValueError(f"it has {len(content)} bytes")
        text = content.decode()
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # the decoders' errors are ValueErrors
        raise BadInput(f"{path} is not valid TOML: {error}.", "Correct it, or remove the file.") from None
    return {name: _device(name, given, text, path) for name, given in values.items()}


def _device(name: str, given: Any, text: str, path: Path) -> Device:
    if not isinstance(given, dict):
        raise _complaint(path, text, name, None, "is not a device, which is a table with a host")
    if name in RESERVED:
        raise _complaint(path, text, name, None, "means this machine and cannot be a device's name")
    if "name" in given:
        raise _complaint(path, text, name, "name", "is not a field: the name is the table's")
    try:
        return Device(name=name, **given)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        if field == "name":
            raise _complaint(path, text, name, None, "is no name of a device") from None
        known = ", ".join(one for one in Device.model_fields if one != "name")
        said = {"missing": "is missing", "extra_forbidden": f"is not a field; known: {known}"}.get(
            first["type"], f"cannot be {_shown(first['input'])}"
        )
        raise _complaint(path, text, name, field, said) from None


def _shown(value: Any) -> str:
    return json.dumps(value, default=str)[:80]


def _complaint(path: Path, text: str, name: str, field: str | None, said: str) -> BadInput:
    line = _line_of(text, name, field)
    what = name if field is None else f"{name}.{field}"
    return BadInput(f"{path}:{line}: {what} {said}.", 'Correct that line, as in: [rpi] host = "raspberrypi.local".')


def _line_of(text: str, name: str, field: str | None) -> int:
    """Where a table begins, or a field in it; 1 where it is written in a way that this does not see."""
    found, inside = 1, False
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\s*[\"']?([^\]\"']*?)[\"']?\s*\]", line):
            inside = header[1] == name
            found = number if inside else found
        elif not inside and re.match(rf"\s*[\"']?{re.escape(name)}[\"']?\s*=", line):
            found = number
        elif inside and field and re.match(rf"\s*[\"']?{re.escape(field)}[\"']?\s*=", line):
            return number
    return found


def find_device(name: str, path: Path | None = None) -> Device:
    """The device of that name. Raises UsageError that lists the known ones."""
    known = read_devices(path)
    if name in known:
        return known[name]
    if not known:
        raise UsageError(f"Unknown device {name!r}: none is added yet.", f"Run: edgekit device add {name} USER@HOST")
    raise unknown("device", name, known, UsageError)


def taken(name: str) -> UsageError:
    """The error for a name that is in the list."""
    return UsageError(f"There is a device {name} already.", f"Remove it first: edgekit device remove {name}")


def add_device(device: Device, path: Path | None = None) -> Path:
    """Appends it to the file, whole or not at all -> the file. Raises UsageError where the name is taken."""
    path = path or devices_file()
    if device.name in read_devices(path):
        raise taken(device.name)
    before = path.read_text("utf-8") if path.exists() else ""
    fields = device.model_dump(exclude={"name"}, exclude_none=True)
    table = "".join(f"{key} = {json.dumps(value)}\n" for key, value in fields.items())
    gap = "\n" if before.strip() else ""
    write_text(path, f"{before.rstrip()}\n{gap}[{device.name}]\n{table}".lstrip("\n"))
    return path


def remove_device(name: str, path: Path | None = None) -> Device:
    """Takes its table out of the file -> what it was. Raises UsageError for an unknown one."""
    path = path or devices_file()
    device, known = find_device(name, path), read_devices(path)
    kept, inside = [], False
    for line in path.read_text("utf-8").splitlines(keepends=True):
        if header := re.match(r"\s*\[\s*([^\]]*?)\s*\]", line):
            inside = header[1].strip("\"'") == name
        if not inside:
            kept.append(line)
    text = "".join(kept)
    if tomllib.loads(text).keys() != known.keys() - {name}:
        line_ = _line_of(path.read_text("utf-8"), name, None)
        raise BadInput(f"{path}:{line_}: {name} is written in a way of its own.", "Take it out with an editor.")
    write_text(path, text)
    return device
